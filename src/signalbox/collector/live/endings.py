"""Attempts told to the circuits as soon as their model is known and their end is certain.

A failed attempt's fallback may stream for minutes, and only the request's last entry completes the picture. A circuit
that waited for it would send everybody else to the same failure meanwhile. Envoy's entry of an attempt that ended
names the provider, not the model: that follows from the provider where it serves one model only, else from the chain,
which comes with the first entry about a request that lasts, or with its end.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from signalbox.collector.join import Exchange
from signalbox.collector.live.circuit import FAILURES
from signalbox.collector.records import AttemptRecord, ExchangeKey
from signalbox.record import Target
from signalbox.telemetry import AttemptOutcome

CERTAIN = FAILURES | {AttemptOutcome.RATE_LIMITED}
"""What no later entry changes. A success may still turn out to have been cut, and silence to have been a timeout."""

MAX_REQUESTS = 20_000  # as many as the joiner holds; the oldest are told with their request, or not at all


class Ending(NamedTuple):
    """An attempt that ended. started_ns: by Envoy's clock, since the epoch; 0 when nobody says."""

    model: str
    outcome: AttemptOutcome
    retry_after_seconds: float | None
    started_ns: int


@dataclass(slots=True)
class _Request:
    chain: Sequence[Target] = ()
    ended: list[AttemptRecord] = field(default_factory=list)
    told: set[int] = field(default_factory=set)  # places in `ended`


class Endings:
    """Tells each attempt once. Not safe for several threads."""

    def __init__(self) -> None:
        self._only_model: dict[str, str] = {}
        self._requests: OrderedDict[ExchangeKey, _Request] = OrderedDict()

    def use(self, provider_of: Mapping[str, str]) -> None:
        """Take the models of a policy, with the provider of each."""
        serves = Counter(provider_of.values())
        self._only_model = {provider: model for model, provider in provider_of.items() if serves[provider] == 1}

    def attempt(self, record: AttemptRecord) -> list[Ending]:
        """Take an attempt's entry; return what can be told now."""
        request = self._request(record.key)
        if record.started_ns and any(record.id == known.id for known in request.ended):
            return []  # Envoy told it twice
        request.ended.append(record)
        return self._certain(request)

    def goes_on(self, key: ExchangeKey, chain: Sequence[Target]) -> list[Ending]:
        """Take the chain of a request that lasts; return what can be told now."""
        request = self._request(key)
        request.chain = chain
        return self._certain(request)

    def exchange(self, exchange: Exchange) -> list[Ending]:
        """Take a request that ended; return its attempts that were not told yet."""
        if exchange.request is None:
            return []
        request = self._requests.pop(exchange.request.key, None)
        told = Counter[tuple[str, int]]()
        if request is not None:
            told.update((request.ended[place].provider, request.ended[place].started_ns) for place in request.told)
        endings = []
        for attempt in exchange.attempts:
            identity = attempt.target.provider, attempt.started_ns
            if told[identity] > 0:
                told[identity] -= 1
            elif attempt.target.model is not None:
                endings.append(
                    Ending(attempt.target.model, attempt.outcome, attempt.retry_after_seconds, attempt.started_ns)
                )
        return endings

    def _certain(self, request: _Request) -> list[Ending]:
        endings = []
        for place, record in enumerate(request.ended):
            if place in request.told or record.outcome is None or record.outcome not in CERTAIN:
                continue
            model = self._model(record.provider, place, request.chain)
            if model is not None:
                request.told.add(place)
                endings.append(Ending(model, record.outcome, record.retry_after_seconds, record.started_ns))
        return endings

    def _model(self, provider: str, place: int, chain: Sequence[Target]) -> str | None:
        if place < len(chain) and chain[place].provider == provider:
            return chain[place].model
        return self._only_model.get(provider)

    def _request(self, key: ExchangeKey) -> _Request:
        request = self._requests.get(key)
        if request is None:
            request = self._requests[key] = _Request()
            if len(self._requests) > MAX_REQUESTS:
                self._requests.popitem(last=False)
        return request
