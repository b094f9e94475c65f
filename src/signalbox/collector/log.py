"""One JSON line per request on standard output, written in batches by a thread.

A line says what happened and nothing that a client or a provider wrote; its fields are those of
`telemetry.LOG_FIELDS`. Losing lines is better than losing metrics: when standard output is closed or
too slow, lines are dropped and counted, and the collector goes on.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from typing import Any

from signalbox.collector.join import Exchange
from signalbox.collector.names import Labels
from signalbox.collector.records import RequestRecord
from signalbox.collector.verdict import POLICY_ID, match
from signalbox.record import Record
from signalbox.telemetry import AttemptOutcome, Event

FLUSH_SECONDS = 0.1
MAX_BUFFERED_BYTES = 8 * 1024 * 1024  # about 15,000 lines: some seconds of a stuck pipe at full load

_NO_VERDICT = Record(id="")
_BROKEN = (AttemptOutcome.CUT, AttemptOutcome.TIMEOUT)  # the client may have seen a 200 and then half an answer
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)


LEVELS = {"info": 0, "warning": 1, "error": 2}
"""How much each level matters; a policy's `log_level` leaves out what matters less."""


def request_line(exchange: Exchange, request: RequestRecord, labels: Labels) -> bytes:
    """Return the log line of one request, newline included. Fields without a value are left out."""
    verdict = request.verdict or _NO_VERDICT
    usage = request.usage
    fields: dict[str, Any] = {
        "time": _rfc3339(request.ended_seconds),
        "level": request_level(exchange, request),
        "event": "request",
        "id": verdict.id,
        "request_id": request.request_id,
        "endpoint": labels.endpoint,
        "router": labels.router,
        "goal": labels.goal,
        "route": labels.route,
        "reason": labels.reason,
        "rule": labels.rule,
        "error": labels.error,
        "undecided": labels.undecided,
        "model": labels.model,
        "provider": labels.provider,
        "attempts": request.attempts,
        "outcomes": [attempt.outcome for attempt in exchange.attempts] or None,
        "retry_after_s": exchange.retry_after_seconds,
        "status": request.status,
        "details": request.details,
        "ttft_ms": _milliseconds(request.ttft_us, 1e3),
        "duration_ms": _milliseconds(request.duration_seconds, 1e-3),
        "decide_us": verdict.decide_us or None,
        "ext_proc_us": request.ext_proc_us,
        "prompt_tokens": verdict.prompt_tokens,
        "complexity": verdict.complexity,
        "engine": labels.engine,
        "engine_outcome": labels.engine_outcome,
        "engine_us": verdict.engine_us if verdict.engine else None,
        "score": verdict.score,
        "threshold_state": labels.threshold_state,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "stream": verdict.stream if verdict.chain else None,
        "privacy": labels.privacy,
        "policy": match(POLICY_ID, verdict.policy),
    }
    return encode_line({name: value for name, value in fields.items() if value is not None and value != ""})


def request_level(exchange: Exchange, request: RequestRecord) -> str:
    """Return the level of a request's line: a warning when the client got no whole answer, or a 5xx."""
    if request.client_gone:
        return "info"  # nothing went wrong here
    is_broken = bool(exchange.attempts) and exchange.attempts[-1].outcome in _BROKEN
    return "warning" if is_broken or request.status is None or request.status >= 500 else "info"


def event_line(event: Event, *, level: str = "warning", **facts: str | int | float) -> bytes:
    """Return a line about the collector's own work."""
    return encode_line({"time": _rfc3339(None), "level": level, "event": event, **facts})


def encode_line(fields: dict[str, Any]) -> bytes:
    return _ENCODER.encode(fields).encode() + b"\n"


def _rfc3339(epoch_seconds: float | None) -> str:
    if epoch_seconds is None:
        moment = datetime.now(UTC)
    else:
        moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(value: float | None, per_millisecond: float) -> float | None:
    return None if value is None else round(value / per_millisecond, 3)


class LogWriter:
    """Writes lines to a file descriptor from a thread of its own, so that a slow reader holds up nobody."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._buffered_bytes = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.dropped = 0  # lines lost so far
        self._thread = threading.Thread(target=self._write_forever, name="log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue one line; returns at once."""
        with self._lock:
            if self._buffered_bytes + len(line) > MAX_BUFFERED_BYTES:
                self.dropped += 1
                return
            self._lines.append(line)
            self._buffered_bytes += len(line)

    def close(self, deadline_seconds: float = 2.0) -> None:
        """Write what is queued, for as long as `deadline_seconds`; a stuck reader loses the rest."""
        self._closing.set()
        self._thread.join(deadline_seconds)

    def _write_forever(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            rest = memoryview(b"".join(lines))
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            # Closed, or a full disk. The next batch tries again: a log reader may have come back.
            with self._lock:
                self.dropped += len(lines)
        with self._lock:
            # Only now: bytes being written count against the limit too.
            self._buffered_bytes -= sum(map(len, lines))
