"""Serve exchanges over grpc.aio: grpcio's documented API, at a few times the cost of `core_server`.

The way out when grpcio's private module has changed; a peer sees no difference.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from signalbox.errors import SetupError
from signalbox.extproc import address as addresses
from signalbox.extproc import health
from signalbox.extproc.exchange import Conversation, Exchange, Waiting
from signalbox.extproc.stopping import StopTimes

_CHECK_SERVICE, _CHECK_NAME = health.CHECK_METHOD[1:].split("/")
_PROCESS_SERVICE, _PROCESS_NAME = health.PROCESS_METHOD[1:].split("/")


class AioServer:
    """See `EdgeServer`."""

    def __init__(self, exchange: Exchange, *, max_message_bytes: int) -> None:
        self._exchange = exchange
        self._max_message_bytes = max_message_bytes
        self._stop = StopTimes()
        self._runner = asyncio.Runner()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_changed = asyncio.Event()

    def start(self, address: str) -> None:
        path = addresses.claim(address)
        self._server = self._runner.run(self._start(f"unix:{path}"))
        self._loop = self._runner.get_loop()
        addresses.share(path)

    def drain(self, drain_seconds: float, grace_seconds: float) -> None:
        self._stop.begin(drain_seconds, grace_seconds)
        # Only woken through the loop: an asyncio.Event is not safe to set from a thread or a signal handler.
        if self._loop is not None:
            with suppress(RuntimeError):  # closed: it has stopped already
                self._loop.call_soon_threadsafe(self._stop_changed.set)

    def run(self) -> None:
        with self._runner:
            self._runner.run(self._serve())

    async def _start(self, address: str) -> grpc.aio.Server:
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", self._max_message_bytes),
                ("grpc.max_send_message_length", -1),
            )
        )
        # No serializers: handlers take and give bytes, as the exchange does.
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    _PROCESS_SERVICE, {_PROCESS_NAME: grpc.stream_stream_rpc_method_handler(self._process)}
                ),
                grpc.method_handlers_generic_handler(
                    _CHECK_SERVICE, {_CHECK_NAME: grpc.unary_unary_rpc_method_handler(self._check)}
                ),
            )
        )
        try:
            server.add_insecure_port(address)
        except RuntimeError as problem:
            raise SetupError(f"cannot listen on {address!r}: grpc could not bind it") from problem
        await server.start()
        return server

    async def _serve(self) -> None:
        while (remaining_seconds := self._stop.accept_until - time.monotonic()) > 0:
            await self._sleep(remaining_seconds)
        # Each call to stop may only shorten the grace of the one before; all of them end together.
        stops: list[asyncio.Task[None]] = []
        while not stops or not stops[0].done():
            grace_seconds = self._stop.cancel_at - time.monotonic()
            stops.append(asyncio.create_task(self._server.stop(grace_seconds if grace_seconds > 0 else None)))
            await self._sleep(math.inf, until=stops[0])
        await asyncio.gather(*stops)

    async def _sleep(self, seconds: float, *, until: asyncio.Task[None] | None = None) -> None:
        """Return when the stop times have changed, the time is over or the task is done."""
        change = asyncio.create_task(self._stop_changed.wait())
        waited_for = {change} if until is None else {change, until}
        await asyncio.wait(
            waited_for, timeout=None if seconds == math.inf else seconds, return_when=asyncio.FIRST_COMPLETED
        )
        change.cancel()
        self._stop_changed.clear()

    async def _process(self, _requests: object, context: Any) -> None:
        conversation: Conversation | None = None
        while True:
            message = await context.read()
            if message is grpc.aio.EOF:
                # Never OK: to Envoy that would mean "go on". Set, not aborted: the peer may be gone already.
                context.set_code(grpc.StatusCode.INVALID_ARGUMENT)
                context.set_details("the call ended before its message")
                return
            reply = self._exchange.answer(message, conversation)
            while reply.waiting is not None:
                await _engine(reply.waiting)
                reply = reply.waiting.finish()
            conversation = reply.conversation
            await context.write(reply.message)
            if reply.after is not None:
                reply.after()
            if conversation is None:
                return

    async def _check(self, message: bytes, context: Any) -> bytes | None:
        serving = self._exchange.ready and not self._stop.draining
        answer = health.check(message, serving=serving)
        if answer is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")  # raises
        return answer


async def _engine(waiting: Waiting) -> None:
    """Return when each engine has answered, or its deadline is over."""
    loop, answered = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(answered.set)

    waiting.when_done(wake)
    while not waiting.is_over():
        answered.clear()
        next_seconds = min(waiting.deadlines, default=0.0) - time.monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(answered.wait(), max(0.0, next_seconds))
