"""Made-up rows of labels: proofs are hard for the weak model, chat is not; and rows that mean nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HARD = ("Prove that {} is continuous", "Derive the distribution of {} formally", "Find a closed form for {}")
EASY = ("Say hello to {}", "Which colour is {}?", "Tell me something nice about {}")
THINGS = ("the sea", "a red chair", "the number line", "my neighbour", "an old bridge", "the integral", "a small town")


def prompt_of(row: int) -> str:
    return f"{(HARD if row % 2 else EASY)[row % 3].format(THINGS[row % 7])}, case {row}"


def labelled(count: int = 120) -> list[dict[str, Any]]:
    """Return rows in which `large` is right, and `small` where nothing has to be proved; `odd` knows all but proofs."""
    return [
        {
            "prompt": prompt_of(row),
            "scores": {"large": 1, "small": 0 if row % 2 else 1, "odd": 0 if row % 6 == 1 else 1},
        }
        for row in range(count)
    ]


def noise(count: int = 120) -> list[dict[str, Any]]:
    """Return rows whose outcomes have nothing to do with their prompts."""
    dice = np.random.default_rng(3)
    outcomes = dice.integers(0, 2, size=(count, 2))
    return [
        {"prompt": prompt_of(row), "scores": {"large": int(good), "small": int(poor)}}
        for row, (good, poor) in enumerate(outcomes)
    ]


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
