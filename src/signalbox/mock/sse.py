"""Server-sent events: how one is spelled, and how a stream of them is sent, slowly or badly when told to."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from aiohttp import web

from signalbox.mock.faults import Fault, FaultKind

DONE = b"data: [DONE]\n\n"
_encode = json.JSONEncoder(separators=(",", ":")).encode


def event(data: dict[str, Any], *, name: str | None = None) -> bytes:
    """One event; `name` fills its `event:` line, as Anthropic and OpenAI's Responses do."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {_encode(data)}\n\n".encode()


async def send_stream(
    request: web.BaseRequest,
    events: Iterable[bytes],
    *,
    headers: dict[str, str],
    gap_seconds: float,
    fault: Fault,
    error_event: Callable[[int], bytes],
) -> web.StreamResponse:
    """Answer with `events`, each flushed as it is made.

    gap_seconds: pause between two events; the slow-chunks fault replaces it.
    error_event: makes the event that reports a failure, given how many went before it.
    """
    response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-cache"} | headers)
    await response.prepare(request)
    await asyncio.sleep(fault.seconds(FaultKind.EARLY_HEADERS))
    gap_seconds = fault.seconds(FaultKind.SLOW_CHUNKS) or gap_seconds
    cut, failure = fault.count(FaultKind.CUT), fault.count(FaultKind.ERROR_EVENT)
    last = failure if cut is None else cut
    sent = 0
    for data in events:
        if sent == last:
            break
        if sent and gap_seconds:
            await asyncio.sleep(gap_seconds)
        await response.write(data)
        sent += 1
    if cut is not None:
        await drop_connection(request)
    if failure is not None:
        await response.write(error_event(sent))
    await response.write_eof()
    return response


async def drop_connection(request: web.BaseRequest, *, reset: bool = False) -> NoReturn:
    """End the connection without ending the answer; what was written before still arrives.

    reset: with a TCP reset, as a crashed process or a firewall does, instead of an early end.
    """
    transport = request.transport
    if transport is not None:
        if reset:
            no_linger = struct.pack("ii", 1, 0)  # close() then sends RST, not FIN
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        else:
            await _flush(transport)
        transport.abort()
    # aiohttp cancels the handler of a lost connection, so this wait ends with the connection.
    await asyncio.Event().wait()
    raise AssertionError("an event nobody sets was set")


async def _flush(transport: asyncio.WriteTransport) -> None:
    """Wait until the kernel has everything: abort() forgets what is still in the write buffer."""
    while transport.get_write_buffer_size() and not transport.is_closing():
        await asyncio.sleep(0.001)
