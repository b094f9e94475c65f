"""The model that tells requests for images: captions in ways of asking, against real prompts and the same captions
in ways of talking.

Captions, templates and prompts are paired by a seeded generator. Where the cut lies is not tuned: 0.5 of a logistic
regression whose classes weigh the same, but for real prompts, which count more, because they are what a gateway sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from signalbox.brain.artifact import write_manifest
from signalbox.brain.encoder import Encoder, Floats
from signalbox.brain.modality import CUES, cues
from signalbox.training.image_requests import ASKS, TALKS
from signalbox.training.rows import read_rows

SEED = 20
RECIPE = 1
WRAPPED, TALKED, BARE = 9_000, 9_000, 2_500  # texts of each kind
REAL_WEIGHT = 2.0
BARE_WEIGHT = 0.5  # a caption alone is a wish only if nothing else can be meant
STRENGTH = 0.3  # inverse of the penalty
VECTOR_SCALE = 0.5  # what words look like comes first: it holds for ways of asking that nobody has written down

Texts = list[bytes]


def build(data: Path, out: Path) -> None:
    """Write modality.npy and modality.json. data: folder with capability/, intents/ and modality/."""
    encoder = Encoder.load(out)
    random = np.random.default_rng(SEED)
    captions = read_captions(data, "train")
    asks = wrap(captions, flat(ASKS), WRAPPED, random)
    bare = [captions[at].encode() for at in random.choice(len(captions), BARE, replace=False)]
    talks = wrap(captions, flat(TALKS), TALKED, random)
    real = [text for texts in read_prompts(data, "train").values() for text in texts]
    weights = fit(encoder, asks, bare, talks, real)
    np.save(out / "modality.npy", weights)
    write_manifest(
        out,
        "modality",
        ["modality.npy"],
        dims=encoder.dims,
        encoder=encoder.version,
        recipe=RECIPE,
        seed=SEED,
        trained_on={"asks": len(asks), "bare": len(bare), "talks": len(talks), "real": len(real)},
    )


def fit(encoder: Encoder, asks: Texts, bare: Texts, talks: Texts, real: Texts) -> Floats:
    """Return the weights of the vector, of the cues, and the bias: (dims + CUES + 1,)."""
    from sklearn.linear_model import LogisticRegression

    texts = asks + bare + talks + real
    wanted = np.array([1] * (len(asks) + len(bare)) + [0] * (len(talks) + len(real)))
    counts = np.concatenate(
        [
            np.full(len(asks), 1.0 / len(asks)),
            np.full(len(bare), BARE_WEIGHT / len(bare)),
            np.full(len(talks), 1.0 / max(1, len(talks))),
            np.full(len(real), REAL_WEIGHT / len(real)),
        ]
    )
    model = LogisticRegression(C=STRENGTH, max_iter=400, tol=1e-5)
    seen = inputs(encoder, texts)
    seen[:, : encoder.dims] *= VECTOR_SCALE
    model.fit(seen, wanted, sample_weight=counts * len(texts) / counts.sum())
    weights = np.concatenate([model.coef_[0], model.intercept_])
    weights[: encoder.dims] *= VECTOR_SCALE
    return weights.astype(np.float32)


def inputs(encoder: Encoder, texts: Sequence[bytes]) -> Floats:
    """Return vectors and cues side by side: (len(texts), dims + CUES)."""
    out = np.empty((len(texts), encoder.dims + CUES), np.float32)
    for row, text in enumerate(texts):
        out[row, : encoder.dims] = encoder.vector(text)
        out[row, encoder.dims :] = cues(text)
    return out


def flat(families: Mapping[str, Sequence[str]]) -> list[str]:
    return [template for templates in families.values() for template in templates]


def wrap(captions: Sequence[str], templates: Sequence[str], count: int, random: np.random.Generator) -> Texts:
    """Return captions in templates, each template about as often as any other."""
    chosen = random.integers(len(captions), size=count)
    texts = []
    for place, at in enumerate(chosen):
        caption = captions[at].rstrip(". ")
        text = templates[place % len(templates)].replace("{c}", caption)
        text = text.replace("{C}", caption[:1].upper() + caption[1:])
        if random.random() < 0.25:
            text = (
                text.lower() if random.random() < 0.6 else text + random.choice([".", " please", " thanks", "!", "\n"])
            )
        texts.append(text.encode())
    return texts


def read_captions(data: Path, split: str) -> list[str]:
    return [row["text"] for row in read_rows(data / "modality" / "image_prompts.jsonl.gz") if row["split"] == split]


def read_prompts(data: Path, split: str) -> dict[str, Texts]:
    """Return real prompts that want no image, by source. split: `train` or `valid`, as each source has it."""
    found: dict[str, Texts] = {}
    for path in sorted((data / "capability").glob("*.jsonl.gz")):
        texts = [row["prompt"].encode() for row in read_rows(path) if row["split"] == split]
        found[path.name.partition(".")[0]] = texts[:1500]
    for name in ("banking77", "clinc150", "hwu64", "llm_tasks"):
        rows = [row for row in read_rows(data / "intents" / f"{name}.jsonl.gz") if row["split"] == split]
        found[name] = [row["text"].encode() for row in rows][:: 1 if name == "llm_tasks" else 4]
    turns: Texts = []
    for row in read_rows(data / "intents" / "sgd_multiturn.jsonl.gz"):
        if row["split"] == split:
            said = [turn["t"] for turn in row["turns"] if turn["r"] == "u"]
            turns.append(said[len(turns) % len(said)].encode())
    found["sgd"] = turns[:1500]
    return found
