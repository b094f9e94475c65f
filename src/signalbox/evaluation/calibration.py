"""Whether a router's chances come true: of the prompts it gives 70 %, do 70 % need the strong side?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Prompts with chances from `low` to below `high`. chance: their mean. observed: share that came true."""

    low: float
    high: float
    rows: int
    chance: float
    observed: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """error: mean distance between chance and observed share over the bins, weighted by rows (ECE; Guo et al., 2017).

    brier: mean squared distance between chance and outcome. base_rate: share of all that came true.
    """

    rows: int
    error: float
    brier: float
    base_rate: float
    bins: tuple[Bin, ...]


def calibrate(chances: NDArray[Any], outcomes: NDArray[Any]) -> Calibration | None:
    """Return how well chances in [0, 1] fit outcomes that are true or false; None without rows.

    Ten bins of equal width; empty ones are left out.
    """
    if not len(chances):
        return None
    came_true = np.asarray(outcomes, dtype=np.float64)
    place = np.minimum((chances * BINS).astype(int), BINS - 1)
    bins = []
    for number in range(BINS):
        inside = place == number
        if inside.any():
            chance, observed = float(chances[inside].mean()), float(came_true[inside].mean())
            bins.append(Bin(number / BINS, (number + 1) / BINS, int(inside.sum()), chance, observed))
    error = sum(each.rows * abs(each.chance - each.observed) for each in bins) / len(chances)
    brier = float(((chances - came_true) ** 2).mean())
    return Calibration(len(chances), error, brier, float(came_true.mean()), tuple(bins))
