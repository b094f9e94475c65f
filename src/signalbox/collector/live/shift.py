"""How many of a router's sessions move away from a model that is over its limits, and when they come back.

A shift is the share of the sessions that take another model first. A controller for each model of a router with an
`slo` moves it: quickly away, slowly back. What it steers is a queue, which adds up overload for as long as there is any
and shows it only when the answers it delayed are complete, seconds later. Four things keep that from swinging:

- The pressure is log(measured / limit), and where it is heading counts with it (proportional and derivative action;
  Åström and Murray, "Feedback Systems", chapter 11): a queue that shrinks is not pushed further, though still too long.
- The share moves at a bounded speed, back much slower than a queue answers.
- It stands nearly still while the measure is between 70 % and 100 % of the limit.
- It remembers at which share the limit was reached last, and comes back slowly there, as CUBIC does for a congestion
  window (Ha, Rhee and Xu, 2008): a queue is empty just below its capacity, so its length does not warn.

A small share always stays, so that recovery is seen; without measurements the shift fades, so that a model nobody
takes any more is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from math import exp, isfinite, log, sqrt
from typing import NamedTuple

from signalbox.collector.live.recent import Recent
from signalbox.policy.schema import Policy
from signalbox.policy.world import Slo

# Chosen by simulation (tests/simulation): 8 to 32 slots, answers of 2 to 8 seconds, measurements up to 5 seconds late.
AWAY_PER_SECOND = 1 / 100  # for each unit of pressure
FASTEST_AWAY_PER_SECOND = 1 / 25
BACK_PER_SECOND = 1 / 360
CREEP_PER_SECOND = 1 / 3600  # back, inside the band and where the limit was reached last
FADE_PER_SECOND = 1 / 1200  # back, without measurements
BAND = log(1 / 0.7)
LEAD = 2.5
TREND_SECONDS = 10.0  # about the delay of a measurement
NEAR_EDGE = 0.4  # distance from the remembered share at which the way back has its full speed
EDGE_MARGIN = 0.02  # by the time the limit is seen to be passed, the share is already too low
CALM_SECONDS = 20.0  # between two overloads; less, and it is still the first
LOWEST, HIGHEST = -1.0, 2.0  # pressure; an idle queue's would otherwise make any request look like a steep rise
MAX_SHARE = 0.95
MAX_STEP_SECONDS = 5.0  # a collector that stood still moves no sessions for the time it missed
ENOUGH = 20.0  # samples or marks; with fewer the share moves slower
SHOWN_SHARE = 0.05  # from here on a shift is worth a log line
Z = 1.96  # of a 95 % interval


class Limit(StrEnum):
    """The keys of an `slo`."""

    TTFT_P95 = "ttft_p95_ms"
    LATENCY_P95 = "latency_p95_ms"
    QUEUE_DEPTH = "queue_depth"
    ACCEPTANCE_RATE = "acceptance_rate"


class Measures(NamedTuple):
    """What is known of a model now; None where nothing is.

    ttft, latency: 95th percentile in seconds, and of how many. acceptance: good marks, and all, decayed.
    """

    ttft: tuple[float, float] | None = None
    latency: tuple[float, float] | None = None
    queue_depth: float | None = None
    acceptance: tuple[float, float] | None = None


class Pressure(NamedTuple):
    """How far over its limit a model is: log of measured over allowed. weight: how sure that is, 0 to 1."""

    limit: Limit
    value: float
    weight: float


class Moved(NamedTuple):
    """A shift that began, or ended (`share` 0). limit: what is over, and log of by how much."""

    router: str
    model: str
    share: float
    limit: Limit | None
    pressure: float


def pressure(slo: Slo, measures: Measures) -> Pressure | None:
    """Return the highest pressure among a model's limits. None: nothing is known of what they limit."""
    return max(_pressures(slo, measures), key=lambda each: each.value, default=None)


def _pressures(slo: Slo, measures: Measures) -> Iterator[Pressure]:
    for limit, limit_ms, measured in (
        (Limit.TTFT_P95, slo.ttft_p95_ms, measures.ttft),
        (Limit.LATENCY_P95, slo.latency_p95_ms, measures.latency),
    ):
        if limit_ms is not None and measured is not None and measured[0] >= 0:
            yield Pressure(limit, _log_ratio(measured[0] * 1000, limit_ms), min(1.0, measured[1] / ENOUGH))
    depth = measures.queue_depth
    if slo.queue_depth is not None and depth is not None and depth >= 0:
        # One more of each, so that an empty queue is a number, and one request over a limit of one no alarm.
        yield Pressure(Limit.QUEUE_DEPTH, _log_ratio(depth + 1, slo.queue_depth + 1), 1.0)
    if slo.acceptance_rate is not None and measures.acceptance is not None and measures.acceptance[1] > 0:
        good, marks = measures.acceptance
        value = _rejection_pressure((marks - good) / marks, marks, 1 - slo.acceptance_rate)
        yield Pressure(Limit.ACCEPTANCE_RATE, value, min(1.0, marks / ENOUGH))


def _log_ratio(measured: float, limit: float) -> float:
    return min(HIGHEST, max(LOWEST, log(max(measured, 1e-9) / limit)))


def _rejection_pressure(rejected: float, marks: float, allowed: float) -> float:
    """Too many bad marks are proven by the lower end of Wilson's interval, enough good ones by the plain share."""
    allowed = max(allowed, 0.005)
    if (proven := wilson_lower(rejected, marks)) > allowed:
        return _log_ratio(proven, allowed)
    return min(0.0, _log_ratio(rejected, allowed))


def wilson_lower(share: float, count: float) -> float:
    """Return the lower end of the 95 % score interval of a share seen in `count` trials (Wilson, 1927)."""
    centre = share + Z * Z / (2 * count)
    spread = Z * sqrt(max(0.0, share * (1 - share) / count + Z * Z / (4 * count * count)))
    return max(0.0, (centre - spread) / (1 + Z * Z / count))


class Shift:
    """The controller of one model in one router. Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self.share = 0.0
        self._now: float | None = None
        self._trend: float | None = None  # the pressure of some seconds ago
        self._edge: float | None = None  # share at which the limit was reached last
        self._calm_seconds = CALM_SECONDS

    def tick(self, now_seconds: float, current: Pressure | None) -> float:
        """Return the share of the sessions that move away from now on, 0 to 0.95."""
        passed = 0.0 if self._now is None else min(MAX_STEP_SECONDS, max(0.0, now_seconds - self._now))
        self._now = now_seconds if self._now is None else max(self._now, now_seconds)
        speed = -FADE_PER_SECOND if current is None else self._speed(current, passed)
        if current is None:
            self._trend = None
        self.share = min(MAX_SHARE, max(0.0, self.share + speed * passed))
        return self.share

    def _speed(self, current: Pressure, passed: float) -> float:
        value = current.value
        trend = value if self._trend is None else self._trend
        self._trend = trend + (value - trend) * (1 - exp(-passed / TREND_SECONDS))
        expected = value + LEAD * (value - self._trend)
        if value > -BAND and expected > 0:
            if self._calm_seconds >= CALM_SECONDS:
                self._edge = self.share + EDGE_MARGIN
            self._calm_seconds = 0.0
            return min(FASTEST_AWAY_PER_SECOND, AWAY_PER_SECOND * expected) * current.weight
        self._calm_seconds += passed
        if value > 0:
            return 0.0
        far = 1.0 if self._edge is None else min(1.0, abs(self.share - self._edge) / NEAR_EDGE)
        slack = min(1.0, max(0.0, (-value - BAND) / 0.5))
        return -(CREEP_PER_SECOND + BACK_PER_SECOND * far * slack * current.weight)


class Shifts:
    """The shifts of every router with an `slo`. Not safe for several threads."""

    def __init__(self, policy: Policy) -> None:
        self._slos: dict[str, Slo] = {}
        self._shifts: dict[str, dict[str, Shift]] = {}  # router -> model
        self._ttft: dict[str, Recent] = {}  # by model
        self._latency: dict[str, Recent] = {}
        self._shown: set[tuple[str, str]] = set()
        self.apply(policy)

    def apply(self, policy: Policy) -> None:
        """Take a new policy. Shifts go on where the router still has the model and a limit."""
        slos = {name: router.slo for name, router in policy.routers.items() if router.slo is not None}
        self._shifts = {
            name: {model: self._shifts.get(name, {}).get(model) or Shift() for model in _models(policy, name)}
            for name in slos
        }
        self._slos = slos
        watched = {model for shifts in self._shifts.values() for model in shifts}
        self._ttft = {model: self._ttft.get(model) or Recent() for model in watched}
        self._latency = {model: self._latency.get(model) or Recent() for model in watched}
        self._shown = {(router, model) for router, model in self._shown if model in self._shifts.get(router, {})}

    def observe(
        self, model: str, ttft_seconds: float | None, latency_seconds: float | None, now_seconds: float
    ) -> None:
        """Take a success. ttft_seconds: of a stream. latency_seconds: of the whole answer."""
        if ttft_seconds is not None and model in self._ttft:
            self._ttft[model].add(ttft_seconds, now_seconds)
        if latency_seconds is not None and model in self._latency:
            self._latency[model].add(latency_seconds, now_seconds)

    def tick(
        self,
        now_seconds: float,
        queue_depths: Mapping[str, float | None],
        acceptance: Callable[[str, str], tuple[float, float] | None],
    ) -> list[Moved]:
        """Move every share; to be called once or a few times a second. Returns the shifts that began or ended.

        queue_depths: by model. acceptance: good marks and all of a router's model, decayed.
        """
        moved = []
        for router, shifts in self._shifts.items():
            slo = self._slos[router]
            for model, shift in shifts.items():
                measures = Measures(
                    ttft=self._ttft[model].p95(now_seconds) if slo.ttft_p95_ms is not None else None,
                    latency=self._latency[model].p95(now_seconds) if slo.latency_p95_ms is not None else None,
                    queue_depth=_finite(queue_depths.get(model)),
                    acceptance=acceptance(router, model) if slo.acceptance_rate is not None else None,
                )
                current = pressure(slo, measures)
                share = shift.tick(now_seconds, current)
                is_shown = (router, model) in self._shown
                if share >= SHOWN_SHARE and not is_shown:
                    self._shown.add((router, model))
                elif share == 0 and is_shown:
                    self._shown.discard((router, model))
                else:
                    continue
                limit, value = (None, 0.0) if current is None else (current.limit, current.value)
                moved.append(Moved(router, model, share, limit, value))
        return moved

    def shares(self) -> dict[str, dict[str, float]]:
        """Return router -> model -> share, as the snapshot has it: only those above 0."""
        found = {
            router: {model: round(shift.share, 4) for model, shift in shifts.items() if shift.share > 0}
            for router, shifts in self._shifts.items()
        }
        return {router: shares for router, shares in found.items() if shares}


def _models(policy: Policy, name: str) -> list[str]:
    """Return the models of a router's pools, and of those of the routers for its goals."""
    goals = policy.routers[name].goals
    routers = [policy.routers[each] for each in (name, *(() if goals is None else goals.routers))]
    pools = [pool for router in routers for pool in router.pools]
    return list(dict.fromkeys(model for pool in pools for model in pool))


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
