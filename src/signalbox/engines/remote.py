"""One question to a model server over HTTP: a POST of JSON with an end to everything, time, size and trust.

Connections are kept between questions. A deadline is kept whatever the server does: connecting, sending and each
byte that is awaited share it. Redirects are not followed, proxies and cookies not known.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from signalbox import __version__
from signalbox.engines.base import Answer, Outcome
from signalbox.errors import RouterError, SetupError

MAX_IDLE_SECONDS = 25  # servers and load balancers close idle connections after 30 or 60
MAX_IDLE_CONNECTIONS = 32
MAX_KEY_BYTES = 8192

UNREACHABLE, OVERLOADED, UNAUTHORIZED = "unreachable", "overloaded", "unauthorized"
REFUSED, STATUS, TOO_LARGE, GARBAGE, NO_KEY = "refused", "status", "too_large", "garbage", "no_key"
DEADLINE = "deadline"
_STATUS_DETAIL = {
    400: REFUSED,
    401: UNAUTHORIZED,
    403: UNAUTHORIZED,
    422: REFUSED,
    429: OVERLOADED,
    503: OVERLOADED,
}


GATEWAY_HEADER = "x-signalbox-decision"  # Envoy writes it on each answer that a gateway of ours let through


class Found(NamedTuple):
    """The body of a 200. by_gateway: a gateway of ours let it through, and has accounted for what it cost."""

    body: bytes
    by_gateway: bool


class RemoteError(RouterError):
    """No answer. `detail` is one of the words above; nothing of question or answer is in the text."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the model server gave no answer: {detail}")
        self.detail = detail

    @property
    def answer(self) -> Answer:
        """What an engine answers then."""
        return Answer(Outcome.LATE if self.detail == DEADLINE else Outcome.FAILED, detail=self.detail)


class Remote:
    """A server by the base URL of its API. Threads share one."""

    def __init__(self, endpoint: str, key_file: Path | None = None) -> None:
        """key_file: holds the API key, read for every question, so that it may be replaced.

        Certificates are checked against the system's, or those that SSL_CERT_FILE names. Raises SetupError for a URL
        that is none.
        """
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SetupError(
                f"not the base URL of a server: {endpoint!r}; expected for example http://127.0.0.1:8000/v1"
            )
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._path = parts.path.rstrip("/")
        self._key_file = key_file
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[tuple[float, HTTPConnection]] = []
        self._lock = threading.Lock()
        self._closed = False

    def post(
        self,
        path: str,
        body: bytes,
        *,
        deadline: float,
        max_bytes: int,
        more_headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the body of a 200, see `fetch`."""
        return self.fetch(path, body, deadline=deadline, max_bytes=max_bytes, more_headers=more_headers).body

    def fetch(
        self,
        path: str,
        body: bytes,
        *,
        deadline: float,
        max_bytes: int,
        more_headers: Mapping[str, str] | None = None,
    ) -> Found:
        """Return what a 200 brought.

        path: below the base URL, with a slash in front. deadline: `time.monotonic()` seconds. max_bytes: of the
        answer; a longer one is not read. more_headers: beside those every question has. Raises RemoteError.
        """
        headers = {
            **(more_headers or {}),
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": f"signalbox/{__version__}",
        }
        if self._key_file is not None:
            headers["authorization"] = f"Bearer {_read_key(self._key_file)}"
        try:
            kept = self._kept()
            if kept is not None:
                try:
                    return self._exchange(kept, path, body, headers, deadline, max_bytes)
                except ConnectionError:
                    pass  # the server closed it just now; the question never arrived, or is asked once more
            return self._exchange(self._connect(deadline), path, body, headers, deadline, max_bytes)
        except TimeoutError as problem:
            raise RemoteError(DEADLINE) from problem
        except OSError as problem:
            raise RemoteError(UNREACHABLE) from problem
        except HTTPException as problem:
            raise RemoteError(GARBAGE) from problem

    def close(self) -> None:
        """Close the kept connections; questions under way end as they will."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for _, connection in idle:
            connection.close()

    def _exchange(
        self,
        connection: HTTPConnection,
        path: str,
        body: bytes,
        headers: dict[str, str],
        deadline: float,
        max_bytes: int,
    ) -> Found:
        reusable = False
        try:
            connection.sock.settimeout(_left(deadline))
            # As bytes: an iterable or a file would be sent in pieces, each with the whole time.
            connection.request("POST", self._path + path, body, headers)
            connection.response_class = partial(_response, deadline)  # type: ignore[assignment]
            response = connection.getresponse()
            if response.status != 200:
                raise RemoteError(_STATUS_DETAIL.get(response.status, STATUS))
            found = response.read(max_bytes + 1)
            if len(found) > max_bytes:
                raise RemoteError(TOO_LARGE)
            if response.length:
                raise RemoteError(UNREACHABLE)  # it hung up in the middle
            reusable = response.isclosed() and not response.will_close
            return Found(found, response.headers.get(GATEWAY_HEADER) is not None)
        finally:
            # Closing one that is late tells the server that nobody waits for its answer any more.
            self._keep(connection) if reusable else connection.close()

    def _connect(self, deadline: float) -> HTTPConnection:
        """A new connection. All addresses share the time that is left; looking the name up has no end of its own."""
        failed: OSError = ConnectionError("no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(_left(deadline))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = HTTPConnection(self._host, self._port)
                if self._tls is not None:
                    sock.settimeout(_left(deadline))
                    sock = self._tls.wrap_socket(sock, server_hostname=self._host)
                connection.sock = sock
                return connection
            except TimeoutError:
                sock.close()
                raise
            except OSError as problem:
                sock.close()
                failed = problem
        raise failed

    def _kept(self) -> HTTPConnection | None:
        """The connection used last, if it is still good."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                since, connection = self._idle.pop()
            # Something to read on a connection nobody asked: the server's goodbye.
            if time.monotonic() - since < MAX_IDLE_SECONDS and not select.select([connection.sock], (), (), 0)[0]:
                return connection
            connection.close()

    def _keep(self, connection: HTTPConnection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE_CONNECTIONS:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()


def _response(deadline: float, sock: Any, *arguments: Any, **more: Any) -> HTTPResponse:
    return HTTPResponse(cast("socket.socket", _Timed(sock, deadline)), *arguments, **more)


class _Timed:
    """A socket as far as a response reads it, each time with what is left until the deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._deadline))


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises TimeoutError when there are none: a timeout of 0 would mean not to wait."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _read_key(file: Path) -> str:
    try:
        with file.open(encoding="ascii") as opened:
            key = opened.read(MAX_KEY_BYTES).strip()
    except (OSError, UnicodeDecodeError):
        key = ""
    if not key or not key.isprintable():
        raise RemoteError(NO_KEY)
    return key
