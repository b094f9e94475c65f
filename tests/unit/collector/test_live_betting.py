"""Evidence by betting: what it may never do. How strong it is: tests/simulation/test_rollback.py."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.collector.live.betting import FIRST_FEW, RateTest, RatioTest


@pytest.mark.parametrize("limit", [0.05, 0.3, 0.5])
def test_a_bet_on_a_share_at_its_limit_is_fair_over_all_that_may_happen(limit):
    """Exact: the mean of the capital over every sequence of nine, weighed by its probability, is 1."""
    expected = 0.0
    for sequence in product([False, True], repeat=9):
        test, probability = RateTest(limit), 1.0
        for is_failure in sequence:
            test.add(is_failure)
            probability *= limit if is_failure else 1 - limit
        expected += probability * test.evidence

    assert expected == pytest.approx(1)


def test_a_bet_on_a_ratio_just_kept_is_fair_over_all_that_may_happen():
    values, expected = (0.5, 1.0, 30.0), []
    for sequence in product(product(values, values), repeat=3):
        test = RatioTest(2.0)
        for _ in range(FIRST_FEW):
            test.add_other(1.0)
        for mine, other in sequence:
            test.add_other(other)
            test.add(2 * mine)
        expected.append(test.evidence)

    assert sum(expected) / len(expected) == pytest.approx(1)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1e12)), max_size=200), st.floats(1.01, 100))
def test_evidence_is_never_negative_nor_not_a_number(values, ratio):
    test, rate = RatioTest(ratio), RateTest(0.0)
    for is_mine, value in values:
        (test.add if is_mine else test.add_other)(value)
        rate.add(is_mine)

    assert 0 <= test.evidence < float("inf")
    assert 0 <= rate.evidence < float("inf")


def test_a_limit_of_zero_is_refuted_by_one_failure_and_a_limit_of_one_by_none():
    never, always = RateTest(0.0), RateTest(1.0)
    for index in range(100):
        never.add(index == 50)
        always.add(True)

    assert never.evidence > 1000
    assert always.evidence == pytest.approx(1)


def test_one_side_alone_is_no_evidence():
    mine, other = RatioTest(1.5), RatioTest(1.5)
    for _ in range(100):
        mine.add(1e9)
        other.add_other(1.0)

    assert mine.evidence == other.evidence == 1


def test_the_others_may_be_free_of_charge():
    test = RatioTest(1.5)
    for _ in range(100):
        test.add_other(0.0)
        test.add(5.0)

    assert test.evidence == 1
