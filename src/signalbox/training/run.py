"""`signalbox train`: labels or feedback in, a bundle out, with what it is worth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import signalbox
from signalbox.brain.artifact import MODELS, open_artifact, write_manifest
from signalbox.brain.capability import Capability
from signalbox.brain.encoder import Encoder
from signalbox.brain.surface import COLUMNS
from signalbox.errors import SetupError
from signalbox.evaluation.progress import bar
from signalbox.evaluation.tables import table
from signalbox.training.card import card, figures_of, head_of, table_of, verdict
from signalbox.training.data import Data, read_feedback, read_judgements, read_outcomes
from signalbox.training.judge import Judgement, judge
from signalbox.training.learner import Heads, fit
from signalbox.training.prompts import see

FILES = ("capability.json", "capability.npz", "learned.npz", "MODEL_CARD.md")


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of one training. strong, weak: a model, several joined by commas, or None for the row's tiers."""

    data: Path
    out: Path
    strong: str | None = None
    weak: str | None = None
    journal: Path | None = None
    labels: Path | None = None
    replace: bool = False
    resamples: int = 1_000
    quiet: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A bundle that was written."""

    folder: Path
    data: Data
    judgement: Judgement
    models: tuple[str, ...]

    @property
    def text(self) -> str:
        """What to tell people."""
        notes = [f"note: {note}" for note in (*self.data.notes, *self.judgement.notes)]
        return "\n".join(
            [
                table(head_of(self.judgement), table_of(self.judgement)),
                "",
                *notes,
                verdict(self.judgement),
                str(self.folder),
            ]
        )

    @property
    def as_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "rows": len(self.data.labels),
            "data_sha256": self.data.digest,
            "recommended": self.judgement.recommended,
            "models": list(self.models),
            "notes": [*self.data.notes, *self.judgement.notes],
            **figures_of(self.judgement),
        }


def train(options: Options) -> Trained:
    """Train, judge and write. Raises DataError for data, SetupError for a folder that is in use."""
    _check_out(options.out, options.replace)
    data = _read(options)
    general, encoder = Capability.read(open_artifact("capability")), Encoder.load()
    with bar("reading prompts", len(data.labels), quiet=options.quiet) as said:
        seen = see(data.labels.prompts, encoder, said)
    with bar("judging", 10, quiet=options.quiet) as said:
        judgement = judge(data, seen, general, resamples=options.resamples, said=said)
    heads = fit(data.labels, seen, general)
    write(options.out, data, judgement, heads, encoder.version)
    return Trained(options.out, data, judgement, heads.models)


def write(out: Path, data: Data, judgement: Judgement, heads: Heads, encoder: str) -> None:
    """Write the bundle. Equal data makes equal bytes. The manifest comes last, so a torn bundle is none."""
    shipped = open_artifact("capability")
    made_with = {"signalbox": signalbox.__version__, "numpy": np.__version__}
    out.mkdir(parents=True, exist_ok=True)
    (out / "capability.json").unlink(missing_ok=True)
    shutil.copyfile(MODELS / "capability.npz", out / "capability.npz")
    with (out / "learned.npz").open("wb") as file:
        np.savez(file, allow_pickle=False, **heads.arrays())
    (out / "MODEL_CARD.md").write_text(card(data, judgement, heads.models, made_with))
    write_manifest(
        out,
        "capability",
        ["capability.npz", "learned.npz"],
        form="learned",
        recommended=judgement.recommended,
        encoder=encoder,
        general=shipped.manifest["general"],
        learned={
            "models": list(heads.models),
            "columns": list(COLUMNS),
            "chance": list(heads.chance),
            "familiar": list(heads.familiar),
        },
        rows=len(data.labels),
        data_sha256=data.digest,
        strong=data.records.strong_name,
        weak=data.records.weak_name,
        made_with=made_with,
        **figures_of(judgement),
    )


def _read(options: Options) -> Data:
    if options.journal is not None and options.labels is not None:
        raise SetupError("--journal and --labels: one of the two says what came of a prompt\n  fix: leave one out")
    if options.journal is not None:
        return read_feedback(options.data, options.journal, _names(options.strong), _names(options.weak))
    if options.labels is not None:
        return read_judgements(options.data, options.labels)
    return read_outcomes(options.data, options.strong, options.weak)


def _names(words: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in (words or "").split(",") if name.strip()))


def _check_out(out: Path, replace: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise SetupError(f"--out {out}: a file\n  expected: a folder for the bundle\n  fix: name another")
    there = sorted(path.name for path in out.iterdir())
    if there and not replace:
        raise SetupError(
            f"--out {out}: holds {', '.join(there[:3])}\n  expected: an empty or a new folder\n"
            "  fix: name another, or say --replace to train a bundle anew"
        )
    foreign = [name for name in there if name not in FILES]
    if foreign:
        raise SetupError(
            f"--out {out}: holds {', '.join(foreign[:3])}, which is no part of a trained bundle\n"
            "  expected: a bundle of `signalbox train`\n  fix: name another folder"
        )
