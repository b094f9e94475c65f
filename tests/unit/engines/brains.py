"""Built-in models that a test can predict: they count words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from signalbox.engines.base import Route
from signalbox.engines.builtin import Models, Turn, Vector
from signalbox.types import Features

HARD, ODD, BROKEN = "proof", "zork", "defect"
"""Words of requests that need the strong tier, that nobody has seen the like of, and that the models fail at."""


class CountingEncoder:
    """Places of a vector: hard words, odd ones, broken ones, words."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []

    def vector(self, text: bytes) -> Vector:
        self.texts.append(text)
        words = text.decode().lower().split()
        return np.array([*(words.count(word) for word in (HARD, ODD, BROKEN)), len(words)], dtype=np.float32)


@dataclass(frozen=True)
class Need:
    strong: float
    unsure: bool
    success: Mapping[str, float]


class CountingCapability:
    """The chance is the share of hard words; not a number for broken ones."""

    def need(self, vector: Vector, features: Features) -> Need:
        hard, odd, broken, words = vector.tolist()
        strong = math.nan if broken else hard / max(words, 1)
        success = {"weak": 0.8 * (1 - strong), "strong": 1 - strong / 2}
        success |= {"acme-mini": 1 - strong, "acme-large": 0.95 - strong / 4, "home-small": 0.9 - strong}
        return Need(strong, odd > 0, success)


@dataclass(frozen=True)
class Match:
    name: str | None
    scores: Sequence[tuple[str, float]]
    unsure: bool = False


class SharedWords:
    """The task whose description shares most words with the newest user turn, and the turn before it with half."""

    def prepare(self, tasks: Sequence[Route]) -> dict[str, set[str]]:
        return {task.name: set(task.description.lower().split()) for task in tasks}

    def match(self, prepared: dict[str, set[str]], turns: Sequence[Turn]) -> Match:
        texts = [turn.text.decode().lower().split() for turn in turns if turn.role == "user"]
        if BROKEN in texts[-1]:
            raise RuntimeError("a defect of the models")
        weights = [0.5 ** (len(texts) - place - 1) for place in range(len(texts))]
        found = {
            name: sum(weight * len(words & set(text)) for weight, text in zip(weights, texts, strict=True))
            for name, words in prepared.items()
        }
        total = sum(found.values())
        if not total:
            return Match(None, [(name, 0.0) for name in found], ODD in texts[-1])
        scores = sorted(((name, count / total) for name, count in found.items()), key=lambda score: -score[1])
        return Match(scores[0][0], scores, ODD in texts[-1])


class Pictures:
    def image(self, vector: Vector, text: bytes) -> float:
        return 0.9 if b"picture" in text else 0.1


@dataclass
class Brain:
    """Models, and what they were asked. opened: bundles that models were loaded for."""

    encoder: CountingEncoder = field(default_factory=CountingEncoder)
    opened: list[str | None] = field(default_factory=list)

    def load(self, bundle: str | None = None) -> Models:
        self.opened.append(bundle)
        return Models(self.encoder, CountingCapability, SharedWords, Pictures)


def use(monkeypatch: Any, brain: Brain | None = None) -> Brain:
    """Have engines opened with these models instead of those in the package."""
    brain = brain or Brain()
    monkeypatch.setattr("signalbox.engines.open_heads.load_models", brain.load)
    return brain
