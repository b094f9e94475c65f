"""Starting and stopping: in a thread, in an event loop, as a process, with TLS."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalbox.errors import SetupError
from signalbox.mock import MockProvider, running_mock
from signalbox.mock.cli import main

PATH = "/v1/chat/completions"


def test_a_running_mock_is_gone_after_its_block(chat: dict[str, Any]) -> None:
    with running_mock("short-lived") as alpha:
        assert httpx.post(alpha.url + PATH, json=chat).status_code == 200
        assert any(thread.name == "mock-short-lived" for thread in threading.enumerate())
    assert not any(thread.name == "mock-short-lived" for thread in threading.enumerate())
    with pytest.raises(httpx.ConnectError):
        httpx.post(alpha.url + PATH, json=chat)
    assert len(alpha.requests()) == 1


def test_stopping_does_not_wait_for_answers_that_hang(chat: dict[str, Any]) -> None:
    start = time.monotonic()
    with running_mock("alpha") as alpha, socket.create_connection(("127.0.0.1", alpha.port)) as client:
        head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nx-mock-fault: hang\r\ncontent-length: 2\r\n\r\n{{}}"
        client.sendall(head.encode())
        while not alpha.requests():
            time.sleep(0.01)
    assert time.monotonic() - start < 3


def test_a_provider_runs_in_the_callers_event_loop(chat: dict[str, Any]) -> None:
    async def talk() -> tuple[int, str | None]:
        async with MockProvider("beta") as beta, httpx.AsyncClient(base_url=beta.url) as client:
            answer = await client.post(PATH, json=chat)
            return answer.status_code, beta.requests()[0].model

    assert asyncio.run(talk()) == (200, "m-1")


def test_a_taken_port_is_an_error_that_names_it() -> None:
    with running_mock("alpha") as alpha, pytest.raises(SetupError, match=f"beta: cannot listen on .*:{alpha.port}"):
        running_mock("beta", port=alpha.port).__enter__()


def test_latency_delays_each_answer(chat: dict[str, Any]) -> None:
    with running_mock("alpha", latency_seconds=0.2) as alpha:
        start = time.monotonic()
        assert httpx.post(alpha.url + PATH, json=chat).status_code == 200
        assert time.monotonic() - start >= 0.2


def test_a_provider_speaks_tls_with_its_certificate(certificate: tuple[Path, Path], chat: dict[str, Any]) -> None:
    certificate_file, key_file = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    trust = ssl.create_default_context(cafile=str(certificate_file))
    with running_mock("alpha", tls=context) as alpha, httpx.Client(base_url=alpha.url, verify=trust) as client:
        assert alpha.url.startswith("https://127.0.0.1:")
        assert client.post(PATH, json=chat).status_code == 200
        with pytest.raises(httpx.TransportError):
            client.post(PATH, json=chat, headers={"x-mock-fault": "reset"})
        with pytest.raises(httpx.TransportError):
            client.post(PATH, json=chat | {"stream": True}, headers={"x-mock-fault": "cut=2"})


def test_the_command_serves_every_provider_and_stops_on_a_signal(
    tmp_path: Path, certificate: tuple[Path, Path], chat: dict[str, Any]
) -> None:
    record = tmp_path / "received.jsonl"
    command = [sys.executable, "-m", "signalbox.mock", "--provider", "alpha=0", "--provider", "beta=0"]
    command += ["--models", "alpha=m-1,m-2", "--require-key", "alpha=secret", "--fault", "beta=503"]
    command += ["--tls", *map(str, certificate), "--record", str(record), "--chunk-gap", "0.001", "--latency", "0.001"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        listening = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [one["provider"] for one in listening] == ["alpha", "beta"]
        alpha, beta = (one["url"] for one in listening)
        with httpx.Client(verify=ssl.create_default_context(cafile=str(certificate[0]))) as client:
            key = {"authorization": "Bearer secret"}
            statuses = [
                client.post(alpha + PATH, json=chat, headers=key).status_code,
                client.post(alpha + PATH, json=chat).status_code,
                client.post(alpha + PATH, json=chat | {"model": "x"}, headers=key).status_code,
                client.post(beta + PATH, json=chat).status_code,
            ]
        assert statuses == [200, 401, 404, 503]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert [json.loads(line)["provider"] for line in record.read_text().splitlines()] == ["alpha"] * 3 + ["beta"]
    assert stat.S_IMODE(os.stat(record).st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--provider", "a=0", "--provider", "a=0"], "given twice"),
        (["--provider", "a=0", "--models", "b=m"], "--models: no provider 'b'"),
        (["--provider", "a=0", "--require-key", "b=k"], "--require-key: no provider 'b'"),
        (["--provider", "a=0", "--slots", "b=2"], "--slots: no provider 'b'"),
        (["--provider", "a=0", "--tls", "/nowhere.pem", "/nowhere.key"], "--tls: cannot use /nowhere.pem"),
        (["--provider", "a=0", "--record", "/nowhere/received.jsonl"], "--record: cannot append"),
    ],
)
def test_options_that_cannot_work_are_reported_before_anything_listens(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--provider", "a"],
        ["--provider", "a=x"],
        ["--provider", "a=70000"],
        ["--provider", "a=0", "--fault", "a=boom"],
        ["--provider", "a=0", "--latency", "-1"],
        ["--provider", "a=0", "--slots", "a=0"],
        ["--provider", "a=0", "--chunk-gap", "nan"],
        ["--provider", "a=0", "--record-limit", "few"],
    ],
)
def test_options_that_cannot_be_read_exit_with_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err
