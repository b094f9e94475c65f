"""Cost and time as one score."""

from __future__ import annotations

import pytest

from signalbox.decide.balance import balanced_scores
from signalbox.policy.world import Balance

SLOW, FAST = 3.0, 1.0


def scores(usd: list[float | None], seconds: list[float | None], cost: float = 1, latency: float = 1) -> list[float]:
    names = [str(place) for place in range(len(usd))]
    balance = Balance(cost=cost, latency=latency)
    return list(
        balanced_scores(dict(zip(names, usd, strict=True)), dict(zip(names, seconds, strict=True)), balance).values()
    )


def test_balance_weighs_cost_and_time_relative_to_the_best() -> None:
    usd, seconds = [3e-3, 1e-3], [FAST, SLOW]
    even = scores(usd, seconds)
    assert even[0] == pytest.approx(even[1])
    by_cost = scores(usd, seconds, cost=2)
    assert by_cost[1] < by_cost[0]
    by_time = scores(usd, seconds, latency=2)
    assert by_time[0] < by_time[1]


def test_where_all_models_are_free_time_alone_decides() -> None:
    first, second = scores([0.0, 0.0], [FAST, SLOW], cost=5)
    assert first < second


def test_the_best_in_both_scores_one_whatever_the_weights() -> None:
    assert scores([1e-3, 2e-3], [FAST, SLOW], cost=0.3, latency=7)[0] == pytest.approx(1.0)


def test_what_is_unknown_counts_as_the_worst_that_is_known() -> None:
    unknown, worst, best = scores([None, 4e-3, 1e-3], [FAST, FAST, FAST])
    assert unknown == worst > best
    assert scores([None, None], [None, None]) == [1.0, 1.0]
