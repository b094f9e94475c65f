"""A question to a model server ends in time, whatever the server does."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest

from signalbox.engines.base import Outcome
from signalbox.engines.remote import Remote, RemoteError
from signalbox.errors import SetupError
from tests.dataplane.certificates import Authority
from tests.unit.engines.scripted_server import Server, Turn, drip, respond, say, serving, wait


def ask(remote: Remote, seconds: float = 10, max_bytes: int = 1000) -> bytes:
    return remote.post("/embeddings", b"{}", deadline=time.monotonic() + seconds, max_bytes=max_bytes)


def failure(remote: Remote, seconds: float = 10, max_bytes: int = 1000) -> str:
    with pytest.raises(RemoteError) as caught:
        ask(remote, seconds, max_bytes)
    return caught.value.detail


def test_the_answer_comes_back_over_a_connection_that_is_kept() -> None:
    with serving(respond(b'{"a": 1}')) as server:
        remote = Remote(server.url)
        assert [ask(remote), ask(remote), ask(remote)] == [b'{"a": 1}'] * 3
        assert server.connections == 1
        assert server.requests[0].startswith(b"POST /v1/embeddings HTTP/1.1\r\n")
        assert b"authorization" not in server.requests[0].lower()
        remote.close()


def test_a_chunked_answer_is_read_whole() -> None:
    with serving(say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")) as server:
        remote = Remote(server.url)
        assert [ask(remote), ask(remote)] == [b"abc", b"abc"]
        assert server.connections == 1
        remote.close()


def test_a_connection_that_the_server_closed_is_replaced() -> None:
    with serving(say(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", close=True), respond(b"b")) as server:
        remote = Remote(server.url)
        assert ask(remote) == b"a"
        time.sleep(0.05)
        assert ask(remote) == b"b"
        remote.close()


def test_a_kept_connection_that_breaks_at_the_question_costs_one_more_try() -> None:
    def hang_up(_server: Server, sock: socket.socket) -> None:
        sock.close()

    with serving(respond(b"a"), hang_up, respond(b"b")) as server:
        remote = Remote(server.url)
        assert [ask(remote), ask(remote)] == [b"a", b"b"]
        assert server.connections == 2
        remote.close()


@pytest.mark.parametrize(
    "turn",
    [
        wait,
        drip(b"HTTP/1.1 200 OK\r\nx-filler: " + b"x" * 5000, 0.02),
        drip(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + b"x" * 500, 0.02),
        say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"),
    ],
    ids=["silent", "dripping headers", "dripping body", "stalled body"],
)
def test_a_slow_server_is_left_at_the_deadline(turn: Turn) -> None:
    with serving(turn) as server:
        began = time.monotonic()
        assert failure(Remote(server.url), seconds=0.2) == "deadline"
        assert time.monotonic() - began < 5


def test_no_time_left_is_late_without_a_connection() -> None:
    with serving(respond(b"a")) as server:
        assert failure(Remote(server.url), seconds=-1) == "deadline"
        assert server.requests == []


@pytest.mark.parametrize(
    ("turn", "detail"),
    [
        (respond(b"{}", "429 Too Many Requests"), "overloaded"),
        (respond(b"{}", "503 Service Unavailable"), "overloaded"),
        (respond(b"{}", "401 Unauthorized"), "unauthorized"),
        (respond(b"{}", "400 Bad Request"), "refused"),
        (respond(b"{}", "500 Internal Server Error"), "status"),
        (respond(b"", "307 Temporary Redirect", "location: http://127.0.0.1:1/"), "status"),
        (respond(b"x" * 1001), "too_large"),
        (say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000, close=True), "too_large"),
        (say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", close=True), "unreachable"),
        (say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", close=True), "garbage"),
        (say(b"SSH-2.0-OpenSSH\r\n", close=True), "garbage"),
        (say(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500 + b"\r\n", close=True), "garbage"),
    ],
)
def test_what_goes_wrong_has_a_name(turn: Turn, detail: str) -> None:
    with serving(turn) as server:
        assert failure(Remote(server.url)) == detail


def test_nobody_listening_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert failure(Remote(f"http://127.0.0.1:{port}/v1")) == "unreachable"


def test_a_late_answer_is_late_and_any_other_trouble_a_failure() -> None:
    assert RemoteError("deadline").answer.outcome is Outcome.LATE
    assert RemoteError("status").answer.outcome is Outcome.FAILED


def test_the_key_is_read_for_every_question(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with serving(respond(b"a")) as server:
        remote = Remote(server.url, file)
        for content in ("first\n", "second"):
            file.write_text(content)
            ask(remote)
        assert [b"authorization: Bearer first\r\n" in request for request in server.requests] == [True, False]
        for content in ("", "two\nlines", "ü"):
            file.write_text(content)
            assert failure(remote) == "no_key"
        file.unlink()
        assert failure(remote) == "no_key"
        remote.close()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host/v1", "http:///v1"])
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(SetupError, match="not the base URL"):
        Remote(url)


def test_a_server_is_trusted_by_its_certificate_for_the_name_it_is_called_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    contexts = {}
    for name in ("127.0.0.1", "elsewhere.test"):
        pair = authority.sign(name)
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[name].load_cert_chain(pair.certificate, pair.private_key)
    with (
        serving(respond(b"a"), tls=contexts["127.0.0.1"]) as server,
        serving(respond(b"a"), tls=contexts["elsewhere.test"]) as impostor,
    ):
        assert failure(Remote(server.url)) == "unreachable"  # nobody here knows the authority
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        remote = Remote(server.url)
        assert [ask(remote), ask(remote)] == [b"a", b"a"]
        assert server.connections == 2
        remote.close()
        assert failure(Remote(impostor.url)) == "unreachable"
        assert impostor.requests == []


def test_a_server_that_never_ends_its_handshake_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert failure(Remote(f"https://127.0.0.1:{silent.getsockname()[1]}/v1"), seconds=0.3) == "deadline"
        assert time.monotonic() - began < 5
