"""What is concluded from what Envoy's admin interface says."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from signalbox.envoy.admin import AdminClient, Applied

EXPECTED = {"cds": "c1", "rds": "r1", "lds": "l1"}


class FakeEnvoy(socketserver.ThreadingUnixStreamServer):
    """Answers /stats from a list of states, one per question; the last one stays."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.states: list[dict[str, Any]] = [{}]
        self.questions: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: FakeEnvoy

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.questions.append(self.path)
        states = self.server.states
        state = states.pop(0) if len(states) > 1 else states[0]
        body = json.dumps({"stats": [{"name": name, "value": value} for name, value in state.items()]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def stats(cds: str, *, rejected: int = 0, warming: int = 0) -> dict[str, Any]:
    return {
        "cluster_manager.cds.version_text": cds,
        "http.clients.rds.gateway.version_text": "r1",
        "listener_manager.lds.version_text": "l1",
        "cluster_manager.cds.update_rejected": rejected,
        "cluster_manager.warming_clusters": warming,
    }


@pytest.fixture
def envoy(tmp_path: Path) -> Iterator[FakeEnvoy]:
    with FakeEnvoy(tmp_path / "admin.sock") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(envoy: FakeEnvoy, tmp_path: Path) -> AdminClient:
    return AdminClient(tmp_path / "admin.sock")


def test_versions_are_named_by_discovery_service(envoy: FakeEnvoy, client: AdminClient) -> None:
    envoy.states = [stats("c1")]
    assert client.versions() == EXPECTED


def test_it_is_applied_once_envoy_has_all_of_it(envoy: FakeEnvoy, client: AdminClient) -> None:
    envoy.states = [stats("c0"), stats("c0"), stats("c1")]
    assert client.wait_applied(EXPECTED, 5) is Applied.APPLIED
    assert len(envoy.questions) == 3


def test_a_cluster_that_still_warms_up_cannot_serve_yet(envoy: FakeEnvoy, client: AdminClient) -> None:
    envoy.states = [stats("c1", warming=1), stats("c1")]
    assert client.wait_applied(EXPECTED, 5) is Applied.APPLIED
    assert len(envoy.questions) == 2


def test_a_refusal_after_the_mark_is_seen_even_before_the_first_look(envoy: FakeEnvoy, client: AdminClient) -> None:
    envoy.states = [stats("c0", rejected=3), stats("c0", rejected=4)]
    client.mark()
    assert client.wait_applied(EXPECTED, 5) is Applied.REJECTED


def test_an_old_refusal_is_not_taken_for_a_new_one(envoy: FakeEnvoy, client: AdminClient) -> None:
    envoy.states = [stats("c0", rejected=3), stats("c1", rejected=3)]
    client.mark()
    assert client.wait_applied(EXPECTED, 5) is Applied.APPLIED


def test_refusals_count_from_the_end_of_the_last_wait(envoy: FakeEnvoy, client: AdminClient) -> None:
    envoy.states = [stats("c0", rejected=0), stats("c0", rejected=1), stats("c1", rejected=1)]
    client.mark()
    assert client.wait_applied(EXPECTED, 5) is Applied.REJECTED
    assert client.wait_applied(EXPECTED, 5) is Applied.APPLIED


def test_a_deadline_that_passes_is_unknown(envoy: FakeEnvoy, client: AdminClient) -> None:
    envoy.states = [stats("c0")]
    assert client.wait_applied(EXPECTED, 0.05) is Applied.UNKNOWN


def test_without_an_envoy_it_is_unknown_and_nothing_is_raised(tmp_path: Path) -> None:
    client = AdminClient(tmp_path / "nobody.sock")
    client.mark()
    assert client.state() is None
    assert client.versions() == {}
    assert client.wait_applied(EXPECTED, 0) is Applied.UNKNOWN
