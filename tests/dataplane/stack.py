"""A whole Signalbox on loopback: mock providers, `signalbox serve` and a real Envoy, on free ports.

Started in that order, readiness is polled, logs are shown only when a test fails, and each process is
stopped by the stack that started it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Any

import httpx
import yaml

from signalbox.envoy.binary import find_envoy
from signalbox.mock.provider import MockProvider
from signalbox.mock.running import running_mock

READY_SECONDS = 30.0


def wait_until(ready: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Wait until `ready` holds; fail with `what` when it never does."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"gave up after {seconds:.0f} s: {what}")
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Started:
    """One process of the stack and its log."""

    name: str
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Stack:
    """The processes of one gateway, and what a test wants to do and see."""

    def __init__(
        self,
        policy: str,
        mocks: Mapping[str, MockProvider],
        *,
        server: str = "core",
        workers: int = 2,
        envoy_threads: int = 2,
    ) -> None:
        # Unix socket paths end at 108 bytes; pytest's own temporary paths are longer.
        self.directory = Path(tempfile.mkdtemp(prefix="sbx-"))
        self.mocks = mocks
        self.port, self.api_port = free_port(), free_port()
        self.policy_file = self.directory / "policy" / "policy.yaml"
        self.policy_file.parent.mkdir()
        self.policy_file.write_text(policy)
        self.run_dir = self.directory / "run"
        self.run_dir.mkdir()
        self._envoy_threads = envoy_threads
        self._options = ["--server", server, "--workers", str(workers)]
        self._running: list[Started] = []
        self.client = httpx.Client(base_url=self.base_url, timeout=15)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # ------------------------------------------------------------------ life

    def __enter__(self) -> Stack:
        try:
            self.start_sidecar()
            self.start_envoy()
        except BaseException:
            self.show_logs()
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.show_logs()
        self.close()

    def start_sidecar(self) -> None:
        command = [
            sys.executable, "-m", "signalbox", "serve",
            "--policy", str(self.policy_file), "--run-dir", str(self.run_dir),
            "--api", f"127.0.0.1:{self.api_port}", "--listen", f"127.0.0.1:{self.port}", *self._options,
        ]  # fmt: skip
        self.sidecar = self.start("sidecar", command)
        # The first snapshot follows a moment after the first policy.
        world = self.run_dir / "world.json"
        wait_until(
            lambda: (self.api("/readyz") is not None and world.exists()) or not self.alive(self.sidecar),
            "sidecar ready",
        )
        assert self.alive(self.sidecar), "the sidecar ended"

    def start_envoy(self) -> None:
        command = [
            str(find_envoy()), "-c", str(self.run_dir / "bootstrap.yaml"), "--use-dynamic-base-id",
            "--log-level", "warn", "--concurrency", str(self._envoy_threads),
        ]  # fmt: skip
        self.envoy = self.start("envoy", command)
        wait_until(lambda: self.accepts() or not self.alive(self.envoy), "Envoy listens")
        assert self.alive(self.envoy), "Envoy ended"

    def start(self, name: str, command: Sequence[str]) -> Started:
        started = Started(name, command, self.directory / f"{name}.log")
        self._running.append(started)
        return started

    @staticmethod
    def alive(started: Started) -> bool:
        return started.process.poll() is None

    def accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self.client.close()
        for started in reversed(self._running):
            started.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def show_logs(self) -> None:
        for started in self._running:
            print(f"----- {started.name} (status {started.process.poll()})")
            print("\n".join(started.log.read_text(errors="replace").splitlines()[-60:]))

    # ------------------------------------------------------------------ asking

    def post(self, body: object, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        """Send one body: bytes as they are, anything else as JSON. Header names may use `_` for `-`."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=content, headers={"content-type": "application/json", **names})

    def chat(
        self, model: str, text: str = "Hello there", *, more: Mapping[str, object] | None = None, **headers: str
    ) -> httpx.Response:
        """Ask one question in OpenAI's chat format."""
        return self.post({"model": model, "messages": [{"role": "user", "content": text}], **(more or {})}, **headers)

    # ------------------------------------------------------------------ looking

    def received(self, test_id: str) -> list[dict[str, Any]]:
        """What providers received for one test id, oldest first."""
        requests = [request.to_dict() for mock in self.mocks.values() for request in mock.requests(test_id)]
        for request in requests:
            request["headers"] = dict(request["headers"])
        return sorted(requests, key=lambda request: request["time_seconds"])

    def providers_asked(self, test_id: str) -> list[str]:
        return [request["provider"] for request in self.received(test_id)]

    def api(self, path: str) -> str | None:
        """The sidecar's HTTP API; None when it does not answer 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.api_port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the metric's samples that carry these labels."""
        total = 0.0
        for line in (self.api("/metrics") or "").splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(f'{key}="{wanted}"' in head for key, wanted in labels.items()):
                total += float(value)
        return total

    def admin(self, path: str) -> str:
        """Envoy's admin interface, over its unix socket."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.run_dir / "admin.sock")), timeout=5) as client:
            return client.get(f"http://envoy{path}").text

    def envoy_stat(self, name: str) -> int:
        """One counter or gauge of Envoy; 0 when it does not exist yet."""
        for line in self.admin(f"/stats?filter=^{name}$").splitlines():
            return int(line.rpartition(" ")[2])
        return 0

    def request_log(self) -> list[dict[str, Any]]:
        """The collector's log lines, one per request."""
        lines = []
        for line in (self.directory / "sidecar.log").read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("event") == "request":
                lines.append(entry)
        return lines

    def worker_pids(self) -> list[int]:
        """Process ids of the routing workers."""
        return self._children(b"signalbox.serve.worker")

    def collector_pids(self) -> list[int]:
        """Process id of the collector, as a list."""
        return self._children(b"signalbox.collector")

    def _children(self, module: bytes) -> list[int]:
        pid = self.sidecar.process.pid
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in children if module in _command_line(child)]

    # ------------------------------------------------------------------ changing

    def edit_policy(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the policy as an editor would: a new file renamed over the old one."""
        document = yaml.safe_load(self.policy_file.read_text())
        change(document)
        self.replace_policy(yaml.safe_dump(document))

    def replace_policy(self, text: str) -> None:
        fresh = self.policy_file.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, self.policy_file)

    def policy_in_use(self) -> str:
        """Hash of the policy that serves."""
        return str(json.loads(self.api("/readyz") or "{}").get("policy", {}).get("sha256", ""))


def _command_line(pid: int) -> bytes:
    """Command line of a process; empty when it has ended since somebody listed it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


POLICY = Template(Path(__file__).with_name("policy.yaml").read_text())

HARD_QUESTION = (
    "Prove that the algorithm is optimal, derive its worst-case complexity and explain why it does not fail if "
    "3 of 7 nodes are down, unless 2 more fail: `def quorum(n): return n // 2 + 1`. Compare it with 4 alternatives."
)
PROVIDERS = ("alpha", "beta", "claude", "local")


@contextmanager
def running_stack(policy: Template = POLICY, **options: Any) -> Iterator[Stack]:
    """A stack with one mock per provider; keys and URLs are filled into the policy."""
    with ExitStack() as running:
        keys = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="sbx-keys-")))
        mocks = {}
        for name in PROVIDERS:
            (keys / name).write_text(f"key-of-{name}\n")
            mocks[name] = running.enter_context(running_mock(name))
        urls = {name: f"{mock.url}/v1" for name, mock in mocks.items()}
        yield running.enter_context(Stack(policy.substitute(urls, keys=keys), mocks, **options))
