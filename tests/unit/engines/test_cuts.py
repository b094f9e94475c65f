"""Thresholds that make a share."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.engines.cuts import MIN_SCORES, SAVE_SECONDS, WINDOW, Cut, Cuts
from signalbox.store.base import StoreError

scores = st.floats(0, 1, width=32)


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


def shares(store: Facts | None, clock: list[float]) -> Cuts:
    cuts = Cuts({"r": 0.25}, {"r": "r/judge"}, lambda: clock[0])
    cuts.use(store)  # type: ignore[arg-type]
    return cuts


@given(st.lists(scores, min_size=MIN_SCORES, max_size=300, unique=True), st.floats(0, 1))
def test_the_share_of_known_scores_at_or_above_the_threshold_is_the_target(seen: list[float], share: float) -> None:
    cut = Cut(share, tuple(seen))
    threshold = cut.threshold
    assert threshold is not None
    assert sum(score >= threshold for score in seen) == round(share * len(seen))


@given(st.lists(scores, max_size=60), st.lists(scores, max_size=60))
def test_scores_taken_in_one_by_one_are_those_given_at_once(before: list[float], after: list[float]) -> None:
    cut = Cut(0.5, tuple(before))
    for score in after:
        cut.saw(score)
    assert cut.threshold == Cut(0.5, tuple(before + after)).threshold


def test_too_few_scores_say_nothing() -> None:
    assert Cut(0.5, (0.5,) * (MIN_SCORES - 1)).threshold is None


def test_a_share_of_nothing_is_above_every_score_and_a_share_of_all_below() -> None:
    seen = tuple(number / 100 for number in range(100))
    assert Cut(0.0, seen).threshold == math.inf
    assert Cut(1.0, seen).threshold == 0.0


def test_a_single_request_may_have_a_share_of_its_own() -> None:
    clock = [0.0]
    cuts = shares(None, clock)
    for number in range(100):
        cuts.saw("r", number / 100)
    assert (cuts.cut("r"), cuts.cut("r", 0.5), cuts.cut("r", 1.0), cuts.cut("r", 0.0)) == (0.75, 0.5, 0.0, math.inf)


def test_the_threshold_follows_scores_that_shift() -> None:
    dice = random.Random(1)
    cut = Cut(0.25)
    for _ in range(WINDOW):
        cut.saw(dice.uniform(0.1, 0.2))
    assert cut.threshold == pytest.approx(0.175, abs=0.01)
    for _ in range(WINDOW):
        cut.saw(dice.uniform(0.6, 1.0))
    assert cut.threshold == pytest.approx(0.9, abs=0.02)


def test_what_is_no_number_is_not_taken_in() -> None:
    cut = Cut(0.5, (0.5,) * MIN_SCORES)
    cut.saw(math.nan)
    assert cut.threshold == 0.5


def test_scores_survive_a_restart() -> None:
    store, clock = Facts(), [0.0]
    cuts = shares(store, clock)
    for number in range(200):
        cuts.saw("r", number / 200)
    clock[0] += SAVE_SECONDS
    cuts.saw("r", 0.999)
    assert shares(store, clock).cut("r") == pytest.approx(cuts.cut("r"), abs=1e-6)


@pytest.mark.parametrize("store", [None, Facts(is_down=True)])
def test_without_a_store_they_are_kept_in_memory_alone(store: Facts | None) -> None:
    clock = [0.0]
    cuts = shares(store, clock)
    for number in range(200):
        clock[0] += SAVE_SECONDS
        cuts.saw("r", number / 200)
    assert cuts.cut("r") == pytest.approx(0.75)
    assert shares(store, clock).cut("r") is None


@pytest.mark.parametrize("kept", [b"", b"abc", b"\xff" * 4000, b"\x00\x00\x80\x7f" * 100])
def test_a_damaged_fact_is_nothing_known(kept: bytes) -> None:
    assert Cut.of_bytes(0.5, kept).threshold is None


def test_a_router_without_a_share_has_no_threshold_and_keeps_no_scores() -> None:
    store, clock = Facts(), [0.0]
    cuts = shares(store, clock)
    clock[0] += SAVE_SECONDS
    cuts.saw("other", 0.5)
    assert cuts.cut("other") is None
    assert store.kept == {}
