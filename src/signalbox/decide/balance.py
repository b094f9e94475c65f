"""One score from what an answer costs and what it takes, for ranking and for the models in front of a pool."""

from __future__ import annotations

import math
from collections.abc import Mapping

from signalbox.policy.world import Balance

FREE_USD = 1e-6  # what a free model counts as when costs are compared as ratios


def balanced_scores(
    usd: Mapping[str, float | None], seconds: Mapping[str, float | None], balance: Balance
) -> dict[str, float]:
    """Return a score for each model, least first: the weighted geometric mean of its cost and its time.

    usd, seconds: what a request is expected to cost and to take, for the same models; None where nobody knows.
    Each counts as a multiple of the best one's, so a score is 1 or more and has no unit. What is not known of a model
    counts as the worst multiple known of any, so it neither wins by silence nor is ruled out.
    """
    costs, times = _multiples(usd, FREE_USD), _multiples(seconds)
    cost, latency = balance.cost, balance.latency
    by_cost, by_time = cost / (cost + latency), latency / (cost + latency)
    return {model: costs[model] ** by_cost * times[model] ** by_time for model in costs}


def _multiples(values: Mapping[str, float | None], least: float = 0.0) -> dict[str, float]:
    """Return each value as a multiple of the best; what lies below `least` counts as that."""
    best, worst = math.inf, 0.0
    for value in values.values():
        if value is None:
            continue
        value = max(value, least)
        if 0.0 < value < best:
            best = value
        if value > worst:
            worst = value
    if worst == 0.0:
        return dict.fromkeys(values, 1.0)
    return {model: (worst if value is None else max(value, best)) / best for model, value in values.items()}
