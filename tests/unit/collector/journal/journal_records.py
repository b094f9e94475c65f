"""Records as workers send them, and the entries Envoy wraps them in."""

from __future__ import annotations

from typing import Any

from access_log_entries import DECISION_ID, attempt_entry, decision, request_entry

from signalbox import record
from signalbox.record import Record, Target


def a_record(**changes: Any) -> Record:
    """What a worker says of the request that `access_log_entries.decision` routes."""
    members: dict[str, Any] = {
        "id": DECISION_ID,
        "endpoint": "chat_completions",
        "policy": "0123456789ab",
        "router": "coding",
        "route": "bug-fixing",
        "reason": "rule",
        "rule": "stack-trace",
        "privacy": "any",
        "stream": True,
        "chain": (Target("cloud", "gpt-large"), Target("spare", "gpt-small"), Target("local", "qwen")),
        "tokens": (11, -12, -12),
        "estimate": 12,
        "complexity": 0.25,
        "decide_us": 41,
        "expected_usd": 0.000062,
        "expected_output": 5,
        "session": "9f86d081884c7d65",
        "pin": "kept",
        "rollout": "in",
        "shadow": ("bug-fixing", "gpt-small"),
        "world": 7,
        "features": (12.0, -1.0, 0.25),
    }
    return Record(**(members | changes))


def said(**changes: Any) -> dict[str, Any]:
    """The metadata of a decision with its record."""
    return {**decision(), "record": record.encode(a_record(**changes)).decode()}


def one_request(bench: Any, *, number: int = 0, **changes: Any) -> None:
    """A request that ended well at its first candidate; `number` keeps it apart from others."""
    request_id = f"8495f25b-2a2d-4029-98a5-{number:012x}"
    bench.attempts(attempt_entry(request_id=request_id))
    bench.requests(request_entry(metadata=said(**changes), request_id=request_id))
