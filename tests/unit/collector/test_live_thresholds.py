"""How running thresholds stand, as workers say it one decision at a time."""

from __future__ import annotations

import pytest

from signalbox.collector.live.thresholds import FROZEN_SECONDS, HALF_LIFE, Thresholds
from signalbox.record import Record
from signalbox.types import ThresholdState

FOLLOWING, FROZEN = ThresholdState.FOLLOWING, ThresholdState.FROZEN


def said(cut: str = "following", score: float | None = 0.7, threshold: float | None = 0.5, **more: object) -> Record:
    return Record(id="sb-1", router="r", cut=cut, score=score, threshold=threshold, **more)  # type: ignore[arg-type]


def test_a_share_is_of_the_last_requests() -> None:
    thresholds = Thresholds(["r"])
    for number in range(4 * HALF_LIFE):
        thresholds.observe(said(score=0.9 if number % 4 == 0 else 0.1), 0.0)
    [standing] = thresholds.standings.values()
    assert (standing.state, standing.value) == (FOLLOWING, 0.5)
    assert standing.strong_share == pytest.approx(0.25, abs=0.02)
    for _ in range(8 * HALF_LIFE):
        thresholds.observe(said(score=0.9), 0.0)
    assert thresholds.standings["r"].strong_share > 0.99


def test_the_first_request_is_a_share_of_one() -> None:
    thresholds = Thresholds(["r"])
    thresholds.observe(said(), 0.0)
    assert thresholds.standings["r"].strong_share == pytest.approx(1.0)


def test_one_worker_that_froze_makes_it_frozen_once_until_a_minute_without_such_a_word() -> None:
    thresholds = Thresholds(["r"])
    assert thresholds.observe(said(), 0.0) is None
    froze = thresholds.observe(said("frozen"), 1.0)
    assert froze is not None
    assert (froze.router, froze.standing.state) == ("r", FROZEN)
    assert thresholds.observe(said("frozen"), 2.0) is None
    assert thresholds.observe(said(), 3.0) is None  # another worker's
    assert thresholds.standings["r"].state is FROZEN
    assert thresholds.tick(2.0 + FROZEN_SECONDS) == []
    [freed] = thresholds.tick(2.1 + FROZEN_SECONDS)
    assert (freed.router, freed.standing.state) == ("r", FOLLOWING)
    assert thresholds.tick(200.0) == []


def test_a_second_opinion_counts_by_the_first_score_and_leaves_the_threshold_alone() -> None:
    thresholds = Thresholds(["r"])
    thresholds.observe(said(score=0.2, threshold=0.5), 0.0)
    thresholds.observe(said(score=0.9, threshold=0.8, first_score=0.4), 0.0)
    standing = thresholds.standings["r"]
    assert (standing.value, standing.strong_share) == (0.5, 0.0)


def test_a_router_that_leads_to_others_is_counted_at_the_one_that_was_taken() -> None:
    thresholds = Thresholds(["r", "cheap"])
    thresholds.observe(said(goal="cheap"), 0.0)
    assert list(thresholds.standings) == ["cheap"]


@pytest.mark.parametrize("record", [said("", 0.5), said("nonsense"), Record(id="sb-1", router="nobody", cut="frozen")])
def test_what_no_router_of_the_policy_can_have_said_is_not_taken(record: Record) -> None:
    thresholds = Thresholds(["r"])
    assert thresholds.observe(record, 0.0) is None
    assert thresholds.standings == {}


def test_routers_that_a_policy_no_longer_has_are_forgotten() -> None:
    thresholds = Thresholds(["r"])
    thresholds.observe(said(), 0.0)
    thresholds.use(["other"])
    assert thresholds.standings == {}
