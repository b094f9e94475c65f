"""A body far over the limit is refused while it is still being sent, and no process grows with it."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .stack import Stack, running_stack

pytestmark = pytest.mark.dataplane

MB = 1024 * 1024
SENT_BYTES = 100 * MB
LIMIT_BYTES = 8 * MB  # gateway.max_body_bytes in policy.yaml beside this file
REQUEST = "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n{length}\r\n\r\n"
HEAD = b'{"model":"beta-any","messages":[{"role":"user","content":"'


@pytest.fixture(scope="module")
def gateway() -> Iterator[Stack]:
    """A gateway that no other test has made large."""
    with running_stack(workers=1) as running:
        yield running


def upload(stack: Stack, *, chunked: bool) -> tuple[int, dict[str, str], bytes, int]:
    """Send 100 MB until there is an answer. Returns status, headers, body, and how many bytes were sent by then."""
    length = "transfer-encoding: chunked" if chunked else f"content-length: {SENT_BYTES}"
    block = b"x" * (64 * 1024)
    with socket.create_connection(("127.0.0.1", stack.port), timeout=15) as client:
        client.sendall(REQUEST.format(length=length).encode())
        sent = 0
        while sent < SENT_BYTES and not select.select([client], [], [], 0)[0]:
            if not select.select([], [client], [], 0.01)[1]:
                continue
            data = HEAD if sent == 0 else block
            try:
                client.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n" if chunked else data)
            except (BrokenPipeError, ConnectionResetError):
                break  # the answer may be there to read all the same
            sent += len(data)
        answer = client.makefile("rb")
        status = int(answer.readline().split()[1])
        headers = {}
        while line := answer.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, answer.read(int(headers["content-length"])), sent


def forget_peak(pid: int) -> int:
    """Start the process's peak of resident memory anew; returns what is resident now, in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return resident_bytes(pid, "VmHWM")


def resident_bytes(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) * 1024


@pytest.mark.parametrize("chunked", [False, True], ids=["announced length", "chunked"])
def test_a_body_of_100_mb_is_refused_before_it_costs_anything(gateway: Stack, chunked: bool) -> None:
    assert gateway.chat("beta-any").status_code == 200  # what is made once is made
    [worker], [collector], envoy = gateway.worker_pids(), gateway.collector_pids(), gateway.envoy.process.pid
    before = {pid: forget_peak(pid) for pid in (worker, collector, envoy)}
    for _ in range(4):
        status, headers, body, sent = upload(gateway, chunked=chunked)
        assert status == 413
        assert headers["content-type"].startswith("application/json")
        error = json.loads(body)["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "request_too_large")
        assert error["message"]
        assert sent < SENT_BYTES / 3  # what was read and what the kernel's buffers took
    grown = {pid: resident_bytes(pid, "VmHWM") - before[pid] for pid in before}
    assert grown[worker] < 2 * MB
    assert grown[collector] < 4 * MB
    assert grown[envoy] < 4 * LIMIT_BYTES
    assert gateway.chat("beta-any").status_code == 200
