"""What the access log says about each model of the policy: counts, running attempts, and how fast it succeeds.

Durations are of successes only: a provider that fails fast does not look fast. They begin when Envoy has sent the first
byte to the provider, so nothing the router does is in them. Answers in one piece are kept apart from streams, whose
first byte says nothing about their last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from signalbox.collector.join import Attempt, Exchange
from signalbox.collector.live.circuit import FAILURES as FAULTS
from signalbox.collector.live.decay import DecayedSum
from signalbox.collector.live.in_flight import InFlight
from signalbox.collector.live.quantiles import DecayedQuantiles
from signalbox.collector.records import AttemptId, AttemptRecord, RequestRecord
from signalbox.policy.schema import Policy
from signalbox.telemetry import AttemptOutcome

FAILURES = FAULTS | {AttemptOutcome.RATE_LIMITED}
"""What counts against a model. A client's own mistake, a client that left and what Envoy stopped do not."""

VIA_UPSTREAM = "via_upstream"
_FORGOTTEN_ATTEMPTS = 0.01  # decayed: one attempt is forgotten after about seven half-lives
_ALLOWANCE_SECONDS = 60.0  # providers count what may be sent by the minute


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a provider said of its limits, and when. retry_at_seconds: when it wants to be asked again."""

    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    retry_at_seconds: float | None = None
    told_seconds: float = 0.0

    def remaining(self, now_seconds: float) -> tuple[int | None, int | None]:
        """Return requests and tokens left, as far as the provider said within the last minute."""
        if now_seconds - self.told_seconds > _ALLOWANCE_SECONDS:
            return None, None
        return self.remaining_requests, self.remaining_tokens


class ModelFigures:
    """One model at its provider. Counts since it is known; everything else decays."""

    __slots__ = (
        "_failed",
        "_succeeded",
        "allowance",
        "error_rate",
        "errors",
        "per_token",
        "provider",
        "requests",
        "successes",
        "ttft",
        "whole",
    )

    def __init__(self, provider: str, half_life_seconds: float) -> None:
        self.provider = provider
        self.requests = 0
        self.successes = 0
        self.errors: dict[AttemptOutcome, int] = {}
        self.allowance = Allowance()
        self.error_rate = 0.0
        self.ttft = DecayedQuantiles(half_life_seconds)
        self.per_token = DecayedQuantiles(half_life_seconds)
        self.whole = DecayedQuantiles(half_life_seconds)
        self._succeeded = DecayedSum(half_life_seconds)
        self._failed = DecayedSum(half_life_seconds)

    def change_half_life(self, half_life_seconds: float, now_seconds: float) -> None:
        for figure in (self.ttft, self.per_token, self.whole, self._succeeded, self._failed):
            figure.change_half_life(half_life_seconds, now_seconds)

    def count(self, outcome: AttemptOutcome, now_seconds: float) -> None:
        """Count an attempt that has ended."""
        self.requests += 1
        if outcome is AttemptOutcome.OK:
            self.successes += 1
            self._succeeded.add(1.0, now_seconds)
        else:
            self.errors[outcome] = self.errors.get(outcome, 0) + 1
            if outcome in FAILURES:
                self._failed.add(1.0, now_seconds)
        self.fade(now_seconds)

    def fade(self, now_seconds: float) -> None:
        """Bring `error_rate` up to date: the failed share of what succeeded or failed, 0 once that is long ago."""
        failed, succeeded = self._failed.at(now_seconds), self._succeeded.at(now_seconds)
        self.error_rate = failed / (failed + succeeded) if failed + succeeded >= _FORGOTTEN_ATTEMPTS else 0.0

    def allow(self, attempt: Attempt, now_seconds: float) -> None:
        """Keep what an answer's headers said of limits; what they left out is as it was, for a minute."""
        retry, requests, tokens = attempt.retry_after_seconds, attempt.remaining_requests, attempt.remaining_tokens
        if retry is None and requests is None and tokens is None:
            return
        known = self.allowance
        if now_seconds - known.told_seconds > _ALLOWANCE_SECONDS:
            known = Allowance(retry_at_seconds=known.retry_at_seconds)
        self.allowance = Allowance(
            known.remaining_requests if requests is None else requests,
            known.remaining_tokens if tokens is None else tokens,
            known.retry_at_seconds if retry is None else now_seconds + retry,
            now_seconds,
        )


@dataclass(slots=True)
class LiveModels:
    """Figures of every model of the policy. The caller owns the clock: seconds that never go back."""

    in_flight: InFlight = field(default_factory=InFlight)
    _models: dict[str, ModelFigures] = field(default_factory=dict)
    _changed: dict[str, None] = field(default_factory=dict)
    _half_life_seconds: float = 0.0

    def apply_policy(self, policy: Policy, now_seconds: float) -> None:
        """Take the models of a policy. Those that stay at their provider keep their figures."""
        half_life = policy.ranking.half_life_seconds
        if half_life != self._half_life_seconds:
            for known in self._models.values():
                known.change_half_life(half_life, now_seconds)
            self._half_life_seconds = half_life
        self._models = {
            name: self._at(name, model.provider) or ModelFigures(model.provider, half_life)
            for name, model in policy.models.items()
        }
        self._changed = dict.fromkeys(self._models)
        self.in_flight.use({name: figures.provider for name, figures in self._models.items()})

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def items(self) -> Iterable[tuple[str, ModelFigures]]:
        return self._models.items()

    def get(self, model: str) -> ModelFigures | None:
        """Return a model's figures; None if the policy does not have it."""
        return self._models.get(model)

    def take_changed(self, at_most: int) -> list[str]:
        """Return models whose timings changed since they were last taken, those that wait longest first."""
        taken = list(islice(self._changed, at_most))
        for model in taken:
            del self._changed[model]
        return taken

    # ------------------------------------------------------------------ what the log says

    def attempt_started(self, attempt: AttemptId, source: int, now_seconds: float) -> None:
        """source: the log stream that told; see `InFlight.source_lost`."""
        if attempt.started_ns:
            self.in_flight.started(attempt, source, now_seconds)

    def attempt_ended(self, record: AttemptRecord, now_seconds: float) -> None:
        if record.started_ns:
            self.in_flight.ended(record.id, now_seconds)

    def request_ended(self, record: RequestRecord, now_seconds: float) -> None:
        if record.attempts:
            self.in_flight.request_ended(record.key, now_seconds)

    def exchange(self, exchange: Exchange, now_seconds: float) -> None:
        """Count a request's attempts, and time the last one if it succeeded."""
        for attempt in exchange.attempts:
            figures = self._at(attempt.target.model, attempt.target.provider)
            if figures is not None:
                figures.count(attempt.outcome, now_seconds)
                figures.allow(attempt, now_seconds)
        request = exchange.request
        if request is None or not is_success(request) or request.served is None:
            return
        figures = self._at(request.served.model, request.served.provider)
        if figures is None:
            return
        if not exchange.attempts or exchange.attempts[-1].outcome is not AttemptOutcome.OK:
            figures.count(AttemptOutcome.OK, now_seconds)  # the attempt's own entry was lost
        _time(figures, request, now_seconds)
        assert request.served.model is not None
        self._changed[request.served.model] = None

    def expire(self, now_seconds: float) -> None:
        """Let go of what was lost; to be called now and then."""
        self.in_flight.expire(now_seconds)

    def _at(self, model: str | None, provider: str) -> ModelFigures | None:
        figures = self._models.get(model) if model is not None else None
        return figures if figures is not None and figures.provider == provider else None


def is_success(request: RequestRecord) -> bool:
    """Whether the client got a whole answer that the provider meant as one."""
    status = request.status
    return status is not None and 200 <= status < 300 and request.details == VIA_UPSTREAM and not request.client_gone


def _time(figures: ModelFigures, request: RequestRecord, now_seconds: float) -> None:
    if request.ttft_us is None:
        return
    ttft_seconds, body_seconds = request.ttft_us / 1e6, request.body_seconds
    if request.verdict is not None and request.verdict.stream:
        figures.ttft.add(ttft_seconds, now_seconds)
        output_tokens = request.usage.output_tokens
        if body_seconds is not None and output_tokens is not None and output_tokens > 1:
            figures.per_token.add(body_seconds / (output_tokens - 1), now_seconds)
    elif body_seconds is not None:
        figures.whole.add(ttft_seconds + body_seconds, now_seconds)
