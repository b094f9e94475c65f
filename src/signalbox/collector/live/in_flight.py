"""Attempts that have started and not ended: exact per provider, and per model as soon as the model is known.

Envoy logs one start for each attempt that got a connection, and exactly one end for every attempt. Both carry the
request's key, the provider and the attempt's start time. Neither names the model: that follows from the provider
where it serves one model only, else from the request's chain, which comes with the first entry about the request
itself (after a quarter of a second, or at its end).

The log may lose entries, repeat them, and deliver them late. Nothing is counted twice or below zero, and nothing for
ever: a request's own end takes its attempts with it, so does the end of the log stream that told of them, and an hour.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from signalbox.collector.records import AttemptId, ExchangeKey
from signalbox.record import Target

_Name = TypeVar("_Name")

LATE_SECONDS = 2.0  # twenty of Envoy's flush intervals: what belongs to a request that ended has come by then
LONGEST_SECONDS = 3600.0  # as long as the joiner waits for a request
MAX_REQUESTS = 50_000  # about 1 KB each; the oldest go first


@dataclass(slots=True)
class _Running:
    source: int
    model: str | None


@dataclass(slots=True)
class _Request:
    """attempts: None once they have ended, or were given up; in the order they were told of."""

    since_seconds: float
    chain: Sequence[Target] = ()
    attempts: dict[AttemptId, _Running | None] = field(default_factory=dict)


class InFlight:
    """Counts of running attempts. The caller owns the clock: seconds that never go back."""

    def __init__(self) -> None:
        self._provider_of: Mapping[str, str] = {}
        self._only_model: dict[str, str] = {}
        self._requests: OrderedDict[ExchangeKey, _Request] = OrderedDict()
        self._ended: OrderedDict[ExchangeKey, float] = OrderedDict()
        self._by_provider: dict[str, int] = Counter()
        self._by_model: dict[tuple[str, str], int] = Counter()

    def __len__(self) -> int:
        return len(self._requests)

    def of_model(self, model: str) -> int:
        """Return the attempts known to be at a model of the policy."""
        return self._by_model.get((self._provider_of.get(model, ""), model), 0)

    def of_provider(self, provider: str) -> int:
        return self._by_provider.get(provider, 0)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return (provider, model) -> attempts; no model for those whose model is not known yet."""
        unknown = Counter(self._by_provider)
        for (provider, _), count in self._by_model.items():
            unknown[provider] -= count
        return dict(self._by_model) | {(provider, ""): count for provider, count in unknown.items() if count > 0}

    def use(self, provider_of: Mapping[str, str]) -> None:
        """Take the models of a policy, with the provider of each. What runs keeps the name it has."""
        self._provider_of = provider_of
        serves = Counter(provider_of.values())
        self._only_model = {provider: model for model, provider in provider_of.items() if serves[provider] == 1}

    # ------------------------------------------------------------------ what the log says

    def started(self, attempt: AttemptId, source: int, now_seconds: float) -> None:
        """Count an attempt, unless it was seen before. source: the log stream that told."""
        request = self._request(attempt.key, now_seconds)
        if attempt in request.attempts:
            return
        model = self._model(attempt, request)
        request.attempts[attempt] = _Running(source, model)
        self._by_provider[attempt.provider] += 1
        if model is not None:
            self._by_model[attempt.provider, model] += 1

    def ended(self, attempt: AttemptId, now_seconds: float) -> None:
        """Count an attempt no longer. Its start may have been lost, or be still to come."""
        request = self._request(attempt.key, now_seconds)
        self._release(attempt, request.attempts.get(attempt))
        request.attempts[attempt] = None

    def goes_on(self, key: ExchangeKey, chain: Sequence[Target], now_seconds: float) -> None:
        """Learn a request's chain, and with it the models of its attempts."""
        request = self._request(key, now_seconds)
        request.chain = chain
        for attempt, running in request.attempts.items():
            if running is not None and running.model is None:
                running.model = self._model(attempt, request)
                if running.model is not None:
                    self._by_model[attempt.provider, running.model] += 1

    def request_ended(self, key: ExchangeKey, now_seconds: float) -> None:
        """Learn that a request is over: what is still counted for it in two seconds was lost."""
        self._request(key, now_seconds)  # its attempts may be told of after it: they are on another stream
        self._ended[key] = now_seconds

    def source_lost(self, source: int) -> None:
        """Give up what a log stream told of: it is over, and so may be the Envoy behind it."""
        for request in self._requests.values():
            for attempt, running in request.attempts.items():
                if running is not None and running.source == source:
                    self._release(attempt, running)
                    request.attempts[attempt] = None

    def expire(self, now_seconds: float) -> None:
        """Forget requests that ended a while ago, and those that cannot be running any more."""
        while self._ended:
            key, since_seconds = next(iter(self._ended.items()))
            if now_seconds - since_seconds < LATE_SECONDS:
                break
            self._forget(key)
        while self._requests:
            key, request = next(iter(self._requests.items()))
            if now_seconds - request.since_seconds < LONGEST_SECONDS:
                break
            self._forget(key)

    # ------------------------------------------------------------------ within

    def _request(self, key: ExchangeKey, now_seconds: float) -> _Request:
        request = self._requests.get(key)
        if request is None:
            request = self._requests[key] = _Request(now_seconds)
            if len(self._requests) > MAX_REQUESTS:
                self._forget(next(iter(self._requests)))
        return request

    def _forget(self, key: ExchangeKey) -> None:
        self._ended.pop(key, None)
        request = self._requests.pop(key, None)
        if request is not None:
            for attempt, running in request.attempts.items():
                self._release(attempt, running)

    def _release(self, attempt: AttemptId, running: _Running | None) -> None:
        if running is None:
            return
        _take_one(self._by_provider, attempt.provider)
        if running.model is not None:
            _take_one(self._by_model, (attempt.provider, running.model))

    def _model(self, attempt: AttemptId, request: _Request) -> str | None:
        provider = attempt.provider
        only = self._only_model.get(provider)
        if only is not None:
            return only
        models = [target.model for target in request.chain if target.provider == provider]
        # A chain may name one provider twice; then its attempts there come in the chain's order.
        earlier = 0
        for other in request.attempts:
            if other == attempt:
                break
            earlier += other.provider == provider
        model = models[min(earlier, len(models) - 1)] if models else None
        return model if model is not None and self._provider_of.get(model) == provider else None


def _take_one(counts: dict[_Name, int], name: _Name) -> None:
    counts[name] -= 1
    if counts[name] <= 0:
        del counts[name]
