"""What presses a model's sessions away, and how their share moves. The queue's answer is in tests/simulation."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.collector.live.shift import (
    FADE_PER_SECOND,
    FASTEST_AWAY_PER_SECOND,
    MAX_SHARE,
    Limit,
    Measures,
    Pressure,
    Shift,
    Shifts,
    pressure,
    wilson_lower,
)
from signalbox.policy.schema import Policy
from signalbox.policy.world import Slo

FAR_OVER = Pressure(Limit.TTFT_P95, 2.0, 1.0)
IDLE = Pressure(Limit.TTFT_P95, -1.0, 1.0)


def moved(shift: Shift, current: Pressure | None, start: float, seconds: int) -> float:
    for second in range(seconds + 1):
        shift.tick(start + second, current)
    return shift.share


# ---------------------------------------------------------------- pressure


def test_pressure_is_the_logarithm_of_measured_over_allowed():
    found = pressure(Slo(ttft_p95_ms=500), Measures(ttft=(1.0, 20)))

    assert found == Pressure(Limit.TTFT_P95, pytest.approx(log(2)), 1)


def test_the_limit_that_is_over_most_decides():
    slo = Slo(ttft_p95_ms=500, latency_p95_ms=10_000, queue_depth=9)
    measures = Measures(ttft=(0.4, 50), latency=(12.0, 50), queue_depth=29.0)

    assert pressure(slo, measures) == Pressure(Limit.QUEUE_DEPTH, pytest.approx(log(3)), 1)
    assert pressure(slo, measures._replace(queue_depth=0.0)).limit is Limit.LATENCY_P95
    assert pressure(slo, Measures(ttft=(0.4, 50))).value < 0


def test_what_has_no_limit_or_no_measurement_does_not_press():
    assert pressure(Slo(queue_depth=3), Measures(ttft=(100.0, 50), latency=(100.0, 50))) is None
    assert pressure(Slo(ttft_p95_ms=1, acceptance_rate=1), Measures(acceptance=(0.0, 0.0))) is None


def test_few_samples_weigh_less():
    assert pressure(Slo(ttft_p95_ms=500), Measures(ttft=(1.0, 5))).weight == 0.25


def test_bad_marks_press_once_they_are_proven_and_not_before():
    slo = Slo(acceptance_rate=0.8)

    assert pressure(slo, Measures(acceptance=(1.0, 2.0))).value == 0
    assert pressure(slo, Measures(acceptance=(50.0, 100.0))).value > 0
    assert pressure(slo, Measures(acceptance=(95.0, 100.0))).value < 0
    assert pressure(Slo(acceptance_rate=1), Measures(acceptance=(100.0, 100.0))).value < 0


def test_wilsons_lower_end_agrees_with_published_figures():
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for hits, trials, lower in ((81, 263, 0.2553), (15, 148, 0.0624), (0, 20, 0.0), (1, 29, 0.0061)):
        assert wilson_lower(hits / trials, trials) == pytest.approx(lower, abs=1e-4)


# ---------------------------------------------------------------- the share


def test_a_model_far_over_its_limit_loses_its_sessions_gradually_and_keeps_a_few():
    shift = Shift()

    assert moved(shift, FAR_OVER, 0, 5) == pytest.approx(0.1, abs=0.05)
    assert moved(shift, FAR_OVER, 6, 200) == MAX_SHARE


def test_it_stands_still_while_a_queue_that_is_too_long_shrinks():
    shift = Shift()
    moved(shift, FAR_OVER, 0, 20)
    before = shift.share
    for second in range(12):
        shift.tick(21.0 + second, FAR_OVER._replace(value=2.0 - 0.15 * second))

    assert shift.share - before < 0.1


def test_it_comes_back_much_slower_than_it_went():
    shift = Shift()
    moved(shift, FAR_OVER, 0, 200)

    assert moved(shift, IDLE, 200, 60) > 0.7
    assert moved(shift, IDLE, 261, 1800) == 0


def test_inside_the_band_it_hardly_moves():
    shift = Shift()
    moved(shift, FAR_OVER, 0, 20)
    moved(shift, FAR_OVER._replace(value=-0.1), 21, 30)
    before = shift.share

    assert 0 < before - moved(shift, FAR_OVER._replace(value=-0.1), 52, 60) < 0.03


def test_without_measurements_it_fades_so_that_the_model_is_tried_again():
    shift = Shift()
    before = moved(shift, FAR_OVER, 0, 200)

    assert moved(shift, None, 200, 60) == pytest.approx(before - 60 * FADE_PER_SECOND)
    assert moved(shift, None, 261, 1200) == 0


ticks = st.lists(
    st.tuples(
        st.floats(-100, 1000),
        st.none() | st.builds(Pressure, st.just(Limit.TTFT_P95), st.floats(-1, 2), st.floats(0, 1)),
    ),
    max_size=60,
)


@given(ticks)
def test_it_never_jumps_whatever_the_clock_and_the_pressure_do(ticks):
    shift, now, before = Shift(), 0.0, 0.0
    newest = ticks[0][0] if ticks else 0.0
    for step, current in ticks:
        now += step
        share = shift.tick(now, current)

        assert 0 <= share <= MAX_SHARE
        assert abs(share - before) <= FASTEST_AWAY_PER_SECOND * min(5, max(0, now - newest)) + 1e-9
        newest, before = max(newest, now), share


@given(st.lists(st.floats(-1, 0), min_size=2, max_size=40).map(sorted))
def test_a_model_within_its_limit_that_does_not_get_worse_loses_nothing(values):
    shift = Shift()
    for second, value in enumerate(reversed(values)):
        assert shift.tick(float(second), Pressure(Limit.TTFT_P95, value, 1.0)) == 0


# ---------------------------------------------------------------- all routers of a policy


def policy(**slos: dict[str, float] | None) -> Policy:
    routers = {
        name: {
            "models": ["local"],
            "tasks": [{"name": "t", "models": ["local", "cloud"]}],
            "rules": [{"when": {"images": True}, "models": ["cloud"]}],
        }
        | ({"slo": slo} if slo else {})
        for name, slo in slos.items()
    }
    models = {"local": {"provider": "p"}, "cloud": {"provider": "p"}, "other": {"provider": "p"}}
    return Policy.model_validate(
        {"version": 1, "providers": {"p": {"endpoint": "http://p.test/v1"}}, "models": models, "routers": routers}
    )


def nobody(router: str, model: str) -> None:
    return None


def test_only_the_model_that_is_over_moves_and_only_in_routers_with_a_limit():
    shifts = Shifts(policy(chat={"ttft_p95_ms": 500}, code={"ttft_p95_ms": 10_000}, free=None))
    moves = []
    for second in range(60):
        for _ in range(3):
            shifts.observe("local", 2.0, 9.0, second)
            shifts.observe("cloud", 0.2, 9.0, second)
            shifts.observe("other", 60.0, 60.0, second)
        moves += shifts.tick(second, {}, nobody)

    assert list(shifts.shares()) == ["chat"]
    assert list(shifts.shares()["chat"]) == ["local"]
    (began,) = moves
    assert (began.router, began.model, began.limit) == ("chat", "local", Limit.TTFT_P95)
    assert 0.05 <= began.share < 0.1


def test_a_limit_of_a_router_with_goals_moves_the_models_of_its_goals():
    document = policy(code=None, other=None).model_dump(exclude_unset=True)
    goals = {"complexity": {"threshold": 0.3, "below": "code", "above": "other"}}
    document["routers"]["leading"] = {"goals": goals, "slo": {"ttft_p95_ms": 500}}
    shifts = Shifts(Policy.model_validate(document))
    for second in range(60):
        shifts.observe("local", 2.0, 9.0, second)
        shifts.tick(second, {}, nobody)

    assert {router: list(shares) for router, shares in shifts.shares().items()} == {"leading": ["local"]}


def test_a_shift_that_ends_says_so_once():
    shifts = Shifts(policy(chat={"queue_depth": 4}))
    for second in range(30):
        shifts.tick(second, {"local": 40.0}, nobody)
    moves = [move for second in range(30, 2000) for move in shifts.tick(second, {"local": 0.0}, nobody)]

    assert [(move.model, move.share) for move in moves] == [("local", 0)]
    assert shifts.shares() == {}


def test_feedback_of_the_router_presses_in_that_router():
    shifts = Shifts(policy(chat={"acceptance_rate": 0.9}, code={"acceptance_rate": 0.9}))
    for second in range(30):
        shifts.tick(second, {}, lambda router, model: (10.0, 100.0) if (router, model) == ("code", "cloud") else None)

    assert {router: list(shares) for router, shares in shifts.shares().items()} == {"code": ["cloud"]}


@pytest.mark.parametrize("depth", [float("nan"), float("inf"), -1.0, None])
def test_a_queue_depth_that_cannot_be_moves_nothing(depth):
    shifts = Shifts(policy(chat={"queue_depth": 4}))
    for second in range(30):
        shifts.tick(second, {"local": depth}, nobody)

    assert shifts.shares() == {}


def test_a_reload_keeps_the_shifts_of_routers_that_still_have_a_limit():
    shifts = Shifts(policy(chat={"queue_depth": 4}, code={"queue_depth": 4}))
    for second in range(30):
        shifts.tick(second, {"local": 40.0}, nobody)
    before = shifts.shares()["chat"]["local"]
    shifts.apply(policy(chat={"queue_depth": 8}, code=None))

    assert shifts.shares() == {"chat": {"local": before}}
