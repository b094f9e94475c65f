"""Curves and quantiles of samples."""

from __future__ import annotations

from math import isnan

import pytest

from scenarios.load import Sample
from scenarios.series import by_span, first_run, quantile, share, share_by, ttft_by, within


def sample(at: float, model: str = "a", ttft: float | None = 0.1, error: str = "") -> Sample:
    return Sample(at, model, "default", 1, 200, ttft, 1.0, error)


def test_a_quantile_is_a_value_that_was_seen() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [quantile(values, q) for q in (0.0, 0.5, 0.95, 1.0)] == [1, 50, 95, 100]
    assert quantile([7.0], 0.95) == 7
    assert isnan(quantile([], 0.5))


def test_spans_cover_all_samples_and_empty_ones_are_gaps() -> None:
    times, counts = by_span([sample(0.0), sample(0.9), sample(2.5)], 1.0, lambda some: len(some))
    assert (times, counts) == ([0.5, 1.5, 2.5], [2, 0, 1])
    _, shares = share_by([sample(0.0), sample(0.5, "b"), sample(2.5)], 1.0, "a")
    assert (shares[0], isnan(shares[1]), shares[2]) == (0.5, True, 1.0)


def test_a_share_of_answers_leaves_errors_out_and_so_does_a_quantile_of_times() -> None:
    some = [sample(0.1), sample(0.2, "b", ttft=0.3), sample(0.3, "", None, "ConnectError")]
    assert share_by(some, 1.0, "a")[1] == [0.5]
    assert ttft_by(some, 1.0, 1.0)[1] == [0.3]
    assert share(some, lambda each: each.is_answered) == pytest.approx(2 / 3)
    assert within(some, 0.15, 0.3) == [some[1]]


def test_the_first_run_begins_where_enough_in_a_row_hold() -> None:
    some = [sample(0, model) for model in "aabababbbabb"]
    assert first_run(some, 4, 4, lambda each: each.model == "b") is None
    assert first_run(some, 4, 3, lambda each: each.model == "b") == 4
    assert first_run(some, 2, 2, lambda each: each.model == "a") == 0
    assert first_run([], 2, 2, lambda each: True) is None
