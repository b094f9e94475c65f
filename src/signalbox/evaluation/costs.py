"""What either side costs for each prompt: by prices, or else 1 for the strong side and nothing for the weak one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from signalbox.errors import DataError
from signalbox.evaluation.records import Records
from signalbox.evaluation.routers import features_of

Floats = NDArray[np.float64]

ANSWER_TOKENS = 400
"""Reckoned with for every answer: records do not say how long theirs were."""

STRONG_SHARE, USD_PER_1000 = "strong share", "USD per 1,000 prompts"


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """strong, weak: (rows,), what the prompt costs on that side, in `unit` for each prompt."""

    strong: Floats
    weak: Floats
    unit: str


def shares(rows: int) -> Costs:
    """Return costs whose mean is the share of prompts for the strong side."""
    return Costs(np.ones(rows), np.zeros(rows), STRONG_SHARE)


def priced(records: Records, file: Path, answer_tokens: int = ANSWER_TOKENS) -> Costs:
    """Return what each prompt costs on either side, by a file of prices.

    file: YAML or JSON, a side's name, as in the records, to {input, output} in USD per million tokens. A tier's price
    is under `strong` or `weak`, or, where models are named, the mean of theirs. Raises DataError.
    """
    prices = _read(file)
    tokens = np.array([each.prompt_tokens for each in features_of(records.prompts)], dtype=np.float64)
    strong = _price("strong", records.strong_name, prices, file)
    weak = _price("weak", records.weak_name, prices, file)
    sides = [(tokens * side[0] + answer_tokens * side[1]) / 1_000 for side in (strong, weak)]
    return Costs(sides[0], sides[1], USD_PER_1000)


def _price(tier: str, name: str, prices: Mapping[str, tuple[float, float]], file: Path) -> tuple[float, float]:
    if name == f"{tier} tier":
        name = tier
    names: Sequence[str] = [name] if name in prices else [part.strip() for part in name.split(",")]
    missing = [part for part in names if part not in prices]
    if missing:
        near = get_close_matches(missing[0], prices, 1)
        raise DataError.single(
            str(file),
            f"no price of {missing[0]!r}, the {tier} side",
            expected=f"{missing[0]}: {{input: USD, output: USD}}, per million tokens",
            fix=f"is it {near[0]!r}?" if near else "add it",
        )
    return float(np.mean([prices[part][0] for part in names])), float(np.mean([prices[part][1] for part in names]))


def _read(file: Path) -> dict[str, tuple[float, float]]:
    try:
        content: Any = yaml.safe_load(file.read_bytes())
    except OSError as problem:
        raise DataError.single(str(file), problem.strerror or str(problem)) from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise DataError.single(
            str(file), "neither YAML nor JSON", expected="name: {input: USD, output: USD}"
        ) from problem
    if not isinstance(content, dict) or not content:
        raise DataError.single(str(file), "no prices", expected="name: {input: USD, output: USD}, per million tokens")
    prices = {}
    for name, entry in content.items():
        figures = [entry.get(key) for key in ("input", "output")] if isinstance(entry, dict) else [None, None]
        if not all(isinstance(figure, int | float) and 0 <= figure < 1e6 for figure in figures):
            raise DataError.single(
                str(file),
                f"{name!r} has no price that can be used",
                expected="{input: USD, output: USD}, numbers per million tokens, 0 or more",
            )
        prices[str(name)] = (float(figures[0] or 0), float(figures[1] or 0))
    return prices
