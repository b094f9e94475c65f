"""The collector as the supervisor runs it: a process with a socket, a port and a control pipe."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from access_log_entries import decision, message, request_entry
from collector_bench import POLICY, status_message

from signalbox.collector.journal.files import journal_files
from signalbox.collector.journal.read import JournalReader

METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
POLICY_MESSAGE = {
    "type": "policy",
    "sha256": "ab" * 32,
    "file": "policy.yaml",
    "text": yaml.safe_dump(POLICY),
    "prices": {},
}


class CollectorProcess:
    """A collector and the supervisor's end of its pipe."""

    def __init__(self, directory: Path, api: str = "127.0.0.1:0") -> None:
        self.socket_path = directory / "collector.sock"
        self.log = directory / "log"
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(20)
        with theirs, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "signalbox.collector", "--socket", str(self.socket_path),
                 "--api", api, "--control-fd", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),), stdout=log, stderr=subprocess.PIPE, text=True, env=os.environ,
            )  # fmt: skip
        self._lines = self.ours.makefile("rb")

    def send(self, text: dict[str, Any]) -> None:
        self.ours.sendall(json.dumps(text).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        line = self._lines.readline()
        return json.loads(line) if line else {}

    def hang_up(self) -> None:
        self._lines.close()
        self.ours.close()

    def end(self) -> tuple[int, str]:
        """Wait for it to end by itself. Returns exit status and standard error."""
        _, stderr = self.process.communicate(timeout=20)
        return self.process.returncode, stderr

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stderr is not None and not self.process.stderr.closed:
            self.process.communicate()
        self.hang_up()

    def send_log(self, data: bytes) -> None:
        with grpc.insecure_channel(f"unix:{self.socket_path}") as channel:
            channel.stream_unary(METHOD)(iter([data]), timeout=10)

    def request_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_bytes().splitlines()]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    running = CollectorProcess(tmp_path)
    yield running
    running.stop()


def readiness(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code


def test_it_serves_what_the_supervisor_and_envoy_tell_it(collector):
    ready = collector.hear()
    assert ready["type"] == "ready"
    assert readiness(ready["api_port"]) == 503

    collector.send(status_message())
    collector.send(POLICY_MESSAGE)
    assert collector.hear() == {"type": "policy", "sha256": "ab" * 32}
    assert readiness(ready["api_port"]) == 200

    collector.send_log(message("request", request_entry(metadata=decision(), attempts=0)))
    collector.process.terminate()
    assert collector.end() == (0, "")
    assert [(line["event"], line["route"]) for line in collector.request_lines()] == [("request", "bug-fixing")]


def test_a_request_that_still_waits_for_its_attempt_is_logged_at_the_end(collector):
    collector.hear()
    collector.send_log(message("request", request_entry(metadata=decision())))
    collector.process.terminate()

    assert collector.end() == (0, "")
    assert [line["status"] for line in collector.request_lines()] == [200]


def test_a_policy_it_cannot_read_leaves_the_old_names(collector):
    collector.hear()
    collector.send(POLICY_MESSAGE)
    collector.hear()
    collector.send({**POLICY_MESSAGE, "sha256": "cd" * 32, "text": "version: 7"})

    answer = collector.hear()
    assert (answer["type"], answer["sha256"]) == ("policy_failed", "cd" * 32)
    assert "version" in answer["error"]

    collector.send_log(message("request", request_entry(metadata=decision(), attempts=0)))
    collector.process.terminate()
    collector.end()
    assert collector.request_lines()[0]["route"] == "bug-fixing"


def journal_policy(directory: Path) -> dict[str, Any]:
    policy = {**POLICY, "journal": {"directory": str(directory)}}
    return {**POLICY_MESSAGE, "text": yaml.safe_dump(policy)}


def said(decision_id: str) -> bytes:
    return message(
        "request", request_entry(metadata=decision(id=decision_id), request_id=f"{ord(decision_id[-1]):032x}")
    )


def test_a_collector_that_is_killed_leaves_its_journal_to_the_next_one(tmp_path: Path):
    directory = tmp_path / "journal"
    for decision_id, lines in (("sb-a", 2), ("sb-b", 4)):
        collector = CollectorProcess(tmp_path)
        try:
            port = collector.hear()["api_port"]
            collector.send(journal_policy(directory))
            collector.hear()
            collector.send_log(said(decision_id))
            mark = json.dumps({"decision_id": decision_id, "score": 1}).encode()
            asking = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/feedback", mark, {"content-type": "application/json"}
            )
            with urllib.request.urlopen(asking, timeout=10) as answer:
                assert answer.status == 202
            deadline = time.monotonic() + 20
            while len(read_all(directory)) < lines:  # a request's line, once its attempt is waited for no more
                assert time.monotonic() < deadline
                time.sleep(0.05)
            collector.process.kill()
        finally:
            collector.stop()

    assert [(entry.id, mark and mark.score) for entry, mark in JournalReader(directory).marked()] == [
        ("sb-a", 1.0),
        ("sb-b", 1.0),
    ]
    assert len(journal_files(directory)) == 1


def read_all(directory: Path) -> list[Any]:
    return list(JournalReader(directory)) if directory.is_dir() and journal_files(directory) else []


def test_it_ends_when_the_supervisor_is_gone(collector):
    collector.hear()
    collector.hang_up()

    assert collector.end() == (0, "")


def test_messages_of_a_newer_supervisor_are_passed_over(collector):
    collector.hear()
    collector.send({"type": "something_new"})
    collector.send(POLICY_MESSAGE)

    assert collector.hear()["type"] == "policy"


def test_a_message_that_makes_no_sense_ends_it_with_a_trace(collector):
    collector.hear()
    collector.send({"type": "status"})

    status, stderr = collector.end()
    assert status != 0
    assert "KeyError: 'workers'" in stderr


def test_a_taken_port_is_told_to_the_supervisor(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        collector = CollectorProcess(tmp_path, api=f"127.0.0.1:{port}")
        try:
            heard = collector.hear()
            status, stderr = collector.end()
        finally:
            collector.stop()

    assert heard["type"] == "fatal"
    assert f"127.0.0.1:{port} is taken" in heard["error"]
    assert status == 1
    assert "is taken" in stderr
    assert "Traceback" not in stderr
