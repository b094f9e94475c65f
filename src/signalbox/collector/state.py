"""What the collector knows: the requests that ended, and how Signalbox itself is doing.

Fed from two sides, by records of Envoy's access log and by messages of the supervisor; read by the HTTP
API. It waits for nobody: metrics are counted in memory, log lines handed to a writer, and what concerns a store or a
server to `outside`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from signalbox.collector.afterwards import Terms, afterwards
from signalbox.collector.join import Exchange, Joiner
from signalbox.collector.journal.journal import Journal
from signalbox.collector.live.picture import Picture
from signalbox.collector.live.publish import Elsewhere, Publisher
from signalbox.collector.live.thresholds import Standing
from signalbox.collector.log import LEVELS, LogWriter, event_line, request_level, request_line
from signalbox.collector.metrics import Metrics
from signalbox.collector.names import Names
from signalbox.collector.outside import Outside, elsewhere, pin_seconds
from signalbox.collector.push import Pusher
from signalbox.collector.records import AttemptId, AttemptRecord, ExchangeKey, RequestRecord
from signalbox.collector.steering import STEP_SECONDS, Steering
from signalbox.decide.budgets import dearest_price
from signalbox.label import Label
from signalbox.policy.schema import Policy
from signalbox.prices.resolve import own_prices
from signalbox.record import Target
from signalbox.telemetry import AccessLog, Event, ReloadOutcome
from signalbox.types import Price

WARNING_SECONDS = 60.0  # one line a minute of each kind is enough to look at the counter


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """loaded_at: seconds since the epoch. error: why the file as it is now was refused."""

    sha256: str
    loaded_at: float
    error: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """What the supervisor last said."""

    heard_seconds: float  # by the collector's monotonic clock
    workers_wanted: int
    workers_ready: int
    worker_restarts: int
    policy: PolicyStatus
    draining: bool

    @classmethod
    def read(cls, message: Mapping[str, Any], heard_seconds: float) -> Status:
        """Read a message of type `status`. Raises KeyError if it lacks something."""
        workers, policy = message["workers"], message["policy"]
        return cls(
            heard_seconds=heard_seconds,
            workers_wanted=workers["wanted"],
            workers_ready=workers["ready"],
            worker_restarts=workers["restarts"],
            policy=PolicyStatus(policy["sha256"], policy["loaded_at"], policy["error"]),
            draining=message["draining"],
        )


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether Envoy's requests would be decided, and if not, why. `status` None: not heard of yet."""

    problems: tuple[str, ...]
    status: Status | None
    status_age_seconds: float | None

    @property
    def is_ready(self) -> bool:
        return not self.problems


class Collector:
    """Turns records into metrics and log lines, and messages into readiness.

    clock: seconds that never go back. wall: seconds since the epoch. Not safe for several threads: one event loop
    owns it.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: LogWriter,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        publisher: Publisher | None = None,
        outside: Outside | None = None,
    ) -> None:
        """publisher: writes snapshots for the workers; None leaves them without any.

        outside: brings what requests leave behind to the store, and what servers know from them; None: nobody does.
        """
        self.metrics = metrics
        self._publisher = publisher
        self._outside = outside
        if outside is not None:
            metrics.prometheus_age(outside.fleet_age_seconds)
        if publisher is not None:
            metrics.world_age(lambda: publisher.age_seconds)
        self._policy: Policy | None = None
        self._log = log
        self._clock = clock
        self.journal = Journal(metrics.feedback, clock, wall)
        self._pusher = Pusher(metrics.registry)
        self._joiner = Joiner()
        self.picture = Picture()
        self._policy_names = Names()
        self._names = Names()  # those and the previous policy's
        self._status: Status | None = None
        self._wall = wall
        self._steering: Steering | None = None
        self._stepped_seconds = -inf
        self._terms = Terms({}, None)
        self._known_prices: Mapping[str, Price] = {}  # without asking anybody
        self._prices: Mapping[str, Price | None] = {}
        self._log_level = LEVELS["info"]
        self._warned_seconds: dict[Event, float] = {}

    # ------------------------------------------------------------------ from the supervisor

    def apply_policy(self, policy: Policy, sha256: str, prices: Mapping[str, Price] | None = None) -> None:
        """Take a new policy: its names, and what it says of models, state, sources, journal, logs and pushes.

        prices: those known without asking anybody, by model; see `signalbox.prices.resolve`.
        What was decided by the policy before keeps its names.
        """
        names = Names.of(policy)
        self._names, self._policy_names = names | self._policy_names, names
        self._known_prices = own_prices(policy) | dict(prices or {})
        self._policy = policy
        self.picture.apply_policy(policy, self._clock())
        if self._steering is None:
            self._steering = Steering(policy, self.metrics, self._say, self._wall)
        else:
            self._steering.apply(policy)
        if self._outside is not None:
            self._outside.use(policy)
        self._price(policy)
        self.journal.use(policy, self._names)
        self._log_level = LEVELS[policy.telemetry.log_level]
        self._pusher.use(policy.telemetry.push)

    def _price(self, policy: Policy) -> None:
        """Bring prices up to date: the policy's own, then price lists on the web, then the catalogue's."""
        listed = {} if self._outside is None else self._outside.prices()
        prices = dict(self._known_prices)
        for name, usd in listed.items():
            if name in policy.models and policy.models[name].price is None:
                prices[name] = Price(*usd)
        self._prices = prices
        self._terms = Terms(pin_seconds(policy), dearest_price(prices.values()))

    def apply_status(self, message: Mapping[str, Any]) -> None:
        """Take a message of type `status`; see `signalbox.control`. Raises KeyError if it lacks something."""
        status = Status.read(message, self._clock())
        if self._status is None or self._status.policy != status.policy:
            self.metrics.policy(status.policy.sha256, status.policy.loaded_at)
        self.metrics.workers(status.workers_wanted, status.workers_ready)
        self.metrics.worker_restarts.set(status.worker_restarts)
        for outcome in ReloadOutcome:
            self.metrics.reloads[outcome].set(message["policy"]["reloads"][outcome])
        self._status = status

    # ------------------------------------------------------------------ from Envoy

    def entry(self, log: AccessLog) -> None:
        """Count one entry, whatever is in it."""
        self.metrics.entry(log)

    def request(self, record: RequestRecord) -> None:
        now = self._clock()
        self.picture.request_ended(record, now)
        self._finish(self._joiner.add_request(record, now))

    def request_goes_on(self, key: ExchangeKey, chain: Sequence[Target]) -> None:
        now = self._clock()
        self.picture.request_goes_on(key, chain, now)
        if self._steering is not None:
            self._steering.request_goes_on(key, chain, now)

    def attempt_started(self, attempt: AttemptId, source: int) -> None:
        """source: number of the log stream that told."""
        self.picture.attempt_started(attempt, source, self._clock())

    def attempt(self, record: AttemptRecord) -> None:
        now = self._clock()
        self.picture.attempt_ended(record, now)
        if self._steering is not None:
            self._steering.attempt_ended(record, now)
        self._finish(self._joiner.add_attempt(record, now))

    def source_lost(self, source: int) -> None:
        """A log stream has ended, and perhaps the Envoy behind it."""
        self.picture.source_lost(source)

    def unreadable(self, log: AccessLog, problem: Exception) -> None:
        """Count something that could not be read, and say so once in a while, without its text."""
        self.metrics.unreadable()
        self._warn(Event.ACCESS_LOG_UNREADABLE, log=log, problem=type(problem).__name__)

    # ------------------------------------------------------------------ time

    def tick(self) -> None:
        """Let go of what has waited too long; to be called a few times a second."""
        now = self._clock()
        self._finish(self._joiner.expire(now))
        self.metrics.log_lines_dropped.set(self._log.dropped)
        self.journal.feedback.expire()
        for outcome, lines in self.journal.writer.counts.items():
            self.metrics.journal_entries[outcome].set(lines)
        for result, pushes in self._pusher.counts.items():
            self.metrics.pushes[result].set(pushes)
        if problem := self.journal.writer.take_problem():
            self._warn(Event.JOURNAL_FAILED, problem=problem)
        if problem := self._pusher.take_problem():
            self._warn(Event.METRICS_PUSH_FAILED, problem=problem)
        self.metrics.in_flight(self._names.counts(self.picture.models.in_flight.counts()))
        if self._policy is not None and self._steering is not None:
            self._look(self._policy, self._steering, now)

    def _look(self, policy: Policy, steering: Steering, now_seconds: float) -> None:
        """Let everything that follows from what was measured follow, and publish it."""
        outside = self._outside
        fleet = {} if outside is None else outside.fleet()
        listed = {} if outside is None else outside.prices()
        if now_seconds - self._stepped_seconds >= STEP_SECONDS:
            self._stepped_seconds = now_seconds
            self._price(policy)
            self.metrics.allowances(
                (figures.provider, model, *figures.allowance.remaining(now_seconds))
                for model, figures in self.picture.models.items()
            )
            if outside is not None:
                outside.exchange_facts(steering.rollouts, now_seconds)
                self.metrics.settlements_dropped.set(outside.dropped)
        around = elsewhere(steering.circuits(now_seconds), fleet, listed)
        steering.tick(now_seconds, around.queue_depth, self.journal.feedback.acceptance)
        if self._publisher is not None:
            self._publish(self._publisher, around, steering, now_seconds)

    def _publish(self, publisher: Publisher, around: Elsewhere, steering: Steering, now_seconds: float) -> None:
        was_possible = publisher.problem is None
        self.picture.publish(
            publisher,
            now_seconds,
            elsewhere=around,
            prices=self._prices,
            shifts=steering.shifts(),
            rollouts=steering.rollout_states(),
        )
        if publisher.problem is not None and was_possible:  # one line, however long it lasts
            self._say(Event.WORLD_UNWRITABLE, problem=type(publisher.problem).__name__)

    def drain(self) -> None:
        """Count and log everything that still waits for its other half."""
        self._finish(self._joiner.drain())

    def close(self) -> None:
        """Bring the last lines to the journal and the last figures to the gateway, within a few seconds."""
        self.journal.writer.close()
        self.tick()
        self._pusher.close()

    def label(self, label: Label) -> None:
        """Take what a shadow engine said."""
        self.metrics.label(label, self._names)
        self.journal.label(label)

    def _finish(self, exchanges: Iterable[Exchange]) -> None:
        for exchange in exchanges:
            request = exchange.request
            labels = None if request is None else self._names.labels(request)
            self.metrics.exchange(exchange, labels, self._names)
            now = self._clock()
            self.picture.exchange(exchange, now)
            if self._steering is not None:
                self._steering.exchange(exchange, self._prices, now)
            if self._outside is not None:
                self._outside.settle(afterwards(exchange, self._prices, self._terms))
            if request is None or labels is None:
                continue
            record = request.verdict
            if record is not None:
                self.metrics.marks.count(record, self._names)
                self.journal.ended(record, exchange, request, self._names, self._prices, self._terms)
            if LEVELS[request_level(exchange, request)] >= self._log_level:
                self._log.write(request_line(exchange, request, labels))

    def _warn(self, event: Event, **facts: str | int | float) -> None:
        """Say once in a while that something of this kind happens."""
        now = self._clock()
        is_due = now - self._warned_seconds.get(event, -inf) >= WARNING_SECONDS
        if is_due and LEVELS["warning"] >= self._log_level:
            self._warned_seconds[event] = now
            self._say(event, level="warning", **facts)

    def _say(self, event: Event, *, level: str = "warning", **facts: str | int | float) -> None:
        """Write a line about the collector's own work, if the policy wants lines of this level."""
        if LEVELS[level] >= self._log_level:
            self._log.write(event_line(event, level=level, **facts))

    # ------------------------------------------------------------------ for the API

    @property
    def thresholds(self) -> dict[str, Standing]:
        """How the running thresholds of routers stand."""
        return {} if self._steering is None else self._steering.thresholds

    @property
    def readiness(self) -> Readiness:
        status = self._status
        if status is None:
            return Readiness(("the supervisor has not said yet how things are",), None, None)
        problems = []
        if status.draining:
            problems.append("draining")
        if status.workers_ready < 1:
            problems.append(f"no worker is ready, {status.workers_wanted} wanted")
        return Readiness(tuple(problems), status, self._clock() - status.heard_seconds)
