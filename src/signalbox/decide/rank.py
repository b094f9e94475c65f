"""The order in which candidates are tried."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from signalbox.decide.balance import balanced_scores
from signalbox.decide.counts import Counts
from signalbox.decide.speed import expected_seconds
from signalbox.decide.worth import cached_share, expected_output, price_of, usd
from signalbox.policy.schema import Prefer
from signalbox.policy.world import Balance, Ranking
from signalbox.types import Candidate, Case, Price
from signalbox.world import UNKNOWN_MODEL

Candidates = tuple[Candidate, ...]

RECENT_SAMPLES = 1.0  # decayed; below it a measurement is old enough to be taken again


class Measures(NamedTuple):
    """What one request is expected to cost and to take with each candidate, worked out when it is asked for."""

    case: Case
    counts: Counts
    route: str
    outputs: Mapping[str, float]  # model -> expected tokens of the answer
    prices: Mapping[str, Price | None]

    @classmethod
    def of(cls, case: Case, counts: Counts, route: str, candidates: Candidates) -> Measures:
        world, features = case.signals.world, case.features
        return cls(
            case,
            counts,
            route,
            {c.model: expected_output(route, c.model, features, world) for c in candidates},
            {c.model: price_of(c, world) for c in candidates},
        )

    def usd(self, candidate: Candidate) -> float | None:
        """Return what the request is expected to cost with a candidate; None when its price is unknown.

        With the session's own model, the share of the prompt that was read from the cache last time is so again.
        """
        price = self.prices[candidate.model]
        if price is None:
            return None
        tokens = self.counts.count(candidate).tokens
        share = cached_share(self.case.signals.pin, candidate.model)
        return usd(price, tokens, self.outputs[candidate.model], tokens * share)

    def fresh_usd(self, candidate: Candidate) -> float | None:
        """Return the same for a session that begins with this request: what candidates are ranked by.

        Whether a session's cache is worth staying for is `affinity.pays_to_leave`'s question, over all of its turns.
        """
        price = self.prices[candidate.model]
        if price is None:
            return None
        return usd(price, self.counts.count(candidate).tokens, self.outputs[candidate.model])

    def seconds(self, candidate: Candidate) -> float | None:
        """Return what the answer is expected to take; None when nothing was measured."""
        state = self.case.signals.world.models.get(candidate.model, UNKNOWN_MODEL)
        return expected_seconds(state, self.outputs[candidate.model], stream=self.case.request.scan.stream)


def rank_cheapest(candidates: Candidates, measures: Measures) -> Candidates:
    """Return the candidates by expected cost, cheapest first; ties by name, unknown prices last."""
    if len(candidates) < 2:
        return candidates
    measures.counts.settle_order(candidates, measures.prices, measures.outputs)

    def cost(candidate: Candidate) -> tuple[float, str]:
        expected = measures.fresh_usd(candidate)
        return (math.inf if expected is None else expected, candidate.model)

    return tuple(sorted(candidates, key=cost))


def rank_fastest(candidates: Candidates, measures: Measures, ranking: Ranking, leader: str | None) -> Candidates:
    """Return the candidates by expected time; those nothing is known of last, in the order given.

    leader: the model that was in front, which stays there until another is better by the policy's hysteresis.
    """
    return _by_score(candidates, {c.model: measures.seconds(c) for c in candidates}, ranking, leader)


def rank_balanced(
    candidates: Candidates, measures: Measures, ranking: Ranking, leader: str | None, balance: Balance
) -> Candidates:
    """Return the candidates by expected cost and time, weighted; see `balanced_scores`."""
    costs: dict[str, float | None] = {}
    times: dict[str, float | None] = {}
    for candidate in candidates:
        if measures.prices[candidate.model] is not None:
            measures.counts.settle(candidate)
        costs[candidate.model] = measures.fresh_usd(candidate)
        times[candidate.model] = measures.seconds(candidate)
    return _by_score(candidates, balanced_scores(costs, times, balance), ranking, leader)


def _by_score(
    candidates: Candidates, scores: Mapping[str, float | None], ranking: Ranking, leader: str | None
) -> Candidates:
    """Sort by score, least first; unknown ones last and ties in the order given."""

    def score(candidate: Candidate) -> float:
        found = scores[candidate.model]
        if found is None:
            return math.inf
        return found * (1.0 - ranking.hysteresis) if candidate.model == leader else found

    return tuple(sorted(candidates, key=score))


def rank_as_requested(candidates: Candidates, models: tuple[str, ...]) -> Candidates:
    """Return the candidates in the order of the body's `models`, which names all of them."""
    return tuple(sorted(candidates, key=lambda candidate: models.index(candidate.model)))


def explore(candidates: Candidates, case: Case, ranking: Ranking) -> Candidate | None:
    """Return a candidate nothing recent is known of, for the policy's share of requests; None for all others."""
    signals = case.signals
    if signals.dice >= ranking.explore:
        return None
    models = signals.world.models
    stale = []
    for candidate in candidates:
        state = models.get(candidate.model, UNKNOWN_MODEL)
        timing = state.ttft if case.request.scan.stream else state.whole
        if timing is None or timing.samples < RECENT_SAMPLES:
            stale.append(candidate)
    if not stale:
        return None
    return stale[int(signals.dice / ranking.explore * len(stale))]


def measured(prefer: Prefer) -> bool:
    """Whether an order follows measurements, so that somebody has to be measured for it."""
    return prefer in ("fastest", "balanced")
