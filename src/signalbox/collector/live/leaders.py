"""Which model is in front of each pool that is ranked by speed or balance.

Measurements of two models that are about equal cross again and again. The one in front therefore stays there until
another is better by `ranking.hysteresis`, and has been measured often enough to be believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from signalbox.decide.balance import balanced_scores
from signalbox.decide.speed import expected_seconds, samples_behind
from signalbox.decide.worth import usd
from signalbox.policy.schema import Policy, Prefer
from signalbox.policy.world import Balance
from signalbox.types import Price
from signalbox.world import UNKNOWN_MODEL, CircuitState, ModelState

MIN_SAMPLES = 3.0  # decayed: fewer are an anecdote

TYPICAL_PROMPT_TOKENS = 1000.0
"""Weighs input against output prices where there is no request to count: the order of a pool, not a bill."""

Lengths = Mapping[str, Mapping[str, float]]
"""Route -> model -> expected tokens of an answer."""


@dataclass(frozen=True, slots=True)
class RankedPool:
    """A pool as a policy describes it. key: "ROUTER/ROUTE"; the router's own pool has its name as route."""

    key: str
    route: str
    models: tuple[str, ...]
    prefer: Prefer
    balance: Balance


def ranked_pools(policy: Policy) -> Iterator[RankedPool]:
    """Yield the pools of a policy whose order follows from measured speed."""
    for name, router in policy.routers.items():
        pools = [(name, router.models, router.prefer)]
        pools += [(task.name, task.models, task.prefer) for task in router.tasks]
        for route, models, prefer in pools:
            if prefer in ("fastest", "balanced") and models:
                yield RankedPool(f"{name}/{route}", route, models, prefer, router.balance)


class Leaders:
    """The models in front, and their pools."""

    def __init__(self, default_output_tokens: float) -> None:
        self._default_output_tokens = default_output_tokens
        self._pools: tuple[RankedPool, ...] = ()
        self._hysteresis = 0.0
        self._leaders: dict[str, str] = {}

    def use(self, policy: Policy) -> None:
        """Take the pools of a policy. A leader stays if its pool still has it."""
        self._pools = tuple(ranked_pools(policy))
        self._hysteresis = policy.ranking.hysteresis
        known, self._leaders = self._leaders, {}
        for pool in self._pools:
            if known.get(pool.key) in pool.models:
                self._leaders[pool.key] = known[pool.key]

    def update(
        self, models: Mapping[str, ModelState], lengths: Lengths, prices: Mapping[str, Price | None]
    ) -> dict[str, str]:
        """Look at what is known now. Returns pool -> model in front, without pools nothing is known of.

        models, prices: by name; what is not there is unknown.
        """
        for pool in self._pools:
            leader = self._leader(pool, self._scores(pool, models, lengths, prices), models)
            if leader is not None:
                self._leaders[pool.key] = leader
        return dict(self._leaders)

    def _scores(
        self, pool: RankedPool, models: Mapping[str, ModelState], lengths: Lengths, prices: Mapping[str, Price | None]
    ) -> dict[str, float]:
        """Return a score for each model whose speed is known; lower is better."""
        learned = lengths.get(pool.route, {})
        tokens = {model: learned.get(model, self._default_output_tokens) for model in pool.models}
        seconds: dict[str, float] = {}
        for model in pool.models:
            expected = expected_seconds(models.get(model, UNKNOWN_MODEL), tokens[model], stream=True)
            if expected is not None:
                seconds[model] = expected
        if pool.prefer != "balanced":
            return seconds
        costs = {model: _typical_usd(prices.get(model), tokens[model]) for model in seconds}
        if all(cost is None for cost in costs.values()):
            return {}
        return balanced_scores(costs, seconds, pool.balance)

    def _leader(self, pool: RankedPool, scores: Mapping[str, float], models: Mapping[str, ModelState]) -> str | None:
        leader = self._leaders.get(pool.key)
        best, wanted = leader, math.inf
        if leader is not None and leader in scores and _serves(models[leader]):
            wanted = scores[leader] * (1 - self._hysteresis)
        for model in pool.models:  # of equal ones the first that the policy names
            score = scores.get(model, math.inf)
            if score < wanted and model != leader and _may_lead(models[model]):
                best, wanted = model, score
        return best


def _typical_usd(price: Price | None, output_tokens: float) -> float | None:
    return None if price is None else usd(price, TYPICAL_PROMPT_TOKENS, output_tokens)


def _serves(state: ModelState) -> bool:
    return state.circuit is not CircuitState.OPEN


def _may_lead(state: ModelState) -> bool:
    return _serves(state) and samples_behind(state) >= MIN_SAMPLES
