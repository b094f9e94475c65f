"""Where a scenario plays: mock providers as processes, one gateway or more, and the servers beside them.

All on loopback and on free ports. What is started here is stopped here, by process, when the block ends.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import httpx

from tests.dataplane.stack import Stack, Started, free_port, wait_until
from tests.services.prometheus import running_prometheus
from tests.unit.store.redis_server import RedisServer


@dataclass(frozen=True)
class Setting:
    """How a mock provider begins. latency_seconds: before each answer. slots: answers at once; None for any number."""

    latency_seconds: float = 0.0
    slots: int | None = None


class Provider:
    """A mock provider in a process of its own: it can be killed as a process is, and slowed while it runs."""

    def __init__(self, name: str, setting: Setting, directory: Path) -> None:
        self.name, self.port = name, free_port()
        self._setting, self._directory = setting, directory
        self._running: Started | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        command = [sys.executable, "-m", "signalbox.mock", "--provider", f"{self.name}={self.port}"]
        command += ["--models", f"{self.name}={self.name}", "--latency", str(self._setting.latency_seconds)]
        if self._setting.slots is not None:
            command += ["--slots", f"{self.name}={self._setting.slots}"]
        self._running = Started(self.name, command, self._directory / f"{self.name}.log")

    def wait(self) -> None:
        wait_until(self._answers, f"provider {self.name} answers")

    def kill(self) -> None:
        """End it at once, its connections with it."""
        if self._running is not None:
            self._running.stop(signal.SIGKILL)
            self._running = None

    def set_latency(self, seconds: float) -> None:
        httpx.put(f"{self.url}/__mock__/latency", json={"seconds": seconds}).raise_for_status()

    def set_fault(self, fault: str) -> None:
        httpx.put(f"{self.url}/__mock__/fault", json={"fault": fault}).raise_for_status()

    def requests(self) -> int:
        """How many requests have reached it since it was started."""
        return int(httpx.get(f"{self.url}/__mock__/totals").json().get("requests", 0))

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False


@dataclass
class Place:
    """What is running. gateways: each a sidecar and an Envoy of its own."""

    directory: Path
    providers: dict[str, Provider] = field(default_factory=dict)
    gateways: list[Stack] = field(default_factory=list)
    redis: RedisServer | None = None


@contextmanager
def running(
    policy: Template,
    settings: Mapping[str, Setting],
    *,
    gateways: int = 1,
    redis: bool = False,
    scraped: tuple[str, ...] = (),
) -> Iterator[Place]:
    """Start everything and yield it.

    policy: `$NAME` stands for the base URL of a provider, `$redis` and `$prometheus` for those of the servers.
    scraped: providers whose /metrics a Prometheus scrapes; without any there is none.
    """
    with ExitStack() as life:
        place = Place(Path(life.enter_context(tempfile.TemporaryDirectory(prefix="sbx-"))))
        names = {}
        for name, setting in settings.items():
            place.providers[name] = provider = Provider(name, setting, place.directory)
            life.callback(provider.kill)
            provider.spawn()
            names[name] = f"{provider.url}/v1"
        for provider in place.providers.values():
            provider.wait()
        if redis:
            place.redis = life.enter_context(RedisServer(place.directory))
            names["redis"] = place.redis.url
        if scraped:
            ports = [place.providers[name].port for name in scraped]
            names["prometheus"] = life.enter_context(running_prometheus(ports, place.directory))
        text = policy.substitute(names)
        stacks = [Stack(text, {}, workers=1, envoy_threads=1) for _ in range(gateways)]
        place.gateways += life.enter_context(_together(stacks))
        yield place


@contextmanager
def _together(stacks: list[Stack]) -> Iterator[list[Stack]]:
    """Start gateways, and stop them, at the same time: each takes seconds in which it mostly waits."""
    with ThreadPoolExecutor(len(stacks)) as pool:
        try:
            yield list(pool.map(Stack.__enter__, stacks))
        finally:
            list(pool.map(Stack.close, stacks))
