"""Thresholds that make a share or keep to a budget, within bounds, and stand still when the scores drift."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.engines.cuts import (
    MIN_PRICED,
    MIN_SCORES,
    SAVE_SECONDS,
    UNPRICED_SHARE,
    WINDOW,
    Aim,
    Cut,
    Cuts,
)
from signalbox.engines.drift import DRIFTED, LATELY, REFERENCE, Drift
from signalbox.policy.engines import Judge
from signalbox.store.base import StoreError
from signalbox.types import Threshold, ThresholdState

scores = st.floats(0, 1, width=32)
LEARNING, FOLLOWING, BOUNDED, FROZEN = ThresholdState


class Facts:
    """The two operations of a store that thresholds need."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.kept: dict[str, bytes] = {}
        self.is_down = is_down

    def get(self, name: str) -> bytes | None:
        if self.is_down:
            raise StoreError("down", "gone")
        return self.kept.get(name)

    def put(self, name: str, value: bytes) -> None:
        if self.is_down:
            raise StoreError("down", "gone")
        self.kept[name] = value


def shares(store: Facts | None, clock: list[float], aim: Aim = Aim(0.25)) -> Cuts:  # noqa: B008  frozen
    cuts = Cuts({"r": aim}, {"r": "r/judge"}, lambda: clock[0])
    cuts.use(store)  # type: ignore[arg-type]
    return cuts


def seeing(aim: Aim, seen: Iterable[float]) -> Cut:
    cut = Cut(aim)
    for score in seen:
        cut.saw(score)
    return cut


def value(threshold: Threshold | None) -> float | None:
    return None if threshold is None else threshold.value


@given(st.lists(scores, min_size=MIN_SCORES, max_size=300, unique=True), st.floats(0, 1))
@settings(deadline=None)
def test_the_share_of_known_scores_at_or_above_the_threshold_is_the_target(seen: list[float], share: float) -> None:
    threshold = seeing(Aim(share), seen).threshold
    assert threshold is not None
    assert threshold.state is FOLLOWING
    assert sum(score >= threshold.value for score in seen) == round(share * len(seen))


@given(st.integers(0, 2**32), st.floats(0.05, 0.95), st.floats(0.5, 4.0), st.floats(0.5, 4.0))
@settings(max_examples=12, deadline=None)
def test_on_traffic_that_stays_as_it_is_the_share_of_requests_becomes_the_target(
    seed: int, share: float, alpha: float, beta: float
) -> None:
    dice = random.Random(seed)
    cut, strong, total = Cut(Aim(share)), 0, 0
    for number in range(3000):
        score, threshold = dice.betavariate(alpha, beta), cut.threshold
        if number >= 500 and threshold is not None:
            strong, total = strong + (score >= threshold.value), total + 1
        cut.saw(score)
    # Three standard errors of the requests counted and as many of the window behind the threshold.
    assert strong / total == pytest.approx(
        share, abs=3 * math.sqrt(share * (1 - share) * (1 / total + 1 / 1000)) + 0.002
    )


@given(st.lists(scores, min_size=MIN_SCORES, max_size=200), st.floats(0, 1), scores, scores)
@settings(deadline=None)
def test_the_threshold_never_leaves_its_bounds(seen: list[float], share: float, one: float, other: float) -> None:
    least, greatest = sorted((one, other))
    cut = Cut(Aim(share, bounds=(least, greatest)))
    for score in seen:
        cut.saw(score)
        threshold = cut.threshold
        assert threshold is None or least <= threshold.value <= greatest


def test_a_threshold_at_its_bounds_says_so() -> None:
    seen = [number / 100 for number in range(100)]
    assert seeing(Aim(0.5, bounds=(0.6, 0.9)), seen).threshold == (0.6, BOUNDED)
    assert seeing(Aim(0.3, bounds=(0.6, 0.9)), seen).threshold == (0.7, FOLLOWING)


def test_too_few_scores_say_nothing() -> None:
    assert seeing(Aim(0.5), (0.5,) * (MIN_SCORES - 1)).threshold is None


def test_a_share_of_nothing_is_above_every_score_and_a_share_of_all_below() -> None:
    seen = tuple(number / 100 for number in range(100))
    assert value(seeing(Aim(0.0), seen).threshold) == math.inf
    assert value(seeing(Aim(1.0), seen).threshold) == 0.0


def test_a_single_request_may_have_a_share_of_its_own() -> None:
    cuts = shares(None, [0.0])
    for number in range(100):
        cuts.saw("r", number / 100)
    assert [value(cuts.of([("r", share)])["r"]) for share in (None, 0.5, 1.0, 0.0)] == [0.75, 0.5, 0.0, math.inf]


def traffic(cut: Cut, draw: Callable[[], float], requests: int) -> Threshold:
    for _ in range(requests):
        cut.saw(draw())
    threshold = cut.threshold
    assert threshold is not None
    return threshold


def test_scores_that_move_away_freeze_the_threshold_where_it_was_and_their_return_frees_it() -> None:
    dice = random.Random(1)
    cut = Cut(Aim(0.25))
    calm = traffic(cut, lambda: dice.uniform(0.0, 0.4), 3000)
    assert calm == (pytest.approx(0.3, abs=0.02), FOLLOWING)
    frozen = traffic(cut, lambda: dice.uniform(0.3, 1.0), 2000)
    assert frozen == (pytest.approx(0.3, abs=0.02), FROZEN)
    back = traffic(cut, lambda: dice.uniform(0.0, 0.4), 600)
    assert back == (pytest.approx(0.3, abs=0.02), FOLLOWING)


def test_a_drift_too_slow_for_any_one_look_is_seen_against_the_beginning() -> None:
    dice = random.Random(2)
    cut = Cut(Aim(0.25))
    traffic(cut, lambda: dice.betavariate(2, 5), 2000)
    for step in range(3000):
        cut.saw(min(1.0, dice.betavariate(2, 5) + step / 8000))
    threshold = cut.threshold
    assert threshold is not None
    assert threshold.state is FROZEN


def test_a_threshold_that_is_to_follow_does() -> None:
    dice = random.Random(1)
    cut = Cut(Aim(0.25, freezes=False))
    assert traffic(cut, lambda: dice.uniform(0.1, 0.2), 3000).value == pytest.approx(0.175, abs=0.01)
    assert traffic(cut, lambda: dice.uniform(0.6, 1.0), WINDOW) == (pytest.approx(0.9, abs=0.02), FOLLOWING)


@given(st.integers(0, 2**32), st.floats(0.3, 5.0), st.floats(0.3, 5.0))
@settings(max_examples=25, deadline=None)
def test_scores_of_one_distribution_are_never_taken_for_drift(seed: int, alpha: float, beta: float) -> None:
    dice = random.Random(seed)
    drift = Drift([dice.betavariate(alpha, beta) for _ in range(REFERENCE)])
    for _ in range(2 * LATELY):
        drift.saw(dice.betavariate(alpha, beta))
    assert drift.index is not None
    assert drift.index < DRIFTED / 2


@pytest.mark.parametrize("reference", [[], [0.5] * 100, [0.0, 1.0] * 50])
def test_any_reference_can_be_compared_with(reference: list[float]) -> None:
    drift = Drift(reference)
    assert drift.index is None
    for _ in range(LATELY):
        drift.saw(0.5)
    assert drift.index is not None
    assert math.isfinite(drift.index)


def test_a_changed_aim_takes_what_comes_from_then_on_as_the_reference() -> None:
    dice = random.Random(3)
    cut = Cut(Aim(0.25))
    traffic(cut, lambda: dice.uniform(0.0, 0.4), 3000)
    assert traffic(cut, lambda: dice.uniform(0.6, 1.0), 1000).state is FROZEN
    assert cut.with_aim(Aim(0.25)) is cut
    renewed = cut.with_aim(Aim(0.3))
    assert traffic(renewed, lambda: dice.uniform(0.6, 1.0), WINDOW) == (pytest.approx(0.88, abs=0.02), FOLLOWING)


@pytest.mark.parametrize("usd_per_1000", [1.5, 3.0, 8.0])
def test_a_budget_is_kept_by_the_share_that_costs_it(usd_per_1000: float) -> None:
    dice = random.Random(4)
    cut, fallback, spent = Cut(Aim(usd_per_1000=usd_per_1000)), 0.5, []
    for _ in range(6000):
        score, threshold = dice.random(), cut.threshold
        strong = score >= (fallback if threshold is None else threshold.value)
        usd = (0.010 if strong else 0.001) * dice.uniform(0.5, 1.5)
        spent.append(usd)
        cut.saw(score, usd, strong=strong)
    assert 1000 * sum(spent[2000:]) / 4000 == pytest.approx(usd_per_1000, rel=0.08)


def test_a_tier_whose_cost_nobody_knows_gets_a_tenth_until_it_is_known() -> None:
    cut = Cut(Aim(usd_per_1000=5.0))
    for number in range(100):
        cut.saw(number / 100, 0.001, strong=False)
    threshold = cut.threshold
    assert threshold is not None
    assert threshold.value == pytest.approx(1 - UNPRICED_SHARE)
    for _ in range(MIN_PRICED):
        cut.saw(0.95, 0.009, strong=True)
    threshold = cut.threshold
    assert threshold is not None
    assert threshold.value < 0.7


def test_requests_without_a_price_leave_a_budget_learning() -> None:
    assert seeing(Aim(usd_per_1000=5.0), [0.5] * 200).threshold is None


@pytest.mark.parametrize(("usd_per_1000", "threshold"), [(5.0, 0.5), (0.5, math.inf)])
def test_where_the_strong_tier_costs_no_more_it_takes_all_or_what_nobody_can_pay_takes_none(
    usd_per_1000: float, threshold: float
) -> None:
    cut = Cut(Aim(usd_per_1000=usd_per_1000))
    for number in range(200):
        cut.saw(0.5, 0.001, strong=number % 2 == 0)
    assert value(cut.threshold) == threshold


def test_what_is_no_number_is_not_taken_in() -> None:
    cut = seeing(Aim(0.5), (0.5,) * MIN_SCORES)
    cut.saw(math.nan)
    assert value(cut.threshold) == 0.5


def test_scores_reference_and_costs_survive_a_restart() -> None:
    dice = random.Random(5)
    store, clock = Facts(), [0.0]
    cuts = shares(store, clock)
    for _ in range(3000):
        cuts.saw("r", dice.uniform(0.0, 0.4), 0.002, at=0.3)
    clock[0] += SAVE_SECONDS
    cuts.saw("r", 0.2)
    after = shares(store, clock)
    [before, now] = [each.of([("r", None)])["r"] for each in (cuts, after)]
    assert now.value == pytest.approx(before.value, abs=1e-6)
    for _ in range(1000):
        after.saw("r", dice.uniform(0.6, 1.0))
    assert after.of([("r", None)])["r"].state is FROZEN


@pytest.mark.parametrize("store", [None, Facts(is_down=True)])
def test_without_a_store_they_are_kept_in_memory_alone(store: Facts | None) -> None:
    clock = [0.0]
    cuts = shares(store, clock)
    for number in range(200):
        clock[0] += SAVE_SECONDS
        cuts.saw("r", number / 200)
    assert cuts.of([("r", None)])["r"].value == pytest.approx(0.75)
    assert shares(store, clock).of([("r", None)]) == {}


@pytest.mark.parametrize(
    "kept", [b"", b"abc", b"\xff" * 4000, b"\x00\x00\x80\x7f" * 100, b"\x95\xc4\x01a\xc0\xc0\xc0\xc0"]
)
def test_a_damaged_fact_is_nothing_known(kept: bytes) -> None:
    assert Cut.of_bytes(Aim(0.5), kept).threshold is None


def test_a_router_without_an_aim_has_no_threshold_and_keeps_no_scores() -> None:
    store, clock = Facts(), [0.0]
    cuts = shares(store, clock)
    clock[0] += SAVE_SECONDS
    cuts.saw("other", 0.5)
    assert cuts.of([("other", None)]) == {}
    assert store.kept == {}


def test_the_aim_of_a_router_is_what_its_engine_says() -> None:
    tiers = {"name": "builtin", "strong": "hard", "weak": "simple"}
    assert Aim.of(Judge.model_validate(tiers | {"target_share": 0.3})) == Aim(0.3)
    bounded = tiers | {"usd_per_1000": 4, "threshold_bounds": {"min": 0.2, "max": 0.8}, "drift": "follow"}
    assert Aim.of(Judge.model_validate(bounded)) == Aim(None, 4.0, (0.2, 0.8), freezes=False)
