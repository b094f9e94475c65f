from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signalbox.extproc.exchange import Exchange
from signalbox.extproc.server import EdgeServer, ServerKind, make_server

from .decisions import exchange

MAX_MESSAGE_BYTES = 8 * 1024 * 1024


class Served:
    """A server on a thread of its own, as a worker would run it, and its address."""

    def __init__(self, kind: ServerKind, socket_path: Path, answering: Exchange) -> None:
        self.address = f"unix:{socket_path}"
        self.socket_path = socket_path
        self.exchange = answering
        self.server: EdgeServer = make_server(kind, answering, max_message_bytes=MAX_MESSAGE_BYTES)
        self._started = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._serve, name=f"{kind} server", daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        if self._failure is not None:
            raise self._failure

    def _serve(self) -> None:
        try:
            self.server.start(self.address)
        except Exception as failure:  # noqa: BLE001  raised again on the thread that waits
            self._failure = failure
            return
        finally:
            self._started.set()
        self.server.run()

    def has_stopped(self, within_seconds: float) -> bool:
        self._thread.join(within_seconds)
        return not self._thread.is_alive()


@pytest.fixture
def socket_path() -> Iterator[Path]:
    # Not tmp_path: with a test's name in it, the path may be longer than a socket's address can be.
    with tempfile.TemporaryDirectory(prefix="sb-") as directory:
        yield Path(directory) / "w.sock"


@pytest.fixture(params=["core", "aio"])
def kind(request: pytest.FixtureRequest) -> ServerKind:
    found: ServerKind = request.param
    return found


@pytest.fixture
def serve(kind: ServerKind, socket_path: Path) -> Iterator[Callable[[Exchange], Served]]:
    """Start a server on an exchange; stopped when the test ends."""
    running: list[Served] = []

    def start(answering: Exchange) -> Served:
        running.append(Served(kind, socket_path, answering))
        return running[-1]

    yield start
    for served in running:
        served.server.drain(0.0, 0.0)
        assert served.has_stopped(within_seconds=10), "the server did not stop"


@pytest.fixture
def served(serve: Callable[[Exchange], Served]) -> Served:
    return serve(exchange())
