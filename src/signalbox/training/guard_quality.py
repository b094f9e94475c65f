"""`python -m signalbox.training.guard_quality --data DIR`: the figures of docs/quality.md on images and personal data.

Image requests: ways of asking are held out, a fifth at a time, and met with captions of the valid split; real prompts
are those of the valid splits. Personal data: the labelled sentences; every prompt of the data folder for false alarms.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import MODELS
from signalbox.brain.encoder import Encoder, Floats
from signalbox.brain.personal_data import find
from signalbox.features.asked import asks_for_image
from signalbox.training.image_requests import ASKS, TALKS
from signalbox.training.recipes import modality
from signalbox.training.recipes.modality import Texts
from signalbox.training.rows import read_rows
from signalbox.types import PersonalData

FOLDS = 5
EACH = 40  # texts of a template
RESAMPLES = 1000

OF_THE_SET = {
    "EMAIL_ADDRESS": PersonalData.EMAIL,
    "CREDIT_CARD": PersonalData.CREDIT_CARD,
    "IBAN_CODE": PersonalData.IBAN,
    "PHONE_NUMBER": PersonalData.PHONE,
    "US_SSN": PersonalData.SSN,
    "IP_ADDRESS": PersonalData.IP_ADDRESS,
    "US_DRIVER_LICENSE": PersonalData.DRIVER_LICENSE,
}
FORMS = tuple(OF_THE_SET.values())


def image_table(data: Path) -> list[str]:
    """Return the rows: what was measured, and it with the built-in model and with the patterns over words alone."""
    encoder = Encoder.load(MODELS)
    random = np.random.default_rng(1)
    seen, unseen = modality.read_captions(data, "train"), modality.read_captions(data, "valid")
    known = [text for texts in modality.read_prompts(data, "train").values() for text in texts]
    real = [text for texts in modality.read_prompts(data, "valid").values() for text in texts]
    bare = [caption.encode() for caption in unseen]
    hits: dict[str, list[NDArray[np.float64]]] = {"asks": [], "talks": [], "real": [], "bare": []}
    for fold in range(FOLDS):
        asks, held_asks = _split(modality.flat(ASKS), fold)
        talks, held_talks = _split(modality.flat(TALKS), fold)
        weights = modality.fit(
            encoder,
            modality.wrap(seen, asks, modality.WRAPPED, random),
            [seen[at].encode() for at in random.choice(len(seen), modality.BARE, replace=False)],
            modality.wrap(seen, talks, modality.TALKED, random),
            known,
        )
        for name, texts in (
            ("asks", modality.wrap(unseen, held_asks, EACH * len(held_asks), random)),
            ("talks", modality.wrap(unseen, held_talks, EACH * len(held_talks), random)),
            ("real", real),
            ("bare", bare),
        ):
            built_in = _says(encoder, weights, texts)
            words = np.array([asks_for_image(text.decode("utf-8", "replace")) for text in texts])
            hits[name].append(np.stack([built_in, words]).astype(np.float64))
    asks_hit, talks_hit, real_hit, bare_hit = (np.concatenate(hits[name], axis=1) for name in hits)
    return [
        _row("F1, asking against real prompts", lambda at: _f1(asks_hit[at], real_hit[at] / FOLDS), random),
        _row("recall, ways of asking held out", lambda at: asks_hit[at], random),
        _row("captions and nothing else, taken for a wish", lambda at: bare_hit[at], random),
        _row("real prompts taken for a wish", lambda at: real_hit[at], random),
        _row("talk about pictures, ways held out, taken for a wish", lambda at: talks_hit[at], random),
    ]


def personal_table(data: Path) -> list[str]:
    """Return the rows: kind, how many labelled sentences hold it, recall, false alarms in 1,000 prompts."""
    there: Counter[PersonalData] = Counter()
    found: Counter[PersonalData] = Counter()
    for row in read_rows(data / "privacy" / "presidio_synth.jsonl.gz"):
        wanted = {OF_THE_SET[kind] for *_, kind in row["spans"] if kind in OF_THE_SET}
        there.update(wanted)
        found.update(wanted.intersection(find(row["text"].encode(), FORMS)))
    alarms: dict[str, Counter[PersonalData]] = {}
    counts: Counter[str] = Counter()
    for source, text in _prompts(data):
        counts[source] += 1
        alarms.setdefault(source, Counter()).update(find(text, FORMS))
    rows = []
    for kind in FORMS:
        each = [f"{1000 * alarms[source][kind] / counts[source]:.1f}" for source in counts]
        rows.append(f"| `{kind.value}` | {there[kind]} | {found[kind] / there[kind]:.3f} | {' | '.join(each)} |")
    head = f"| kind | sentences | recall | {' | '.join(f'{source} ({counts[source]:,})' for source in counts)} |"
    return [head, "|" + " --- |" * (3 + len(counts)), *rows]


def _prompts(data: Path) -> list[tuple[str, bytes]]:
    found = []
    for name in ("banking77", "clinc150", "hwu64"):
        rows = read_rows(data / "intents" / f"{name}.jsonl.gz")
        found += [("short requests", row["text"].encode()) for row in rows]
    found += [("chat", row["text"].encode()) for row in read_rows(data / "intents" / "llm_tasks.jsonl.gz")]
    for path in sorted((data / "capability").glob("*.jsonl.gz")):
        source = "chat" if path.name.startswith("arena") else "questions, code, puzzles"
        found += [(source, row["prompt"].encode()) for row in read_rows(path)]
    return found


def _split(templates: Sequence[str], fold: int) -> tuple[list[str], list[str]]:
    held = [text for text in templates if hashlib.sha256(text.encode()).digest()[0] % FOLDS == fold]
    return [text for text in templates if text not in held], held


def _says(encoder: Encoder, weights: Floats, texts: Texts) -> NDArray[np.bool_]:
    scores = modality.inputs(encoder, texts) @ weights[:-1] + weights[-1]
    return np.asarray(scores >= 0)


def _f1(asks: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    """One number in an array, as `_row` takes means. real: false alarms, weighed so that each prompt counts once."""
    hit = asks.sum()
    return np.array([2 * hit / (len(asks) + hit + real.sum())])


def _row(name: str, values: Callable[[int], NDArray[np.float64]], random: np.random.Generator) -> str:
    cells = []
    for way in (0, 1):
        seen = values(way)
        if len(seen) == 1:
            cells.append(f"{seen[0]:.3f}")
            continue
        means = [seen[random.integers(len(seen), size=len(seen))].mean() for _ in range(RESAMPLES)]
        low, high = np.quantile(means, [0.025, 0.975])
        cells.append(f"{seen.mean():.4f} ({low:.4f} to {high:.4f})")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m signalbox.training.guard_quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    data = parser.parse_args().data
    print("| | built-in | patterns over words |\n| --- | --- | --- |")
    print("\n".join(image_table(data)), "\n")
    print("\n".join(personal_table(data)))


if __name__ == "__main__":
    main()
