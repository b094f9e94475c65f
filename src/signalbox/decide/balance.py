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
    costs = _multiples({model: None if cost is None else max(cost, FREE_USD) for model, cost in usd.items()})
    times = _multiples(seconds)
    total = balance.cost + balance.latency
    return {
        model: math.exp((balance.cost * math.log(costs[model]) + balance.latency * math.log(times[model])) / total)
        for model in costs
    }


def _multiples(values: Mapping[str, float | None]) -> dict[str, float]:
    known = [value for value in values.values() if value is not None and value > 0]
    if not known:
        return dict.fromkeys(values, 1.0)
    best, worst = min(known), max(known)
    return {model: (worst if value is None else max(value, best)) / best for model, value in values.items()}
