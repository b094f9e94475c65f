"""The endpoints under /__mock__/, by which tests and demos read the record and set faults and latency while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web

from signalbox.mock.faults import NO_FAULT, SPELLINGS, Fault
from signalbox.mock.record import Record

PREFIX = "/__mock__/"


class Controlled(Protocol):
    """What the control endpoints work on."""

    record: Record
    standing_fault: Fault
    latency_seconds: float

    def set_fault(self, fault: str | None) -> None: ...

    def set_latency(self, seconds: float) -> None: ...


async def handle_control(request: web.BaseRequest, path: str, provider: Controlled) -> web.Response:
    """Answer a request under PREFIX. Mistakes get a JSON `error` that says what is possible."""
    actions: dict[tuple[str, str], Callable[[bytes], Any]] = {
        ("GET", "requests"): lambda _: [one.to_dict() for one in provider.record.requests(request.query.get("id"))],
        ("DELETE", "requests"): lambda _: provider.record.clear(),
        ("GET", "totals"): lambda _: provider.record.totals(),
        ("GET", "fault"): lambda _: _spell(provider.standing_fault),
        ("PUT", "fault"): lambda body: _set_fault(body, provider),
        ("DELETE", "fault"): lambda _: provider.set_fault(None),
        ("GET", "latency"): lambda _: {"seconds": provider.latency_seconds},
        ("PUT", "latency"): lambda body: _set_latency(body, provider),
    }
    action = actions.get((request.method, path.removeprefix(PREFIX)))
    if action is None:
        possible = ", ".join(f"{method} {PREFIX}{name}" for method, name in actions)
        return _json({"error": f"{request.method} {path} is not known; expected one of {possible}"}, status=404)
    try:
        result = action(await request.read())
    except ValueError as problem:
        return _json({"error": str(problem)}, status=400)
    return web.Response(status=204) if result is None else _json(result)


def _set_fault(body: bytes, provider: Controlled) -> dict[str, str | None]:
    expected = f'expected {{"fault": VALUE}} with VALUE null or {SPELLINGS}'
    try:
        document = json.loads(body)
    except ValueError:
        raise ValueError(f"the body is no JSON; {expected}") from None
    if not isinstance(document, dict) or not isinstance(document.get("fault", 0), str | None):
        raise ValueError(f"the body has no usable `fault`; {expected}")
    provider.set_fault(document["fault"])
    return _spell(provider.standing_fault)


def _set_latency(body: bytes, provider: Controlled) -> dict[str, float]:
    expected = 'expected {"seconds": NUMBER}'
    try:
        document = json.loads(body)
    except ValueError:
        raise ValueError(f"the body is no JSON; {expected}") from None
    seconds = document.get("seconds") if isinstance(document, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError(f"the body has no usable `seconds`; {expected}")
    provider.set_latency(seconds)
    return {"seconds": provider.latency_seconds}


def _spell(fault: Fault) -> dict[str, str | None]:
    return {"fault": None if fault == NO_FAULT else str(fault)}


def _json(document: Any, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(document).encode(), status=status, content_type="application/json")
