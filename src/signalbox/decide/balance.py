"""One score from what an answer costs and what it takes, for ranking and for the models in front of a pool."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

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
    best_usd, worst_usd = _ends(usd.values(), FREE_USD)
    best_seconds, worst_seconds = _ends(seconds.values(), 0.0)
    cost, latency = balance.cost, balance.latency
    by_cost, by_time = cost / (cost + latency), latency / (cost + latency)
    scores = {}
    for model, costs in usd.items():
        takes = seconds[model]
        dearer = (worst_usd if costs is None else costs if costs > best_usd else best_usd) / best_usd
        slower = (worst_seconds if takes is None else takes if takes > best_seconds else best_seconds) / best_seconds
        scores[model] = dearer**by_cost * slower**by_time
    return scores


def _ends(values: Iterable[float | None], least: float) -> tuple[float, float]:
    """Return the best and the worst of the values above 0; 1 and 1 where there are none. least: what less counts as."""
    best, worst = math.inf, 0.0
    for value in values:
        if value is None:
            continue
        if value < least:
            value = least
        if 0.0 < value < best:
            best = value
        if value > worst:
            worst = value
    return (best, worst) if worst > 0.0 else (1.0, 1.0)
