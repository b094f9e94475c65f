"""A drain, against an admin socket that answers as Envoy does."""

from __future__ import annotations

import json
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from signalbox.cli import main
from signalbox.control import DRAINED, DRAINING
from signalbox.errors import SetupError
from signalbox.serve.drain import drain


class FakeEnvoy(socketserver.ThreadingUnixStreamServer):
    """Counts down: each look at the active requests finds one fewer."""

    active = 0
    failing = False


class Answers(BaseHTTPRequestHandler):
    server: FakeEnvoy

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        assert self.path == "/healthcheck/fail"
        self.server.failing = True
        self._answer(b"OK\n")

    def do_GET(self) -> None:
        left, self.server.active = self.server.active, max(0, self.server.active - 1)
        stats = [{"name": "http.clients.downstream_rq_active", "value": left}, {"histograms": {}}]
        self._answer(json.dumps({"stats": stats}).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sbx-") as directory:  # pytest's own paths are too long for a socket
        yield Path(directory)


@pytest.fixture
def envoy(run_dir: Path) -> Iterator[FakeEnvoy]:
    with FakeEnvoy(str(run_dir / "admin.sock"), Answers) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def test_a_drain_waits_until_the_last_request_has_ended(run_dir: Path, envoy: FakeEnvoy) -> None:
    envoy.active = 8
    outcome = drain(run_dir, seconds=20, settle_seconds=0.1)
    assert envoy.failing
    assert (outcome.open_requests, outcome.exit_status) == (0, 0)
    assert outcome.seconds >= 0.1 + 8 * 0.1
    assert (run_dir / DRAINED).exists()


def test_a_drain_gives_up_in_time_and_says_how_many_requests_it_left(
    run_dir: Path, envoy: FakeEnvoy, capsys: pytest.CaptureFixture[str]
) -> None:
    envoy.active = 1000
    assert main(["drain", "--run-dir", str(run_dir), "--seconds", "0.5", "--settle", "0.1"]) == 1
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["open_requests"] > 900
    assert 0.5 <= outcome["seconds"] < 5
    assert (run_dir / DRAINED).exists()


def test_without_an_envoy_nobody_waits(run_dir: Path) -> None:
    started = time.monotonic()
    assert drain(run_dir, seconds=60, settle_seconds=30).open_requests is None
    assert time.monotonic() - started < 5
    assert (run_dir / DRAINING).exists()
    assert (run_dir / DRAINED).exists()


def test_a_directory_that_is_not_there_is_named_with_the_fix(run_dir: Path) -> None:
    with pytest.raises(SetupError, match=r"nowhere.*\n.*fix:"):
        drain(run_dir / "nowhere", seconds=1, settle_seconds=1)
