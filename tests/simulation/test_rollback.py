"""How often a rollback is wrong, and how soon a bad side is noticed."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest

from signalbox.collector.live.betting import RateTest, RatioTest
from signalbox.collector.live.rollout import RollbackReason
from tests.simulation.two_sides import requests, run

RUNS = 200


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_a_side_just_within_every_limit_is_rarely_rolled_back_although_every_request_is_looked_at(share):
    """The hardest good side there is: any worse, and a rollback would be right."""
    wrong = sum(
        run(requests(seed, share, 0.05, 1.5, 1.5), 1000, confidence=0.9, min_requests=10) is not None
        for seed in range(RUNS)
    )

    assert wrong <= 0.1 * RUNS


def test_a_side_like_the_others_is_never_rolled_back():
    wrong = sum(
        run(requests(seed, 0.5, 0.03), 1000, confidence=0.9, min_requests=10) is not None for seed in range(RUNS // 2)
    )

    assert wrong <= 1


@pytest.mark.parametrize(
    ("worse", "reason", "typical", "most"),
    [
        ({"errors": 0.15}, RollbackReason.ERRORS, 150, 500),
        ({"slower": 3.0}, RollbackReason.TTFT, 100, 300),
        ({"dearer": 3.0}, RollbackReason.COST, 100, 300),
    ],
    ids=["errors", "ttft", "cost"],
)
def test_a_side_three_times_worse_is_rolled_back_soon_and_for_that_reason(worse, reason, typical, most):
    found = [run(requests(seed, 0.1, **worse), 10 * most) for seed in range(40)]

    assert {each.reason if each else None for each in found} == {reason}
    assert median(each.requests for each in found if each) <= typical


def test_a_side_that_turns_bad_after_a_long_good_time_is_noticed_nearly_as_soon():
    for seed in range(10):
        good, bad = requests(seed, 1.0, errors=0.01), requests(seed, 1.0, errors=0.3)
        test, failing = RateTest(0.05), 0
        for _ in range(5000):
            test.add(bool(next(good).failed))
        while test.evidence < 300:
            test.add(bool(next(bad).failed))
            failing += 1

        assert failing < 120


def test_what_slows_both_sides_says_nothing_about_either():
    dice, test = Random(1), RatioTest(1.5)
    for index in range(3000):
        weather = 1 + 9 * (index // 100 % 2)
        test.add_other(weather * dice.lognormvariate(0, 0.5))
        test.add(weather * dice.lognormvariate(0, 0.5))

    assert test.evidence < 2


def test_rare_very_dear_requests_are_noticed_although_the_usual_one_costs_the_same():
    dice, test, pairs = Random(1), RatioTest(1.5), 0
    while test.evidence < 300:
        test.add_other(dice.lognormvariate(0, 0.5))
        test.add((40 if dice.random() < 0.1 else 1) * dice.lognormvariate(0, 0.5))
        pairs += 1

    assert pairs < 500
