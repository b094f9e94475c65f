"""Controllers for the simulated server, and the load they are tried with."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

from signalbox.collector.live.recent import Recent
from signalbox.collector.live.shift import MAX_SHARE, Measures, Shift, pressure
from signalbox.policy.world import Slo
from tests.simulation.queueing import Server, Steering, Trace

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


def step(peak: float) -> Callable[[float], float]:
    """Half the capacity, then `peak` times it, then half again."""
    return lambda now: peak if RISE <= now < FALL else 0.5


def over(trace: Trace, since: float, until: float) -> float:
    """Share of the minutes in which the 95th percentile of all requests was a quarter over the limit."""
    minutes = trace.p95_by(60.0, since, until)
    return fmean(each > 1.25 * LIMIT_SECONDS for each in minutes)
