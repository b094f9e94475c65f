"""A shift keeps a queue's waiting within the limit, and does not swing: the controller against a simulated server."""

from __future__ import annotations

from statistics import fmean, pstdev

import pytest

from signalbox.collector.live.recent import Recent
from signalbox.collector.live.shift import MAX_SHARE, Measures, Shift, pressure
from signalbox.policy.world import Slo
from tests.simulation.queueing import Server, Steering, Trace, simulate, swings

LIMIT_SECONDS = 2.0
RISE, FALL, END = 120.0, 1500.0, 2700.0
SERVERS = {
    "32 slots": Server(),
    "8 slots": Server(slots=8),
    "measured 5 s late": Server(delay_seconds=5.0),
    "answers of 8 s": Server(answer_seconds=8.0),
}


class ByTtft(Steering):
    """As the collector steers: by the percentile of what arrived lately."""

    def __init__(self, slo: Slo | None = None) -> None:
        self.slo = slo or Slo(ttft_p95_ms=LIMIT_SECONDS * 1000)
        self.shift, self.recent = Shift(), Recent()

    def observe(self, ttft_seconds: float, now_seconds: float) -> None:
        self.recent.add(ttft_seconds, now_seconds)

    def share(self, now_seconds: float, waiting: int) -> float:
        measures = Measures(ttft=self.recent.p95(now_seconds))
        return self.shift.tick(now_seconds, pressure(self.slo, measures))


class ByQueueDepth(ByTtft):
    """By the length of the queue, as scraped every fifteen seconds."""

    def __init__(self, limit: float) -> None:
        super().__init__(Slo(queue_depth=limit))
        self.scraped = (-100.0, 0)

    def share(self, now_seconds: float, waiting: int) -> float:
        if now_seconds - self.scraped[0] >= 15:
            self.scraped = now_seconds, waiting
        return self.shift.tick(now_seconds, pressure(self.slo, Measures(queue_depth=self.scraped[1])))


class Thermostat(ByTtft):
    """All or nothing: what a controller without these laws does."""

    def share(self, now_seconds: float, waiting: int) -> float:
        measured = self.recent.p95(now_seconds)
        return MAX_SHARE if measured and measured[0] > LIMIT_SECONDS else 0.0


def step(peak: float):
    """Half the capacity, then `peak` times it, then half again."""
    return lambda now: peak if RISE <= now < FALL else 0.5


def over(trace: Trace, since: float, until: float) -> float:
    """Share of the minutes in which the 95th percentile of all requests was a quarter over the limit."""
    minutes = trace.p95_by(60.0, since, until)
    return fmean(each > 1.25 * LIMIT_SECONDS for each in minutes)


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
