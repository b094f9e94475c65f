"""A local server with a queue, and a cloud without one: what a shift's controller is tried on.

Requests come at random (Poisson) at a rate that changes over time. The server answers `slots` at once, in the order
of arrival; whoever comes later waits, and that wait is in the time to first token. A measurement arrives when its
answer is complete and `delay_seconds` have passed; a changed share acts `lag_seconds` later. Each request is a session
of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace
from math import ceil, inf
from random import Random
from typing import NamedTuple

TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Server:
    """slots: answers at once. answer_seconds: mean. prefill_seconds: from having a slot to the first token."""

    slots: int = 32
    answer_seconds: float = 2.0
    prefill_seconds: float = 0.2
    spread: float = 0.5  # of the logarithm
    delay_seconds: float = 0.5
    lag_seconds: float = 0.5
    cloud_seconds: float = 0.6

    @property
    def capacity(self) -> float:
        """Requests a second."""
        return self.slots / self.answer_seconds


class Served(NamedTuple):
    """One request: when it came, its time to first token, and whether the server or the cloud answered it."""

    at: float
    ttft: float
    is_local: bool


class Moment(NamedTuple):
    """What was steered, and the queue then."""

    at: float
    share: float
    waiting: int


@dataclass
class Trace:
    served: list[Served] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    def p95(self, since: float, until: float = inf) -> float:
        """Of all requests that came in a span of time, wherever they went."""
        return p95([each.ttft for each in self.served if since <= each.at < until])

    def p95_by(self, span: float, since: float, until: float) -> list[float]:
        """For each span of time within `since` and `until`."""
        return [self.p95(since + n * span, since + (n + 1) * span) for n in range(int((until - since) / span))]

    def shares(self, since: float, until: float = inf) -> list[float]:
        return [each.share for each in self.moments if since <= each.at < until]


def p95(values: list[float]) -> float:
    return sorted(values)[ceil(0.95 * len(values)) - 1] if values else 0.0


def swings(shares: list[float], least: float = 0.25) -> int:
    """Return how often a share turned round after it had moved by `least`."""
    count, low, high, direction = 0, shares[0], shares[0], 0
    for share in shares:
        low, high = min(low, share), max(high, share)
        if direction >= 0 and high - share >= least:
            count, direction, low = count + (direction > 0), -1, share
        elif direction <= 0 and share - low >= least:
            count, direction, high = count + (direction < 0), 1, share
    return count


class Steering:
    """What the simulation asks of a controller."""

    def observe(self, ttft_seconds: float, now_seconds: float) -> None:
        """Take a measurement when it arrives."""

    def share(self, now_seconds: float, waiting: int) -> float:
        """Return the share that goes to the cloud."""
        raise NotImplementedError


def simulate(
    steering: Steering, load: Callable[[float], float], seconds: float, server: Server | None = None, seed: int = 1
) -> Trace:
    """Run. load: share of the server's capacity that comes in, by time."""
    server = server or Server()
    dice, trace = Random(seed), Trace()
    free = [0.0] * server.slots
    on_the_way: list[tuple[float, float]] = []  # measurements, by when they arrive
    starts: list[float] = []  # of requests that wait
    changes: deque[tuple[float, float]] = deque()
    now = tick = share = 0.0
    while (now := now + dice.expovariate(server.capacity * load(now))) < seconds:
        while tick <= now:
            while on_the_way and on_the_way[0][0] <= tick:
                arrived, measured = heappop(on_the_way)
                steering.observe(measured, arrived)
            while starts and starts[0] <= tick:
                heappop(starts)
            wanted = steering.share(tick, len(starts))
            trace.moments.append(Moment(tick, wanted, len(starts)))
            changes.append((tick + server.lag_seconds, wanted))
            while changes and changes[0][0] <= tick:
                share = changes.popleft()[1]
            tick += TICK_SECONDS
        if dice.random() < share:
            trace.served.append(Served(now, server.cloud_seconds * dice.lognormvariate(0, 0.3), is_local=False))
            continue
        start = max(now, free[0])
        answer = server.answer_seconds * dice.lognormvariate(-(server.spread**2) / 2, server.spread)
        heapreplace(free, start + answer)
        heappush(starts, start)
        ttft = start - now + server.prefill_seconds * dice.lognormvariate(0, 0.2)
        heappush(on_the_way, (max(start + answer, now + ttft) + server.delay_seconds, ttft))
        trace.served.append(Served(now, ttft, is_local=True))
    return trace
