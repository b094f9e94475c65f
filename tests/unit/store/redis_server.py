"""A real Redis server on a Unix socket, started and stopped by the test that wants it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import redis

from signalbox.policy.world import Redis


def find_server() -> str:
    """The binary's path. Without one the test is skipped; in CI that is a failure."""
    path = os.environ.get("SIGNALBOX_REDIS_SERVER") or shutil.which("redis-server") or shutil.which("valkey-server")
    if path is None:
        missing = "no redis-server or valkey-server on PATH; Debian: apt-get install redis-server"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return path


class RedisServer:
    """One server that keeps nothing on disk. arguments: more of its command line."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self._directory = directory
        self._arguments = arguments
        self.socket = directory / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def settings(self, **others: object) -> Redis:
        """What the policy would say, but for a patience it would not allow: the machine tests run on is busy."""
        if "timeout_ms" in others:
            return Redis.model_validate({"url": self.url} | others)
        return Redis.model_validate({"url": self.url} | others).model_copy(update={"timeout_ms": 5000.0})

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), protocol=2)

    def start(self) -> None:
        command = [find_server(), "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [*command, "--dir", str(self._directory), *self._arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_until_it_answers()

    def kill(self) -> None:
        if self.process is not None:
            self.pause(False)
            self.process.kill()
            self.process.wait()
            self.process = None
            self.socket.unlink(missing_ok=True)

    def pause(self, paused: bool) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.AuthenticationError:
                return
            except redis.ConnectionError:
                time.sleep(0.01)
        raise TimeoutError("redis-server did not answer within 20 s")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
