"""Brings a request's entry and its attempts' entries together.

Envoy sends them on two streams, each with its own buffer, so either may come first. Only the request
entry knows the models, only the attempt entries know how each attempt ended. Attempts come in order:
a request stays on one Envoy thread, and a thread has one stream per log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from signalbox.collector.details import NO_HEALTHY_UPSTREAM, STOPPED_IN_CLUSTER, TIMEOUTS
from signalbox.collector.records import AttemptRecord, ExchangeKey, RequestRecord
from signalbox.record import Target
from signalbox.telemetry import AttemptOutcome

_K = TypeVar("_K")

GRACE_SECONDS = 1.0  # ten of Envoy's flush intervals; whoever is not here by then was lost
ORPHAN_SECONDS = 3600.0  # an attempt waits for its request as long as a fallback may stream
REPEATED_SECONDS = 10.0  # an entry that comes a second time comes soon
MAX_WAITING = 20_000  # requests, 2 KB each, and as many with attempts; the oldest go first


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt with everything both entries know about it. started_ns: as in its entry; 0 without one."""

    target: Target
    outcome: AttemptOutcome
    retry_after_seconds: float | None = None
    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    started_ns: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its attempts, in order. `request` None: its entry never came."""

    request: RequestRecord | None
    attempts: tuple[Attempt, ...]
    retry_after_seconds: float | None = None  # the longest any provider asked for


class Joiner:
    """Holds what waits for its other half. The caller owns the clock: seconds that never go back."""

    def __init__(self) -> None:
        self._requests: OrderedDict[ExchangeKey, tuple[float, RequestRecord]] = OrderedDict()
        self._attempts: OrderedDict[ExchangeKey, tuple[float, list[AttemptRecord]]] = OrderedDict()
        self._told: OrderedDict[tuple[object, ...], tuple[float, None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._requests) + len(self._attempts)

    def add_request(self, record: RequestRecord, now_seconds: float) -> list[Exchange]:
        """Take a request's entry; return every exchange it completes."""
        done: list[Exchange] = []
        if record.started_ns and self._is_repeated((record.key, record.started_ns), now_seconds):
            return done
        if record.key in self._requests:  # the id was used again on one connection: two requests
            done.append(self._finish(record.key))
        self._requests[record.key] = now_seconds, record
        if self._is_complete(record):
            done.append(self._finish(record.key))
        elif len(self._requests) > MAX_WAITING:
            done.append(self._finish(next(iter(self._requests))))
        return done

    def add_attempt(self, record: AttemptRecord, now_seconds: float) -> list[Exchange]:
        """Take an attempt's entry; return every exchange it completes."""
        if record.started_ns and self._is_repeated(record.id, now_seconds):
            return []
        known = self._attempts.setdefault(record.key, (now_seconds, []))[1]
        known.append(record)
        if len(known) > 1 and record.started_ns < known[-2].started_ns:
            known.sort(key=lambda attempt: attempt.started_ns)
        waiting = self._requests.get(record.key)
        if waiting is not None and self._is_complete(waiting[1]):
            return [self._finish(record.key)]
        if len(self._attempts) > MAX_WAITING:
            return [self._finish(next(iter(self._attempts)))]
        return []

    def expire(self, now_seconds: float) -> list[Exchange]:
        """Return what has waited too long, as it is."""
        for identity in _older(self._told, now_seconds - REPEATED_SECONDS):
            del self._told[identity]
        late = _older(self._requests, now_seconds - GRACE_SECONDS)
        orphans = _older(self._attempts, now_seconds - ORPHAN_SECONDS)
        return [self._finish(key) for key in (*late, *(key for key in orphans if key not in late))]

    def drain(self) -> list[Exchange]:
        """Return everything that still waits; for the end of the process."""
        return [self._finish(key) for key in (*self._requests, *(set(self._attempts) - set(self._requests)))]

    def _is_repeated(self, identity: tuple[object, ...], now_seconds: float) -> bool:
        if identity in self._told:
            return True
        self._told[identity] = now_seconds, None
        if len(self._told) > MAX_WAITING:
            self._told.popitem(last=False)
        return False

    def _is_complete(self, request: RequestRecord) -> bool:
        # An attempt that found no host has no entry of its own.
        expected = request.attempts - (request.details == NO_HEALTHY_UPSTREAM)
        _, attempts = self._attempts.get(request.key, (0.0, []))
        return len(attempts) >= expected

    def _finish(self, key: ExchangeKey) -> Exchange:
        _, request = self._requests.pop(key, (0.0, None))
        _, records = self._attempts.pop(key, (0.0, []))
        waits = [record.retry_after_seconds for record in records if record.retry_after_seconds is not None]
        return Exchange(request, _attempts(request, records), max(waits, default=None))


def _older(waiting: Mapping[_K, tuple[float, object]], limit_seconds: float) -> list[_K]:
    keys = []
    for key, (since_seconds, _) in waiting.items():
        if since_seconds > limit_seconds:
            break
        keys.append(key)
    return keys


def _attempts(request: RequestRecord | None, records: list[AttemptRecord]) -> tuple[Attempt, ...]:
    chain = request.verdict.chain if request is not None and request.verdict is not None else ()
    attempts = []
    for index, record in enumerate(records):
        candidate = chain[index] if index < len(chain) else None
        if candidate is None or candidate.provider != record.provider:
            candidate = Target(record.provider, None)
        is_last = request is not None and index + 1 == request.attempts
        attempts.append(
            Attempt(
                candidate,
                _settle(record.outcome, request if is_last else None),
                record.retry_after_seconds,
                record.remaining_requests,
                record.remaining_tokens,
                record.started_ns,
            )
        )
    if request is not None and request.details == NO_HEALTHY_UPSTREAM and len(records) == request.attempts - 1:
        target = chain[len(records)] if len(records) < len(chain) else request.served
        if target is not None:
            attempts.append(Attempt(target, AttemptOutcome.REFUSED))
    return tuple(attempts)


def _settle(outcome: AttemptOutcome | None, request: RequestRecord | None) -> AttemptOutcome:
    """Complete an attempt's own view with the request's, which knows about the last attempt only."""
    if request is None or outcome not in (None, AttemptOutcome.OK):
        return outcome or AttemptOutcome.UNKNOWN
    if request.client_gone:
        return AttemptOutcome.ABANDONED
    if request.details in TIMEOUTS:
        return AttemptOutcome.TIMEOUT
    if outcome is None and request.details in STOPPED_IN_CLUSTER:
        return AttemptOutcome.DENIED
    return outcome or AttemptOutcome.UNKNOWN
