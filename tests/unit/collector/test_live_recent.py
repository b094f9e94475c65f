"""The percentile of the newest measurements."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.collector.live.recent import FEWEST, MOST, OLDEST_SECONDS, WINDOW_SECONDS, Recent


def test_nothing_is_known_before_anything_was_measured():
    assert Recent().p95(0.0) is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=MOST))
def test_it_is_the_percentile_of_the_window(values):
    recent = Recent()
    for value in values:
        recent.add(value, 100.0)

    assert recent.p95(100.0) == (np.percentile(values, 95, method="inverted_cdf"), len(values))


def test_what_is_older_than_the_window_counts_no_more():
    recent = Recent()
    for second in range(100):
        for _ in range(5):
            recent.add(9.0 if second < 50 else 1.0, float(second))
        if second == 50 + WINDOW_SECONDS // 2:
            assert recent.p95(float(second))[0] == 9

    assert recent.p95(99.0) == (1, 5 * (WINDOW_SECONDS + 1))


def test_where_requests_are_rare_the_newest_few_count_until_they_are_too_old():
    recent = Recent()
    for index in range(60):
        recent.add(float(index), index * 3.0)

    assert recent.p95(177.0) == (58, FEWEST)
    assert recent.p95(177.0 + OLDEST_SECONDS - 3) == (59, 2)
    assert recent.p95(177.0 + OLDEST_SECONDS) == (59, 1)
    assert recent.p95(178.0 + OLDEST_SECONDS) is None


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_what_cannot_be_is_left_out(seconds):
    recent = Recent()
    recent.add(seconds, 0.0)

    assert recent.p95(0.0) is None
