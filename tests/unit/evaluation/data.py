"""Small data files, made in the test."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


def write(path: Path, rows: Iterable[Any]) -> Path:
    """Write rows as JSON Lines, compressed where the name says so; strings as they are."""
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def made_up(rows: int, *, source: str = "made-up", seed: int = 0, hard_word: str = "prove") -> list[dict[str, Any]]:
    """Return records of prompts that need the strong model more often where they hold `hard_word`."""
    dice = np.random.default_rng(seed)
    filler = [
        "please",
        "tell",
        "me",
        "about",
        "weather",
        "and",
        "the",
        "price",
        "of",
        "tea",
        "in",
        "a",
        "small",
        "town",
    ]
    records = []
    for number in range(rows):
        hard = bool(dice.random() < 0.5)
        words = list(dice.choice(filler, size=int(dice.integers(4, 30))))
        prompt = " ".join([hard_word if hard else "say", f"item{number}", *words])
        weak = float(dice.random() < (0.2 if hard else 0.85))
        strong = float(dice.random() < 0.9)
        records.append(
            {"prompt": prompt, "scores": {"big": strong, "small": weak}, "p_strong": strong, "p_weak": weak}
            | {"source": source, "split": "valid" if number % 4 == 0 else "train"}
        )
    return records
