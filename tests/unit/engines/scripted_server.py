"""A server that does what a test tells it with each request, byte by byte if need be."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Turn = Callable[["Server", socket.socket], None]


@dataclass
class Server:
    """turns: what happens to the requests, in order; the last one again and again. closes: called at the end."""

    turns: list[Turn]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    closes: list[Callable[[], None]] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in self.requests]


def respond(body: bytes, status: str = "200 OK", *headers: str) -> Turn:
    def turn(_server: Server, sock: socket.socket) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return turn


def say(raw: bytes, *, close: bool = False) -> Turn:
    def turn(_server: Server, sock: socket.socket) -> None:
        sock.sendall(raw)
        if close:
            sock.close()

    return turn


def drip(raw: bytes, seconds: float) -> Turn:
    """A byte at a time, as a server does that wants to keep its client waiting."""

    def turn(server: Server, sock: socket.socket) -> None:
        for byte in raw:
            if server.over.wait(seconds):
                return
            sock.sendall(bytes([byte]))

    return turn


def wait(server: Server, _sock: socket.socket) -> None:
    """No answer."""
    server.over.wait(30)


@contextmanager
def serving(*turns: Turn, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "http" if tls is None else "https"
    server = Server(list(turns), f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1")
    threads: list[threading.Thread] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                server.connections += 1
                threads.append(threading.Thread(target=_serve, args=(server, sock, tls)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server
    finally:
        for close in server.closes:
            close()
        server.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(10)
        for thread in threads:
            thread.join(10)


def _serve(server: Server, plain: socket.socket, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError), plain, plain if tls is None else tls.wrap_socket(plain, server_side=True) as sock:
        while not server.over.is_set():
            request = _read_request(server, sock)
            if request is None:
                return
            server.requests.append(request)
            turn = server.turns[0] if len(server.turns) == 1 else server.turns.pop(0)
            turn(server, sock)


def _read_request(server: Server, sock: socket.socket) -> bytes | None:
    sock.settimeout(0.05)
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        if end and b"transfer-encoding: chunked" in head.lower():
            if body.endswith(b"0\r\n\r\n"):
                return data
        elif end:
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            if len(body) >= length:
                return data
        try:
            more = sock.recv(65536)
        except TimeoutError:
            if server.over.is_set():
                return None
            continue
        if not more:
            return None
        data += more
