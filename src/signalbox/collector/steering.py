"""What follows from what was measured: circuits open and close, sessions shift, rollouts step or are taken back.

Holds the controllers of one policy together, feeds them, and says what they did: on /metrics, and one log line for
each change. What they decided is read by the workers, from the snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from signalbox.collector.afterwards import spent_usd
from signalbox.collector.join import Exchange
from signalbox.collector.live.circuit import Circuits, Transition
from signalbox.collector.live.endings import Ending, Endings
from signalbox.collector.live.models import is_success
from signalbox.collector.live.rollout import RolledBack, Rollouts, Seen
from signalbox.collector.live.shift import Shifts
from signalbox.collector.live.thresholds import Change, Standing, Thresholds
from signalbox.collector.metrics import Metrics
from signalbox.collector.records import AttemptRecord, ExchangeKey, RequestRecord
from signalbox.decide.rollout import IN, OUT
from signalbox.policy.schema import Policy
from signalbox.record import Target
from signalbox.telemetry import Event
from signalbox.types import Price, ThresholdState
from signalbox.world import CircuitState, RolloutState

STEP_SECONDS = 1.0  # between two looks at shifts and rollouts: queues and people are slower

Acceptance = Callable[[str, str], tuple[float, float] | None]
"""Router and model -> good marks and all marks, decayed; None where there are none."""


class Say(Protocol):
    """Writes a log line about the collector's own work. level: as in `log.LEVELS`."""

    def __call__(self, event: Event, *, level: str = "warning", **facts: str | int | float) -> None: ...


class Steering:
    """The controllers of a policy. Times are seconds of one clock that never goes back.

    wall: seconds since the epoch, which Envoy's entries are dated by.
    """

    def __init__(self, policy: Policy, metrics: Metrics, say: Say, wall: Callable[[], float]) -> None:
        self._metrics, self._say, self._wall = metrics, say, wall
        self._circuits = Circuits(policy)
        self._shifts = Shifts(policy)
        self._rollouts = Rollouts(policy)
        self._thresholds = Thresholds(policy.routers)
        self._endings = Endings()
        self._stepped_seconds: float | None = None
        self._take_names(policy)

    def apply(self, policy: Policy) -> None:
        """Take a new policy; what it shares with the one before goes on as it was."""
        self._circuits.apply(policy)
        self._shifts.apply(policy)
        self._rollouts.apply(policy)
        self._thresholds.use(policy.routers)
        self._take_names(policy)

    def _take_names(self, policy: Policy) -> None:
        self._endings.use({name: model.provider for name, model in policy.models.items()})
        self._stepped_seconds = None  # the next tick shows what the policy has

    # ------------------------------------------------------------------ what the log says

    def attempt_ended(self, record: AttemptRecord, now_seconds: float) -> None:
        """Take an attempt's entry."""
        self._end(self._endings.attempt(record), now_seconds)

    def request_goes_on(self, key: ExchangeKey, chain: Sequence[Target], now_seconds: float) -> None:
        """Take the chain of a request that lasts."""
        self._end(self._endings.goes_on(key, chain), now_seconds)

    def exchange(self, exchange: Exchange, prices: Mapping[str, Price | None], now_seconds: float) -> None:
        """Take a request and its attempts, once they are together. prices: by model."""
        self._end(self._endings.exchange(exchange), now_seconds)
        request = exchange.request
        if request is None or request.verdict is None:
            return
        if is_success(request) and request.served is not None and request.served.model is not None:
            self._shifts.observe(request.served.model, _ttft(request), _whole(request), now_seconds)
        record = request.verdict
        froze = self._thresholds.observe(record, now_seconds)
        if froze is not None:
            self._threshold_changed(froze)
        if record.rollout in (IN, OUT):
            rolled_back = self._rollouts.observe(record.router, _seen(exchange, request, prices))
            if rolled_back is not None:
                self._rolled_back(rolled_back)

    def _end(self, endings: Iterable[Ending], now_seconds: float) -> None:
        for ending in endings:
            began = None
            if ending.started_ns:
                began = now_seconds - max(0.0, self._wall() - ending.started_ns / 1e9)
            changes = self._circuits.attempt(
                ending.model, ending.outcome, ending.retry_after_seconds, now_seconds, began
            )
            self._changed(changes, now_seconds)

    # ------------------------------------------------------------------ time

    def tick(self, now_seconds: float, queue_depths: Mapping[str, float | None], acceptance: Acceptance) -> None:
        """Let time pass; to be called a few times a second. queue_depths: by model."""
        self._changed(self._circuits.tick(now_seconds), now_seconds)
        if self._stepped_seconds is not None and now_seconds - self._stepped_seconds < STEP_SECONDS:
            return
        self._stepped_seconds = now_seconds
        for moved in self._shifts.tick(now_seconds, queue_depths, acceptance):
            self._say(
                Event.SHIFT,
                level="warning" if moved.share else "info",
                router=moved.router,
                model=moved.model,
                share=round(moved.share, 4),
                limit=moved.limit or "",
                pressure=round(moved.pressure, 3),
            )
        for step in self._rollouts.tick(now_seconds):
            self._say(Event.ROLLOUT_STEP, level="info", router=step.router, step=step.step, share=step.share)
        for freed in self._thresholds.tick(now_seconds):
            self._threshold_changed(freed)
        self._metrics.thresholds(self._thresholds.standings)
        self._metrics.circuits(self._circuits.states(now_seconds))
        self._metrics.shifts(self._shifts.shares())
        self._metrics.rollouts(self._rollouts.states())

    def _changed(self, transitions: Sequence[Transition], now_seconds: float) -> None:
        if transitions:
            self._metrics.circuits(self._circuits.states(now_seconds))
        for transition in transitions:
            self._metrics.circuit_changed(transition)
            change = transition.change
            self._say(
                Event.CIRCUIT,
                level="info" if change.to is CircuitState.CLOSED else "warning",
                model=transition.model,
                provider=transition.provider,
                to=change.to,
                cause=change.cause,
                failed_share=round(change.failed_share, 4),
                attempts=round(change.attempts, 1),
                rest_s=round(change.rest_seconds, 3),
            )

    def _threshold_changed(self, change: Change) -> None:
        standing = change.standing
        self._say(
            Event.THRESHOLD,
            level="warning" if standing.state is ThresholdState.FROZEN else "info",
            router=change.router,
            state=standing.state,
            strong_share=round(standing.strong_share, 4),
            **({} if standing.value is None else {"value": round(standing.value, 6)}),
        )

    def _rolled_back(self, event: RolledBack) -> None:
        self._metrics.rolled_back(event)
        others = {} if event.others is None else {"others": round(event.others, 9)}
        self._say(
            Event.ROLLBACK,
            level="warning",
            router=event.router,
            reason=event.reason,
            value=round(event.value, 9),
            limit=event.limit,
            requests=event.requests,
            evidence=round(event.evidence, 3),
            needed=round(event.needed, 3),
            **others,
        )

    # ------------------------------------------------------------------ for the snapshot and the store

    def circuits(self, now_seconds: float) -> dict[str, tuple[CircuitState, float]]:
        """Return state and share of requests that may try it, by model; closed ones are left out."""
        return {
            model: (state, share)
            for model, _, state, share in self._circuits.states(now_seconds)
            if state is not CircuitState.CLOSED
        }

    def shifts(self) -> dict[str, dict[str, float]]:
        """Return router -> model -> share of the sessions that moves away."""
        return self._shifts.shares()

    @property
    def thresholds(self) -> dict[str, Standing]:
        """Return how the running thresholds stand, by router."""
        return self._thresholds.standings

    def rollout_states(self) -> dict[str, RolloutState]:
        return self._rollouts.states()

    @property
    def rollouts(self) -> Rollouts:
        """For whoever brings their facts to the store and back."""
        return self._rollouts


def _ttft(request: RequestRecord) -> float | None:
    is_stream = request.verdict is not None and request.verdict.stream
    return None if request.ttft_us is None or not is_stream else request.ttft_us / 1e6


def _whole(request: RequestRecord) -> float | None:
    if request.ttft_us is None or request.body_seconds is None:
        return None
    return request.ttft_us / 1e6 + request.body_seconds


def _seen(exchange: Exchange, request: RequestRecord, prices: Mapping[str, Price | None]) -> Seen:
    assert request.verdict is not None
    served = request.served.model if request.served is not None else None
    success = is_success(request)
    return Seen(
        is_new=request.verdict.rollout == IN,
        failed=_failed(request),
        ttft_seconds=_ttft(request) if success and request.attempts == 1 else None,
        usd=spent_usd(request, prices.get(served)) if success and served is not None else None,
    )


def _failed(request: RequestRecord) -> bool | None:
    """Whether the first candidate did not answer; None when nobody can tell."""
    if request.attempts > 1:
        return True
    if is_success(request):
        return False
    if request.client_gone or (request.status is not None and 400 <= request.status < 500 and request.status != 429):
        return None
    return True if request.attempts else None
