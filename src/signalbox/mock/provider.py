"""A mock provider as a thing that listens: one name, one port, started and stopped with `async with`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from signalbox.errors import SetupError
from signalbox.mock.app import Behaviour, MockApp
from signalbox.mock.pace import Pace
from signalbox.mock.record import ReceivedRequest, Record

MAX_BODY_BYTES = 256 * 1024 * 1024  # the most a policy lets through
SHUTDOWN_SECONDS = 0.1  # answers that hang on purpose would hold the shutdown for ever


class MockProvider:
    """One provider on one port. Everything but start and stop may be called from any thread.

    name: says who it is in answers, records and `x-mock-fault-NAME`.
    port: 0 takes a free one; `port` tells which after the start.
    tls: context with the certificate to show; None for plain HTTP.
    models, required_key, latency_seconds, slots: see `Behaviour`.
    chunk_gap_seconds: pause between the events of a stream, where x-mock-gap does not say.
    max_body_bytes: larger requests are answered 413 and not recorded.
    record_limit: requests kept; the oldest go first.
    record_file: also gets each request as a line of JSON.
    """

    def __init__(
        self,
        name: str = "mock",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        models: Sequence[str] = (),
        required_key: str | None = None,
        latency_seconds: float = 0.0,
        slots: int | None = None,
        chunk_gap_seconds: float = 0.0,
        max_body_bytes: int = MAX_BODY_BYTES,
        record_limit: int = 1000,
        record_file: IO[str] | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self._tls = tls
        self._max_body_bytes = max_body_bytes
        self._record = Record(record_limit, record_file)
        behaviour = Behaviour(
            name=name,
            models=tuple(models),
            required_key=required_key,
            latency_seconds=latency_seconds,
            slots=slots,
            pace=Pace(gap_seconds=chunk_gap_seconds),
        )
        self._app = MockApp(behaviour, self._record)
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """Address without a path; any base path may follow, for example `/v1`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}"

    def requests(self, test_id: str | None = None) -> list[ReceivedRequest]:
        """What arrived, oldest first; only those with this `x-test-id` when it is given."""
        return self._record.requests(test_id)

    def totals(self) -> dict[str, int]:
        """Sums since the start or the last clear; see `Record.totals`."""
        return self._record.totals()

    def clear(self) -> None:
        """Forget requests and totals."""
        self._record.clear()

    def set_fault(self, fault: str | None) -> None:
        """Misbehave on every path until told otherwise; None ends it. Raises ValueError at an unknown fault."""
        self._app.set_fault(fault)

    def set_latency(self, seconds: float) -> None:
        """Pause for this long before each answer from now on. Raises ValueError unless it is 0 to 3600."""
        self._app.set_latency(seconds)

    async def start(self) -> None:
        """Listen. Raises SetupError when the address cannot be taken."""
        server = web.Server(
            self._app.handle,
            request_factory=self._make_request,
            handler_cancellation=True,  # a client that leaves ends its stream or its hanging answer
            access_log=None,
            auto_decompress=False,
        )
        runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        site = web.TCPSite(runner, self.host, self.port, ssl_context=self._tls, backlog=1024)
        try:
            await site.start()
        except OSError as problem:
            await runner.cleanup()
            raise SetupError(
                f"mock provider {self.name}: cannot listen on {self.host}:{self.port}: {problem.strerror or problem}\n"
                "  fix: stop what uses the port, or use port 0 for a free one"
            ) from problem
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and every connection, finished or not."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        """aiohttp's own factory, but for the limit on bodies, which is 1 MiB there."""
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=self._max_body_bytes)
