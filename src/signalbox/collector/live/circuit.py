"""A circuit for each model: whether it is worth a request, told by how attempts at it ended.

Closed, a model takes its requests. It opens when too many attempts fail, or when the provider asks to be left
alone; then it rests. Half open, a share of the requests tries it again: three successes close it, one failure
opens it for twice as long. The pattern is Nygard's ("Release It!", 2007); what is ours is said at the constants.

Nothing here decides for a request: workers read the state from the snapshot and throw their own dice.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from math import inf
from typing import NamedTuple

from signalbox.policy import world as settings
from signalbox.policy.schema import Policy
from signalbox.telemetry import AttemptOutcome
from signalbox.world import CircuitState

FAILURES = frozenset(
    {
        AttemptOutcome.SERVER_ERROR,
        AttemptOutcome.TIMEOUT,
        AttemptOutcome.REFUSED,
        AttemptOutcome.RESET,
        AttemptOutcome.CUT,
    }
)
"""What counts against a model, beside 429. A 4xx is the client's doing, a denied attempt ours, and an abandoned one
says nothing: they count neither way, so no client can open a circuit, or close one."""

MAX_DOUBLINGS = 4  # 16 times open_seconds
SUCCESSES_TO_CLOSE = 3  # one may be luck
# At a thousand requests a second a share over time alone would need the half-life of thirty seconds to notice that
# every single one fails. Over the last hundred attempts or so it takes seventy of them.
MEMORY_ATTEMPTS = 100.0
ALL = 0.95  # a decayed share never quite forgets a success: above this, all fail


class Cause(StrEnum):
    """Why a circuit changed."""

    ERRORS = "errors"
    RATE_LIMITED = "rate_limited"  # 429 without Retry-After, too often
    RETRY_AFTER = "retry_after"  # 429 that says when to come back
    PROBE_FAILED = "probe_failed"
    RESTED = "rested"
    PROBES_PASSED = "probes_passed"


class Change(NamedTuple):
    """A step from one state to the next.

    failed_share, attempts: what it was judged by, decayed. rest_seconds: until it is tried again; 0 unless it opened.
    """

    to: CircuitState
    cause: Cause
    failed_share: float
    attempts: float
    rest_seconds: float


class Transition(NamedTuple):
    """A model's change, with the names a log line and a metric need."""

    model: str
    provider: str
    change: Change


class Circuit:
    """One model's circuit. Times are seconds of a monotonic clock; one that goes back counts as standing still."""

    def __init__(self, limits: settings.Circuit) -> None:
        self.limits = limits
        self._now = -inf
        self._state = CircuitState.CLOSED
        self._total = self._errors = self._limited = 0.0  # decayed
        self._failures_in_a_row = 0
        self._until = -inf  # while open
        self._half_opened = -inf
        self._closed = -inf
        self._successes = 0  # while half open
        self._rest = 0.0
        self._doublings = 0

    def state(self, now_seconds: float) -> tuple[CircuitState, float]:
        """Return the state and the share of requests that may try the model: 1, 0 or the probes'."""
        if self._state is CircuitState.CLOSED:
            return CircuitState.CLOSED, 1.0
        if self._state is CircuitState.OPEN and max(now_seconds, self._now) < self._until:
            return CircuitState.OPEN, 0.0
        return CircuitState.HALF_OPEN, self.limits.probe_share

    def advance(self, now_seconds: float) -> Change | None:
        """Let time pass; return the change that it brought."""
        now = self._decay(now_seconds)
        if self._state is not CircuitState.OPEN or now < self._until:
            return None
        self._half_opened = now
        self._successes = 0
        return self._change(CircuitState.HALF_OPEN, Cause.RESTED)

    def attempt(
        self,
        outcome: AttemptOutcome,
        retry_after_seconds: float | None,
        now_seconds: float,
        began_seconds: float | None = None,
    ) -> tuple[Change, ...]:
        """Take an attempt that ended; return what changed, in order.

        began_seconds: when it was sent, if that is known. One sent before the circuit was half open is no probe: it may
        have hung since the provider failed.
        """
        rested = self.advance(now_seconds)
        change = self._judge(outcome, self._granted(retry_after_seconds), began_seconds)
        return tuple(step for step in (rested, change) if step is not None)

    def _granted(self, retry_after_seconds: float | None) -> float | None:
        # A provider that asks for a day may be back in a minute. NaN compares as False.
        if retry_after_seconds is None or not retry_after_seconds > 0:
            return None
        return min(retry_after_seconds, self.limits.max_retry_after_seconds) or None

    def _judge(self, outcome: AttemptOutcome, retry_after: float | None, began_seconds: float | None) -> Change | None:
        is_limited = outcome is AttemptOutcome.RATE_LIMITED
        if not is_limited and outcome is not AttemptOutcome.OK and outcome not in FAILURES:
            return None
        if is_limited and retry_after is not None:
            return self._leave_alone(retry_after)
        if self._state is CircuitState.OPEN:
            return None  # sent before it opened
        if self._state is CircuitState.HALF_OPEN:
            if began_seconds is not None and began_seconds < self._half_opened:
                return None
            return self._probed(outcome, retry_after)
        self._count(outcome)
        return self._open_if_failing(retry_after)

    def _leave_alone(self, retry_after: float) -> Change | None:
        until = self._now + retry_after
        if self._state is CircuitState.OPEN:
            if until > self._until:
                self._until, self._rest = until, retry_after
            return None
        self._count(AttemptOutcome.RATE_LIMITED)
        return self._open(Cause.RETRY_AFTER, retry_after)

    def _probed(self, outcome: AttemptOutcome, retry_after: float | None) -> Change | None:
        self._count(outcome)
        if outcome is not AttemptOutcome.OK:
            self._doublings = min(self._doublings + 1, MAX_DOUBLINGS)
            return self._open(Cause.PROBE_FAILED, max(self._own_rest(), retry_after or 0.0))
        self._successes += 1
        if self._successes < SUCCESSES_TO_CLOSE:
            return None
        change = self._change(CircuitState.CLOSED, Cause.PROBES_PASSED)
        self._total = self._errors = self._limited = 0.0
        self._failures_in_a_row = 0
        self._closed = self._now
        return change

    def _open_if_failing(self, retry_after: float | None) -> Change | None:
        if self._share() < min(self.limits.error_rate, ALL):
            return None
        # A row of failures is enough where requests are so rare that the decayed count never gets there. The half
        # makes up for what decays between the first and the last of a handful.
        enough = self.limits.min_requests
        if self._total < enough - 0.5 and self._failures_in_a_row < enough:
            return None
        is_quiet = self._now - self._closed >= max(self._rest, self.limits.window_seconds)
        self._doublings = 0 if is_quiet else min(self._doublings + 1, MAX_DOUBLINGS)
        cause = Cause.ERRORS if self._errors >= self._limited else Cause.RATE_LIMITED
        return self._open(cause, max(self._own_rest(), retry_after or 0.0))

    def _open(self, cause: Cause, rest_seconds: float) -> Change:
        self._rest = rest_seconds
        self._until = self._now + rest_seconds
        return self._change(CircuitState.OPEN, cause, rest_seconds)

    def _own_rest(self) -> float:
        return float(self.limits.open_seconds * 2**self._doublings)

    def _change(self, to: CircuitState, cause: Cause, rest_seconds: float = 0.0) -> Change:
        self._state = to
        return Change(to, cause, self._share(), self._total, rest_seconds)

    def _share(self) -> float:
        return (self._errors + self._limited) / self._total if self._total else 0.0

    def _count(self, outcome: AttemptOutcome) -> None:
        kept = 1 - 1 / max(MEMORY_ATTEMPTS, 4.0 * self.limits.min_requests)
        self._total = self._total * kept + 1
        self._errors = self._errors * kept + (outcome in FAILURES)
        self._limited = self._limited * kept + (outcome is AttemptOutcome.RATE_LIMITED)
        self._failures_in_a_row = 0 if outcome is AttemptOutcome.OK else self._failures_in_a_row + 1

    def _decay(self, now_seconds: float) -> float:
        if now_seconds > self._now:
            kept = 0.5 ** ((now_seconds - self._now) / self.limits.window_seconds)
            self._total, self._errors, self._limited = self._total * kept, self._errors * kept, self._limited * kept
            self._now = now_seconds
        return self._now


class Circuits:
    """The circuits of a policy's models. Not safe for several threads."""

    def __init__(self, policy: Policy) -> None:
        self._circuits: dict[str, Circuit] = {}
        self._targets: dict[str, tuple[str, str]] = {}  # model -> provider, and what that calls it
        self.apply(policy)

    def apply(self, policy: Policy) -> None:
        """Take a new policy. A model that stays with its provider keeps its circuit."""
        targets = {name: (model.provider, model.name or name) for name, model in policy.models.items()}
        kept = {name for name, target in targets.items() if self._targets.get(name) == target}
        self._circuits = {
            name: self._circuits[name] if name in kept else Circuit(policy.circuit) for name in policy.models
        }
        for name in kept:
            self._circuits[name].limits = policy.circuit
        self._targets = targets

    def attempt(
        self,
        model: str | None,
        outcome: AttemptOutcome,
        retry_after_seconds: float | None,
        now_seconds: float,
        began_seconds: float | None = None,
    ) -> list[Transition]:
        """Take an attempt that ended. One at a model the policy does not have is nobody's."""
        circuit = self._circuits.get(model) if model is not None else None
        if model is None or circuit is None:
            return []
        changes = circuit.attempt(outcome, retry_after_seconds, now_seconds, began_seconds)
        return [Transition(model, self._targets[model][0], change) for change in changes]

    def tick(self, now_seconds: float) -> list[Transition]:
        """Let time pass; return the circuits that may be tried again from now on."""
        changes = ((model, circuit.advance(now_seconds)) for model, circuit in self._circuits.items())
        return [Transition(model, self._targets[model][0], change) for model, change in changes if change is not None]

    def states(self, now_seconds: float) -> Iterator[tuple[str, str, CircuitState, float]]:
        """Yield model, provider, state and share of requests that may try it, for every model of the policy."""
        for model, circuit in self._circuits.items():
            yield model, self._targets[model][0], *circuit.state(now_seconds)

    def state(self, model: str, now_seconds: float) -> tuple[CircuitState, float]:
        """Return state and share of one model; closed for one the policy does not have."""
        circuit = self._circuits.get(model)
        return (CircuitState.CLOSED, 1.0) if circuit is None else circuit.state(now_seconds)
