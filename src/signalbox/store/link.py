"""One connection to Redis that nobody waits for longer than agreed.

A request only ever uses a connection that is ready. Connecting (resolving a name, TLS, a password) may take much longer
than a decision may wait, so it is done by a thread, which hands the connection over when the server has answered a
PING within the time budget. Until then the answer is "down", at once.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from socket import socket
from typing import Any

import hiredis
from redis.backoff import NoBackoff
from redis.connection import Connection, UnixDomainSocketConnection, parse_url
from redis.credentials import CredentialProvider
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from signalbox.policy.world import Redis
from signalbox.store.base import StoreError

CONNECT_SECONDS = 1.0  # for each step of connecting, in the thread
START_SECONDS = 0.25  # what the first connection is waited for, before there is any request
FIRST_REST_SECONDS = 0.05
LONGEST_REST_SECONDS = 2.0
LONGEST_REPLY_BYTES = 65_536

# First words of errors of a server that cannot serve us now, though another, or this one later, may.
UNABLE = frozenset(
    {"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY", "NOAUTH", "UNBLOCKED"}
)
# Of one that cannot do this: it is worth asking for other things.
REFUSED = frozenset({"OOM", "NOPERM", "MISCONF", "NOREPLICAS"})

Words = tuple[str | bytes | int, ...]

_NOT_YET = object()


class Refusal(Exception):
    """The server answered with an error. code: its first word."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


class Link:
    """A connection, made anew whenever it broke.

    After each failure it rests for a moment, twice as long each time, up to two seconds; the first connection
    that answers ends that.
    """

    def __init__(self, redis: Redis) -> None:
        self._make = connection_maker(redis)
        self._budget_seconds = redis.timeout_ms / 1000
        self._connection: Connection | UnixDomainSocketConnection | None = None
        self._socket: socket | None = None
        self._reader = _reader()
        self._failures = 0
        self._why = "not connected yet"
        self._closed = threading.Event()
        self._handover = threading.Lock()
        tried = threading.Event()
        self._start(0.0, tried)
        tried.wait(START_SECONDS)

    def deadline(self) -> float:
        """When an operation that begins now is over."""
        return time.monotonic() + self._budget_seconds

    def ask(self, words: Words, deadline: float) -> Any:
        """Send a command and return the reply: bytes, int, None or a list of such.

        Raises StoreError, and Refusal for an error that only the caller can judge.
        """
        ready = self._socket
        if ready is None:
            raise StoreError("down", f"redis: {self._why}")
        try:
            reply = _exchange(ready, self._reader, words, deadline)
        except TimeoutError:
            self._failures += 1
            self._drop(f"no answer within {self._budget_seconds * 1000:g} ms", self._rest())
            raise StoreError("late", f"redis: {self._why}") from None
        except OSError as error:
            rest = self._rest()  # none after a success: the server may have closed a connection for being idle
            self._failures += 1
            self._drop(str(error) or "connection closed", rest)
            raise StoreError("down", f"redis: {self._why}") from None
        except hiredis.ProtocolError as error:
            self._failures += 1
            self._drop(f"not a Redis reply: {error}", self._rest())
            raise StoreError("broken", f"redis: {self._why}") from None
        if isinstance(reply, hiredis.ReplyError):
            refusal = Refusal(str(reply))
            if refusal.code in UNABLE:
                self._failures += 1
                self._drop(str(refusal), self._rest())
            if refusal.code in UNABLE or refusal.code in REFUSED:
                raise StoreError("down", f"redis: {refusal}")
            raise refusal
        self._failures = 0
        return reply

    def close(self) -> None:
        """Disconnect; every later operation is answered "down"."""
        self._closed.set()
        with self._handover:
            self._disconnect("closed")

    def _rest(self) -> float:
        if self._failures == 0:
            return 0.0
        moment: float = FIRST_REST_SECONDS * 2 ** min(self._failures - 1, 10)
        # Not all at once, when many workers lost the same server.
        return min(moment, LONGEST_REST_SECONDS) * random.uniform(0.8, 1.0)

    def _drop(self, why: str, rest: float) -> None:
        self._disconnect(why)
        self._start(rest, threading.Event())

    def _disconnect(self, why: str) -> None:
        self._why = why
        self._socket = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _start(self, rest: float, tried: threading.Event) -> None:
        threading.Thread(target=self._connect, args=(rest, tried), name="redis-connect", daemon=True).start()

    def _connect(self, rest: float, tried: threading.Event) -> None:
        while not self._closed.wait(rest):
            connection = self._make()
            try:
                connection.connect()
                ready = connection._get_socket()
                reader = _reader()
                if ready is None:
                    raise ConnectionError("connection closed")
                # A server that is slow even now would cost the next request its time budget.
                reply = _exchange(ready, reader, ("PING",), self.deadline())
                if isinstance(reply, hiredis.ReplyError):
                    raise reply
            except Exception as error:  # noqa: BLE001  whatever it was: without this thread, nobody would connect again
                connection.disconnect()
                self._why = f"{type(error).__name__}: {error}"
                self._failures += 1
                rest = self._rest()
                tried.set()
                continue
            with self._handover:
                if self._closed.is_set():
                    connection.disconnect()
                    return
                self._connection, self._reader = connection, reader
                self._socket = ready  # last: it says that all is ready
            tried.set()
            return


def _reader() -> hiredis.Reader:
    return hiredis.Reader(notEnoughData=_NOT_YET)


def _exchange(ready: socket, reader: hiredis.Reader, words: Words, deadline: float) -> Any:
    """Not redis-py's own reading: its timeout is for each packet, so a server that drips could hold a request."""
    ready.settimeout(_left(deadline))
    ready.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub knows tuples of one word only
    reply = reader.gets()
    while reply is _NOT_YET:
        ready.settimeout(_left(deadline))
        received = ready.recv(LONGEST_REPLY_BYTES)
        if not received:
            raise ConnectionError("the server closed the connection")
        reader.feed(received)
        reply = reader.gets()
    return reply


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer within the time budget")
    return left


class _PasswordFile(CredentialProvider):
    """Read for each connection, so that a rotated password needs no restart."""

    def __init__(self, path: Path, username: str | None) -> None:
        self._path = path
        self._username = username

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._path.read_text(encoding="utf-8").strip("\r\n")
        return (self._username, password) if self._username else (password,)


def connection_maker(redis: Redis) -> Callable[[], Connection | UnixDomainSocketConnection]:
    """What makes an unconnected connection to a server, with one attempt and a second's patience for each step."""
    arguments = parse_url(redis.url)
    kind = arguments.pop("connection_class", Connection)
    username = arguments.pop("username", None)
    if redis.password_file is not None:
        arguments["credential_provider"] = _PasswordFile(Path(redis.password_file), username)
    elif username is not None:
        arguments["username"] = username

    def make() -> Connection | UnixDomainSocketConnection:
        made: Connection | UnixDomainSocketConnection = kind(
            **arguments,
            socket_timeout=CONNECT_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        return made

    return make
