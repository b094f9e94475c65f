"""Models in the order that a goal wants, by how likely each is expected to succeed at the request."""

from __future__ import annotations

from collections.abc import Mapping

from signalbox.decide.pools import Pool, make_pool
from signalbox.policy.schema import Goal, Prefer

EXPECTED = 0.5
"""Chance from which on a model is expected to succeed, unless the policy's `min_score` says another."""

_RANKED: dict[Goal, Prefer] = {"lowest_cost": "cheapest", "fastest": "fastest"}


def pool_by_success(pool: Pool, goal: Goal, chances: Mapping[str, float], floor: float) -> Pool:
    """Return a pool for one request. chances: by model; one without any is expected to fail.

    `highest_quality` takes models by their chances, whatever they cost; `lowest_cost` and `fastest` the cheapest or
    fastest of those expected to succeed, or the likeliest where none is. The others stand behind, likeliest first.
    """
    likeliest = sorted(pool.candidates, key=lambda candidate: -chances.get(candidate.model, 0.0))
    if goal not in _RANKED:
        return make_pool(pool.route, likeliest, pool.chain, "manual", pool.balance)
    able = [candidate for candidate in pool.candidates if chances.get(candidate.model, 0.0) >= floor]
    return make_pool(pool.route, able or likeliest[:1], (*likeliest, *pool.chain), _RANKED[goal], pool.balance)
