"""A server that speaks as much Redis as a connection needs, and then misbehaves."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

Answer = Callable[[socket.socket, bytes], None]


class FakeRedis:
    """Listens on a free port. ping, other: how to answer a PING, and anything else."""

    def __init__(self, ping: Answer, other: Answer) -> None:
        self._ping = ping
        self._other = other
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connected_at: list[float] = []
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connected_at.append(time.monotonic())
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while request := connection.recv(65536):
                    (self._ping if b"PING" in request else self._other)(connection, request)
            except OSError:
                pass

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)


def says(answer: bytes) -> Answer:
    return lambda connection, request: connection.sendall(answer)


def is_silent(connection: socket.socket, request: bytes) -> None:
    pass


def drips(connection: socket.socket, request: bytes) -> None:
    """One byte every two milliseconds: always something, never enough."""
    for byte in b"$100\r\n" + b"x" * 100:
        connection.sendall(bytes([byte]))
        time.sleep(0.002)


def hangs_up(connection: socket.socket, request: bytes) -> None:
    connection.shutdown(socket.SHUT_RDWR)
