"""Decayed quantiles agree with exact weighted ones, within their stated bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.collector.live.quantiles import LEAST_SECONDS, MOST_SECONDS, RELATIVE_ERROR, DecayedQuantiles

durations = st.floats(LEAST_SECONDS, MOST_SECONDS)
gaps = st.floats(0, 500)
HALF_LIFE = 120.0


def exact(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The least value with at least `share` of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, share * reached[-1] * (1 - 1e-9))])


def assert_close(found: float, wanted: float) -> None:
    assert abs(found / wanted - 1) <= RELATIVE_ERROR + 1e-9


@given(st.lists(durations, min_size=1, max_size=300))
def test_without_decay_they_are_numpys_quantiles(values: list[float]) -> None:
    quantiles = DecayedQuantiles(HALF_LIFE)
    for value in values:
        quantiles.add(value, 5.0)
    timing = quantiles.timing(5.0)
    assert timing is not None
    assert_close(timing.p50, float(np.quantile(values, 0.5, method="inverted_cdf")))
    assert_close(timing.p95, exact(np.array(values), np.ones(len(values)), 0.95))
    assert timing.samples == pytest.approx(len(values))


@settings(max_examples=200)
@given(st.lists(st.tuples(durations, gaps), min_size=1, max_size=300))
def test_with_decay_they_are_the_quantiles_of_the_weighted_values(stream: list[tuple[float, float]]) -> None:
    quantiles = DecayedQuantiles(HALF_LIFE)
    times = np.cumsum([gap for _, gap in stream])
    for (value, _), now in zip(stream, times, strict=True):
        quantiles.add(value, float(now))
    values, end = np.array([value for value, _ in stream]), times[-1]
    weights = 0.5 ** ((end - times) / HALF_LIFE)
    timing = quantiles.timing(float(end))
    assert timing is not None
    assert timing.samples == pytest.approx(weights.sum(), rel=1e-6)
    for share, found in ((0.5, timing.p50), (0.95, timing.p95)):
        # Where the exact rank lies a rounding error from a step, either side of it is right.
        assert any(
            abs(found / exact(values, weights, share + d) - 1) <= RELATIVE_ERROR + 1e-9 for d in (0, 1e-7, -1e-7)
        )


def test_a_slowdown_is_seen_after_one_half_life_of_equal_traffic() -> None:
    quantiles = DecayedQuantiles(HALF_LIFE)
    for second in range(1200):
        quantiles.add(0.2, float(second))
    for second in range(1200, 1200 + 121):
        quantiles.add(0.6, float(second))
    timing = quantiles.timing(1321.0)
    assert timing is not None
    assert_close(timing.p50, 0.6)


def test_time_alone_lets_samples_fade_and_keeps_the_quantiles() -> None:
    quantiles = DecayedQuantiles(HALF_LIFE)
    for _ in range(8):
        quantiles.add(0.3, 0.0)
    now, later = quantiles.timing(0.0), quantiles.timing(3 * HALF_LIFE)
    assert now is not None
    assert later is not None
    assert (later.p50, later.p95) == (now.p50, now.p95)
    assert later.samples == pytest.approx(1.0)
    assert quantiles.timing(1e9) is None


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -math.inf, -0.001])
def test_what_is_no_duration_is_not_counted(nonsense: float) -> None:
    quantiles = DecayedQuantiles(HALF_LIFE)
    assert not quantiles.add(nonsense, 1.0)
    assert quantiles.timing(1.0) is None


@pytest.mark.parametrize(("huge", "counted_as"), [(1e300, MOST_SECONDS), (0.0, LEAST_SECONDS), (5e-324, LEAST_SECONDS)])
def test_what_is_out_of_range_counts_as_the_nearest_end(huge: float, counted_as: float) -> None:
    quantiles = DecayedQuantiles(HALF_LIFE)
    assert quantiles.add(huge, 1.0)
    timing = quantiles.timing(1.0)
    assert timing is not None
    assert timing.p95 == pytest.approx(counted_as, rel=0.05)


@given(st.lists(st.tuples(durations, st.floats(-1e12, 1e12)), min_size=1, max_size=60))
def test_a_clock_that_jumps_leaves_finite_figures(stream: list[tuple[float, float]]) -> None:
    quantiles = DecayedQuantiles(HALF_LIFE)
    for value, now in stream:
        quantiles.add(value, now)
        timing = quantiles.timing(now)
        assert timing is not None
        assert LEAST_SECONDS <= timing.p50 <= timing.p95 <= MOST_SECONDS * 1.04
        assert 0 < timing.samples <= len(stream)


def test_a_clock_that_steps_back_does_not_give_a_sample_more_weight_than_one() -> None:
    quantiles = DecayedQuantiles(HALF_LIFE)
    quantiles.add(1.0, 1000.0)
    quantiles.add(2.0, 10.0)
    timing = quantiles.timing(10.0)
    assert timing is not None
    assert timing.samples == pytest.approx(2.0)


def test_a_changed_half_life_applies_from_now_on() -> None:
    quantiles = DecayedQuantiles(10.0)
    quantiles.add(1.0, 0.0)
    quantiles.change_half_life(100.0, 10.0)  # half is left
    quantiles.add(2.0, 110.0)  # a quarter is left
    timing = quantiles.timing(110.0)
    assert timing is not None
    assert timing.samples == pytest.approx(1.25)
    assert_close(timing.p50, 2.0)
