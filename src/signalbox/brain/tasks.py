"""Described tasks: which of them a conversation is about, zero-shot, and an honest `None` for none of them.

What is compared with what is `task_space`'s business, how a turn goes on with the one before it `task_carry`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import open_artifact, refuse
from signalbox.brain.encoder import MOST_BYTES, Encoder
from signalbox.brain.task_carry import UNSURE_LEAD, Carry
from signalbox.brain.task_space import PARTS_WEIGHT, Space
from signalbox.brain.task_text import Imitations, parts_of, whole_of, words_once
from signalbox.core import dots, normalize

Floats = NDArray[np.float32]

USER = "user"
MOST_TURNS = 12
"""User turns that are looked back on: what was asked for before them is no longer meant."""

EARLIER_BYTES = 1024
"""Of an earlier turn: it only says what this one goes on with."""


class Described(Protocol):
    """A task as a policy has it."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...


class Turn(NamedTuple):
    """One turn of a conversation. role: only turns of `user` are read. text: UTF-8, of any bytes."""

    role: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Match:
    """What a conversation is about.

    name: of the task, None for none of them. scores: (name, probability), best first, ties by name; what they lack to
    1 is the chance that it is none. unsure: it could as well be the next best, or none where one is named.
    """

    name: str | None
    scores: tuple[tuple[str, float], ...]
    unsure: bool


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Tasks made ready to be matched. names: sorted. without_words: names of tasks that nothing can match.

    prototypes: (names + parts + 1, dims), whole descriptions first, then the parts of each, then the direction of turns
    that ask for something by themselves. starts: (names,), where the parts of each begin among the parts.
    """

    names: tuple[str, ...]
    without_words: tuple[str, ...]
    prototypes: Floats
    starts: NDArray[np.intp]
    imitations: Imitations

    def similarities(self, every: Floats) -> Floats:
        """Return how alike turns and tasks are, (turns, names), from their dot products with all prototypes."""
        count = len(self.names)
        best: Floats = np.maximum.reduceat(every[:, count:-1], self.starts, axis=1)
        return every[:, :count] + np.float32(PARTS_WEIGHT) * best


class TaskMatcher:
    """Matches conversations with described tasks. Threads may share it."""

    def __init__(self, encoder: Encoder, space: Space, carry: Carry) -> None:
        self._encoder, self._space, self._carry = encoder, space, carry

    @classmethod
    def load(cls, folder: Path | None = None, *, encoder: Encoder) -> TaskMatcher:
        """Read `tasks.npz`, as `tasks.json` describes it. folder: None for the one that ships with the package.

        Raises SetupError for files that are missing, do not belong together, or were made for another encoder.
        """
        artifact = open_artifact("tasks", folder)
        manifest = artifact.files["manifest"]
        if "tasks.npz" not in artifact.files:
            raise refuse(manifest, "`files` lacks tasks.npz", "tasks.npz")
        if artifact.manifest.get("encoder") != encoder.version:
            found = f"it was made for encoder {artifact.manifest.get('encoder')!r}"
            raise refuse(manifest, found, f"one made for {encoder.version!r}, the encoder beside it")
        try:
            with np.load(artifact.files["tasks.npz"], allow_pickle=False) as arrays:
                space, carry = Space.of(arrays), Carry.of(arrays)
        except (KeyError, ValueError, OSError) as problem:
            raise refuse(artifact.files["tasks.npz"], str(problem), "the arrays of a task matcher") from problem
        if not space.dims == len(carry.direction) == encoder.dims:
            raise refuse(artifact.files["tasks.npz"], f"{space.dims} dims", f"{encoder.dims}, as the encoder's")
        return cls(encoder, space, carry)

    def prepare(self, tasks: Sequence[Described]) -> Prepared:
        """Make tasks ready, once. In which order they come makes no difference.

        Raises ValueError where there are none, or two have one name.
        """
        if not tasks:
            raise ValueError("there are no tasks to match: found none, expected at least one")
        ordered = sorted(tasks, key=lambda task: task.name)
        names = tuple(task.name for task in ordered)
        if len(set(names)) < len(names):
            twice = next(name for name, after in pairwise(names) if name == after)
            raise ValueError(f"two tasks are called {twice!r}: expected a name of its own for each")
        parts = [parts_of(task.name, task.description) for task in ordered]
        texts = [whole_of(task.name, task.description) for task in ordered]
        texts += [part for of_one in parts for part in of_one]
        vectors = self._encoder.vectors([text.encode() for text in texts])
        counts = np.array([len(of_one) for of_one in parts])
        return Prepared(
            names=names,
            without_words=tuple(name for name, vector in zip(names, vectors, strict=False) if not vector.any()),
            prototypes=np.vstack([self._space.descriptions(vectors), self._carry.direction]),
            starts=np.concatenate([[0], np.cumsum(counts)[:-1]]),
            imitations=Imitations(names),
        )

    def match(self, prepared: Prepared, turns: Sequence[Turn]) -> Match:
        """Say which task the last user turn belongs to, in the light of those before it. Never raises for any text."""
        said = [turn.text for turn in turns if turn.role == USER][-MOST_TURNS:]
        if not said:
            return _nothing_said(prepared)
        texts = [_cut(text, EARLIER_BYTES) for text in said[:-1]]
        texts = [prepared.imitations.without(text) for text in (*texts, _cut(said[-1], MOST_BYTES))]
        vectors = self._encoder.vectors([words_once(text) for text in texts])
        every = dots(prepared.prototypes, normalize(vectors - self._space.prompt_mean))
        lengths = [len(text) if vector.dot(vector) > 0 else 0 for text, vector in zip(texts, vectors, strict=True)]
        if not any(lengths):
            return _nothing_said(prepared)
        similarities = prepared.similarities(every).tolist()
        chances = self._carry.chances(similarities, every[:, -1].tolist(), lengths)
        known = sum(chances)
        scores = sorted(zip(prepared.names, chances, strict=True), key=_best_first)
        name, best = scores[0]
        second = scores[1][1] if len(scores) > 1 else 0.0
        if known < self._carry.threshold:
            return Match(None, tuple(scores), unsure=1.0 - known - best < UNSURE_LEAD)
        return Match(name, tuple(scores), unsure=best - max(second, 1.0 - known) < UNSURE_LEAD)


def _nothing_said(prepared: Prepared) -> Match:
    return Match(None, tuple((name, 0.0) for name in prepared.names), unsure=True)


def _best_first(score: tuple[str, float]) -> tuple[float, str]:
    return -score[1], score[0]


def _cut(text: bytes, most: int) -> bytes:
    """Return both ends of a text of more than `most` bytes."""
    if len(text) <= most:
        return text
    head = most * 6 // 10
    return text[:head] + b" " + text[head + 1 - most :]
