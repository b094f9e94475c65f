"""The processes of `signalbox up`: started in order, watched, and stopped in the opposite order."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from signalbox.errors import SetupError

STOP_SECONDS = 15.0


def require_free_port(address: str, port: int, what: str, option: str) -> None:
    """Raise SetupError when somebody listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as problem:
            raise SetupError(
                f"{address}:{port} for the {what} cannot be used: {problem.strerror}\n"
                f"  fix: stop what listens there, or choose another port with {option} N"
            ) from None


class Processes:
    """Children of this process. Leaving the context stops them all, last started first."""

    def __init__(self, log_directory: Path) -> None:
        self._log_directory = log_directory
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def start(
        self, name: str, command: Sequence[str], *, pipe_output: bool = False, show_output: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start one process. Its output goes to NAME.log unless it is to be read or shown."""
        with (self._log_directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe_output else None if show_output else log,
                stderr=log,
                start_new_session=True,  # Ctrl-C must reach us alone: we decide who stops first
            )
        self._running.append((name, process))
        return process

    def check_alive(self) -> None:
        """Raise SetupError naming the first process that has ended, with the end of its log."""
        for name, process in self._running:
            if process.poll() is not None:
                log = self._log_directory / f"{name}.log"
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
                raise SetupError(f"{name} ended with status {process.returncode}; the end of {log}:\n{tail}")

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait until `ready` holds while everything stays alive."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check_alive()
            if time.monotonic() > deadline:
                raise SetupError(f"{what} after {seconds:.0f} s; see the logs in {self._log_directory}")
            time.sleep(0.05)
