"""A shift keeps a queue's waiting within the limit, and does not swing: the controller against a simulated server."""

from __future__ import annotations

from statistics import fmean, pstdev

import pytest

from signalbox.policy.world import Slo
from tests.simulation.queueing import simulate, swings
from tests.simulation.steering import (
    END,
    FALL,
    LIMIT_SECONDS,
    RISE,
    SERVERS,
    ByQueueDepth,
    ByTtft,
    Thermostat,
    over,
    step,
)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("peak", [1.0, 1.3, 2.0])
@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_an_overload_moves_as_much_as_it_takes_and_comes_back(server, peak, seed):
    trace = simulate(ByTtft(), step(peak), END, server, seed)
    needed = 1 - 1 / peak  # the least share with which the queue does not grow for ever
    steady = trace.shares(RISE + 480, FALL)

    assert trace.p95(RISE + 120, FALL) < LIMIT_SECONDS, "all requests of the overload together"
    assert over(trace, RISE + 120, FALL) <= 0.15, "minutes in which they were far over"
    assert needed - 0.05 < fmean(steady) < needed + 0.45
    assert pstdev(steady) < 0.15
    assert swings(steady) <= 3
    assert max(trace.shares(FALL + 900)) < 0.15, "a quarter of an hour later"
    assert over(trace, FALL + 60, END) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_server_with_room_keeps_its_sessions(seed):
    trace = simulate(ByTtft(), lambda now: 0.6, 1800, seed=seed)

    assert max(trace.shares(0)) == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_a_queue_seen_every_fifteen_seconds_is_held_as_well(seed):
    trace = simulate(ByQueueDepth(limit=16), step(1.5), END, seed=seed)
    waiting = [moment.waiting for moment in trace.moments if RISE + 240 <= moment.at < FALL]

    assert fmean(waiting) < 16
    assert pstdev(trace.shares(RISE + 480, FALL)) < 0.13
    assert max(trace.shares(FALL + 900)) < 0.15


def test_without_a_controller_the_queue_of_such_an_overload_grows_for_ever():
    trace = simulate(ByTtft(Slo(ttft_p95_ms=1e9)), step(1.3), FALL)

    assert trace.p95(FALL - 60) > 60 * LIMIT_SECONDS


def test_a_thermostat_swings_where_the_controller_settles():
    swinging = simulate(Thermostat(), step(1.3), FALL).shares(RISE + 480)
    settled = simulate(ByTtft(), step(1.3), FALL).shares(RISE + 480)

    assert pstdev(swinging) > 0.4
    assert swings(swinging) > 10
    assert pstdev(settled) < 0.1
    assert swings(settled) <= 1
