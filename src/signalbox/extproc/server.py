"""The small interface between a worker and the code that carries its bytes.

Two servers stand behind it. `core` loops over grpcio's completion queue, at a fraction of asyncio's cost
per exchange, on a private module of grpcio. `aio` is grpc.aio, the documented API. They differ in nothing a
peer could see; the same tests run on both.
"""

from __future__ import annotations

from typing import Literal, Protocol

from signalbox.errors import SetupError
from signalbox.extproc.exchange import Exchange

ServerKind = Literal["core", "aio"]


class EdgeServer(Protocol):
    """Serves one Exchange, and the health of it, on one unix socket."""

    def start(self, address: str) -> None:
        """Bind `unix:PATH`, mode 0660, and accept connections. Raises SetupError if that cannot be done."""

    def run(self) -> None:
        """Answer until drained, on the thread that called `start`. Returns when the socket is closed."""

    def drain(self, drain_seconds: float, grace_seconds: float) -> None:
        """Begin to stop, and return at once. May be called from any thread and from a signal handler.

        Health is NOT_SERVING from now on while every call is still answered; after `drain_seconds` no
        call is accepted any more, and what runs then has `grace_seconds` to finish before it is cancelled.
        A second call can only bring these times forward.
        """


def make_server(kind: ServerKind, exchange: Exchange, *, max_message_bytes: int) -> EdgeServer:
    """Return a server that is not started yet.

    max_message_bytes: largest message accepted; it has to lie above Envoy's body limit, because what
    exceeds it is a bare gRPC error. Raises SetupError when `core` does not fit the installed grpcio.
    """
    # Imported here, so that the one that was not asked for can neither cost start-up time nor fail.
    if kind == "core":
        from signalbox.extproc.core_server import CoreServer

        return CoreServer(exchange, max_message_bytes=max_message_bytes)
    if kind == "aio":
        from signalbox.extproc.aio_server import AioServer

        return AioServer(exchange, max_message_bytes=max_message_bytes)
    raise SetupError(f"unknown server {kind!r}; expected core or aio")
