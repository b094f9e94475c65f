"""One provider's answer to one HTTP request: record, misbehave if told to, check, answer.

The order is that of a real provider behind a bad network: what arrived is recorded first, a fault
strikes before anything is looked at, then key, path, framing, JSON, model and members are checked.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import web

from signalbox.mock import chat, completions, embeddings, messages, responses
from signalbox.mock.answer import Dialect, compose
from signalbox.mock.control import PREFIX, handle_control
from signalbox.mock.errors import ApiError, Vendor, error_body, error_headers
from signalbox.mock.faults import MAX_SECONDS, NO_FAULT, Fault, FaultKind, fault_for, parse_fault
from signalbox.mock.fields import Json, optional_flag, parse_body, required_text
from signalbox.mock.models import PATH as MODELS_PATH
from signalbox.mock.models import check_served, write_models
from signalbox.mock.pace import Pace, read_pace
from signalbox.mock.record import Record, key_of
from signalbox.mock.slots import Slots
from signalbox.mock.sse import drop_connection, send_stream
from signalbox.types import Endpoint

DIALECTS: dict[Endpoint, Dialect] = {
    Endpoint.CHAT_COMPLETIONS: chat.DIALECT,
    Endpoint.COMPLETIONS: completions.DIALECT,
    Endpoint.RESPONSES: responses.DIALECT,
    Endpoint.MESSAGES: messages.DIALECT,
    Endpoint.EMBEDDINGS: embeddings.DIALECT,
}
METRICS_PATH = "/metrics"
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a provider answers when nothing is wrong.

    models: those it serves; empty for any.
    required_key: the only key it takes; None for any or none.
    latency_seconds: pause before each answer, from the start; `MockApp.latency_seconds` may change later.
    slots: completions it works on at once, the pause included; others wait. None for any number.
    pace: shape of an answer where the request's headers do not say.
    """

    name: str
    models: tuple[str, ...] = ()
    required_key: str | None = None
    latency_seconds: float = 0.0
    slots: int | None = None
    pace: Pace = field(default_factory=Pace)


class MockApp:
    """Request handler of one provider, for aiohttp's low-level server: paths are matched by their end."""

    def __init__(self, behaviour: Behaviour, record: Record) -> None:
        self.record = record
        self.standing_fault = NO_FAULT
        self.latency_seconds = behaviour.latency_seconds
        self.slots = Slots(behaviour.slots)
        self._behaviour = behaviour
        self._fault_header = f"x-mock-fault-{behaviour.name.lower()}"
        self._serials = count(1)

    def set_fault(self, fault: str | None) -> None:
        """Misbehave from now on, until None. Raises ValueError when `fault` spells none."""
        self.standing_fault = NO_FAULT if fault is None else parse_fault(fault)

    def set_latency(self, seconds: float) -> None:
        """Pause for this long before each answer from now on. Raises ValueError unless it is 0 to 3600."""
        if not 0 <= seconds <= MAX_SECONDS:  # NaN compares as False
            raise ValueError(f"latency {seconds} is no time; expected 0 to {MAX_SECONDS:g} seconds")
        self.latency_seconds = seconds

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer `request`; what a client did wrong becomes an error in its vendor's shape."""
        path = request.raw_path.partition("?")[0]
        if path.startswith(PREFIX):
            return await handle_control(request, path, self)
        if path == METRICS_PATH:
            served = self._behaviour.models
            return web.Response(text=self.slots.vllm_metrics(served[0] if served else self._behaviour.name))
        serial = next(self._serials)
        vendor = _vendor(path, request.headers)
        try:
            response = await self._answer(request, path, vendor, serial)
        except ApiError as error:
            response = self._error(vendor, error, serial)
        except asyncio.CancelledError:
            self.record.count("connections_lost")
            raise
        self.record.count(f"status_{response.status}")
        return response

    async def _answer(self, request: web.BaseRequest, path: str, vendor: Vendor, serial: int) -> web.StreamResponse:
        raw = await _read(request)
        body, unparsable = _parse(raw)
        is_health_check = path.endswith("/healthz")
        if not is_health_check:
            self.record.add(
                time_seconds=time.time(),
                provider=self._behaviour.name,
                method=request.method,
                target=request.raw_path,
                headers=request.headers,
                body=raw,
                parsed=body,
            )
        fault = await self._fault(request)
        if is_health_check:
            await self._pause()
            return self._json({"status": "ok", "provider": self._behaviour.name}, serial)
        self._check_key(request.headers)
        if request.method == "GET" and f"{MODELS_PATH}/" in f"{path}/":
            await self._pause()
            return self._json(write_models(path, self._behaviour.models, self._behaviour.name, vendor), serial)
        dialect = _dialect(path, request.method)
        _check_framing(request.headers)
        if unparsable is not None:
            raise unparsable
        async with self.slots.taken():
            await self._pause()
            return await self._complete(request, dialect, body, fault, serial)

    async def _pause(self) -> None:
        if self.latency_seconds:
            await asyncio.sleep(self.latency_seconds)

    async def _fault(self, request: web.BaseRequest) -> Fault:
        """Misbehave as far as it comes before the answer; returns the fault for what comes after."""
        try:
            fault = fault_for(request.headers, self._fault_header, self.standing_fault)
        except ValueError as problem:
            raise ApiError(400, str(problem), code="unknown_fault") from None
        if fault.kind is not FaultKind.NONE:
            self.record.count(f"fault_{fault.kind}")
        match fault.kind:
            case FaultKind.STATUS:
                status = int(fault.value)
                raise ApiError(status, f"{self._behaviour.name} was told to answer {status}.")
            case FaultKind.RESET:
                await drop_connection(request, reset=True)
            case FaultKind.HANG:
                await asyncio.Event().wait()
            case FaultKind.SLOW_HEADERS:
                await asyncio.sleep(fault.value)
        return fault

    async def _complete(
        self, request: web.BaseRequest, dialect: Dialect, body: Json, fault: Fault, serial: int
    ) -> web.StreamResponse:
        model = required_text(body, "model")
        check_served(model, self._behaviour.models, self._behaviour.name)
        stream = optional_flag(body, "stream")
        pace = read_pace(request.headers, self._behaviour.pace)
        answer = compose(
            dialect.read(body),
            provider=self._behaviour.name,
            model=model,
            pace=pace,
            serial=serial,
            now_seconds=int(time.time()),
        )
        if not stream:
            return await self._send_json(request, dialect.body(body, answer), fault, serial)
        if dialect.events is None or dialect.error_event is None:
            raise ApiError(400, "This call cannot stream.", code="unsupported_parameter", param="stream")
        self.record.count("streams")
        failure = ApiError(500, f"{self._behaviour.name} was told to fail in the middle.")
        write_error = dialect.error_event
        return await send_stream(
            request,
            dialect.events(body, answer),
            headers=self._headers(serial),
            gap_seconds=pace.gap_seconds,
            fault=fault,
            error_event=lambda sent: write_error(failure, sent),
        )

    async def _send_json(
        self, request: web.BaseRequest, document: Json, fault: Fault, serial: int
    ) -> web.StreamResponse:
        early_seconds = fault.seconds(FaultKind.EARLY_HEADERS)
        cut_bytes = fault.count(FaultKind.CUT)
        if not early_seconds and cut_bytes is None:
            return self._json(document, serial)
        data = _encode(document).encode()
        response = web.StreamResponse(headers={"content-type": "application/json"} | self._headers(serial))
        response.content_length = len(data)
        await response.prepare(request)
        await asyncio.sleep(early_seconds)
        await response.write(data[:cut_bytes])
        if cut_bytes is not None:
            await drop_connection(request)
        await response.write_eof()
        return response

    def _check_key(self, headers: Mapping[str, str]) -> None:
        required = self._behaviour.required_key
        if required is not None and key_of(headers) != required:
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")

    def _headers(self, serial: int) -> dict[str, str]:
        request_id = f"req_mock{serial:012x}"  # OpenAI's spelling and Anthropic's
        return {"x-request-id": request_id, "request-id": request_id, "x-mock-provider": self._behaviour.name}

    def _json(self, document: Json, serial: int) -> web.Response:
        return web.Response(
            body=_encode(document).encode(), headers={"content-type": "application/json"} | self._headers(serial)
        )

    def _error(self, vendor: Vendor, error: ApiError, serial: int) -> web.Response:
        headers = self._headers(serial)
        body = error_body(vendor, error, headers["request-id"])
        headers = {"content-type": "application/json"} | headers | error_headers(vendor, error.status)
        return web.Response(status=error.status, body=_encode(body).encode(), headers=headers)


def _vendor(path: str, headers: Mapping[str, str]) -> Vendor:
    return Vendor.ANTHROPIC if path.endswith("/messages") or "anthropic-version" in headers else Vendor.OPENAI


def _dialect(path: str, method: str) -> Dialect:
    """The call that a path ends with, whatever its base: `/v1/chat/completions`, `/openai/v1/embeddings`."""
    for endpoint, dialect in DIALECTS.items():  # /chat/completions comes before /completions
        if path.endswith(endpoint.suffix):
            if method != "POST":
                raise ApiError(405, f"Not allowed to {method} on {path}.", code="method_not_supported")
            return dialect
    raise ApiError(404, f"Unknown request URL: {method} {path}.", code="unknown_url")


async def _read(request: web.BaseRequest) -> bytes:
    transport = request.transport
    if request.headers.get("expect", "").lower() == "100-continue" and transport is not None:
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as problem:
        raise ApiError(413, "The request body is too large.") from problem


def _parse(raw: bytes) -> tuple[Json, ApiError | None]:
    """The body and no error, or an empty object and what is wrong: the record comes before the refusal."""
    try:
        return parse_body(raw), None
    except ApiError as error:
        return {}, error


def _check_framing(headers: Mapping[str, Any]) -> None:
    """Refuse what the gateway should have undone: chunked and compressed bodies."""
    if "content-length" not in headers:
        raise ApiError(411, "The request has no content-length.", code="length_required")
    encoding = headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise ApiError(415, "The request body is compressed; expected plain JSON.", code="unsupported_encoding")
