"""The threshold that an aim needs, and how sure it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.errors import SetupError
from signalbox.evaluation.calibrate.threshold import (
    MIN_REQUESTS,
    Traffic,
    calibrate,
    for_budget,
    for_quality,
    for_share,
)

ROWS = np.arange(100) / 100


def traffic(scores: Any = ROWS, **more: Any) -> Traffic:
    return Traffic(
        np.asarray(scores, dtype=float), **{name: np.asarray(each, dtype=float) for name, each in more.items()}
    )


@given(st.lists(st.integers(0, 1000), min_size=MIN_REQUESTS, max_size=120, unique=True), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_the_share_at_or_above_the_threshold_is_the_one_wanted(scores: list[int], share: float) -> None:
    column = np.array(scores) / 1000
    found = calibrate(traffic(column), for_share(share))
    reached = float((column >= found.threshold.value).mean())
    assert reached == pytest.approx(found.strong_share.value)
    assert reached == pytest.approx(share, abs=0.5 / len(scores) + 1e-9)
    assert found.threshold.low <= found.threshold.value <= found.threshold.high


def test_equal_scores_are_not_parted_and_what_is_reached_is_said() -> None:
    found = calibrate(traffic([0.2] * 70 + [0.9] * 30), for_share(0.5))
    assert (found.threshold.value, found.strong_share.value) == (0.9, 0.3)


def test_a_share_of_nothing_is_above_every_score() -> None:
    found = calibrate(traffic(), for_share(0.0))
    assert found.threshold.value > 1
    assert found.strong_share.value == 0


def test_a_budget_buys_the_largest_share_it_can() -> None:
    costs = {"strong_usd": np.full(100, 0.010), "weak_usd": np.full(100, 0.001)}
    found = calibrate(traffic(**costs), for_budget(5.5))
    assert (found.threshold.value, found.strong_share.value) == (0.5, 0.5)
    assert found.usd_per_1000 is not None
    assert found.usd_per_1000.value == pytest.approx(5.5)
    assert calibrate(traffic(**costs), for_budget(10.0)).strong_share.value == 1.0


def test_a_budget_counts_what_those_requests_cost_that_it_buys() -> None:
    dear = np.where(ROWS >= 0.8, 0.100, 0.010)
    found = calibrate(traffic(strong_usd=dear, weak_usd=np.full(100, 0.001)), for_budget(10.0))
    assert found.strong_share.value == pytest.approx(0.09)  # of the hundred, nine at ten cents


def test_a_quality_floor_costs_the_smallest_share_that_keeps_it() -> None:
    weak = np.where(ROWS < 0.6, 1.0, 0.0)
    found = calibrate(traffic(strong_quality=np.ones(100), weak_quality=weak), for_quality(0.95))
    assert found.strong_share.value == pytest.approx(0.35)
    assert found.of_strong is not None
    assert found.of_strong.value == pytest.approx(0.95)


def test_a_share_that_keeps_the_floor_by_luck_and_loses_it_again_is_no_answer() -> None:
    strong = np.where(ROWS > 0.9, 1.0, np.where(ROWS > 0.7, 0.0, 1.0))
    weak = np.where(ROWS > 0.9, 0.0, np.where(ROWS > 0.7, 1.0, 0.0))
    found = calibrate(traffic(strong_quality=strong, weak_quality=weak), for_quality(1.0))
    assert found.strong_share.value > 0.3


def test_a_weak_tier_that_is_as_good_takes_everything() -> None:
    found = calibrate(traffic(strong_quality=np.ones(100), weak_quality=np.ones(100)), for_quality(1.0))
    assert found.strong_share.value == 0


def test_intervals_hold_what_other_samples_say() -> None:
    dice = np.random.default_rng(1)
    held = 0
    for seed in range(40):
        found = calibrate(traffic(dice.beta(2, 5, 300)), for_share(0.3), seed=seed)
        held += found.threshold.low <= 0.3503 <= found.threshold.high  # the quantile of the distribution
    assert held >= 34  # of 40 intervals of 95 %, all but 2 on average


def test_the_same_seed_makes_the_same_intervals() -> None:
    assert calibrate(traffic(), for_share(0.3), seed=4) == calibrate(traffic(), for_share(0.3), seed=4)


@pytest.mark.parametrize(
    ("scores", "found"),
    [([0.1, 0.2], "2 requests have a score"), ([], "0 requests"), ([0.5] * 60, "all 60 requests have the score 0.5")],
)
def test_too_few_requests_or_all_of_one_score_are_refused(scores: list[float], found: str) -> None:
    with pytest.raises(SetupError, match=found):
        calibrate(traffic(scores), for_share(0.5))
