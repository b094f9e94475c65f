"""Child processes with a control pipe: started, heard, restarted when they die, stopped in time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from signalbox.control import MAX_LINE_BYTES, Message, encode
from signalbox.serve.cores import usable_cores

log = logging.getLogger("signalbox.supervisor")

# What grpc reads when it is loaded; an operator's own values win. With the older listener the thread that
# waits for events reads the socket too: a fifth less CPU per exchange than handing over from grpc's own
# threads (`benchmarks/through_envoy.py`; sidecar/Envoy 0.37 instead of 0.45). No child of ours forks.
GRPC_ENVIRONMENT = {"GRPC_EXPERIMENTS": "-event_engine_listener", "GRPC_ENABLE_FORK_SUPPORT": "0"}

# A child that dies at once is started again, but not in a tight loop.
RESTART_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
REAP_SECONDS = 10.0  # between closing its pipe and being gone
SETTLED_SECONDS = 10.0  # alive this long: the next death counts as the first again


class ChildState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"


@dataclass(slots=True)
class Child:
    """One supervised process and the supervisor's end of its pipe.

    module, arguments: run as `python -m MODULE ARGUMENTS --control-fd N`.
    greeting: messages a fresh process is sent first, asked for at each start.
    heard: called with each message from it.
    """

    name: str
    module: str
    arguments: Sequence[str]
    greeting: Callable[[], Sequence[Message]]
    heard: Callable[[Child, Message], None]
    state: ChildState = ChildState.STARTING
    restarts: int = 0
    fatal: str | None = None  # what it said before it gave up for good
    _process: asyncio.subprocess.Process | None = None
    _writer: asyncio.StreamWriter | None = None
    _stopping: bool = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Keep one process alive until `stop`; returns when the last one is gone."""
        failures = 0
        while not self._stopping:
            started = time.monotonic()
            try:
                status: object = await self._run_once()
            except OSError as problem:  # out of processes or memory: perhaps not for long
                status = str(problem)
            if self._stopping:
                break
            log.warning("child ended", extra={"facts": {"child": self.name, "status": status}})
            failures = 0 if time.monotonic() - started > SETTLED_SECONDS else failures + 1
            self.restarts += 1
            await asyncio.sleep(RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)])
        self.state = ChildState.STOPPED

    async def _run_once(self) -> int:
        """Start a process and listen to it until it is gone. Returns its status, negative for a signal."""
        self.state = ChildState.STARTING
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, *self.arguments, "--control-fd", str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL, env={**GRPC_ENVIRONMENT, **os.environ},
            )  # fmt: skip
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
        if self._stopping:  # asked to stop while the process was being made
            self.terminate()
        for message in self.greeting():
            self.send(message)
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if message["type"] == "ready":
                    self.state = ChildState.READY
                elif message["type"] == "fatal":
                    self.fatal = message["error"]
                self.heard(self, message)
        except (ConnectionResetError, ValueError):
            pass  # it died in the middle of a line; its exit status says the rest
        # The pipe is closed: the process is gone or as good as gone.
        self.state = ChildState.STARTING
        self._writer.close()
        try:
            return await asyncio.wait_for(self._process.wait(), timeout=REAP_SECONDS)
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()

    def send(self, message: Message) -> None:
        """Queue one message; lost if the child is gone, because its successor is greeted anew."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode(message))

    def terminate(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once; `run` starts a successor unless it was told to stop."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def stop(self) -> None:
        """End it in its own time and start no successor."""
        self._stopping = True
        self.terminate()


def default_workers() -> int:
    """One worker per core this process may use."""
    return usable_cores()
