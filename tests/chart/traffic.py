"""Clients of a gateway of several pods: each asks a pod that is ready, as far as word of it has spread."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import httpx

from .kubelet import LOOK_SECONDS, Pod

LAG_SECONDS = 0.5  # until every node's proxy has heard which pods are ready


@dataclass
class Service:
    """The pods behind one address, and the ports of their gateways."""

    ports: dict[str, int] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    _known: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Service:
        self._thread = threading.Thread(target=self._follow, name="service")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def add(self, pod: Pod, port: int) -> None:
        self.ports[pod.name], self.pods[pod.name] = port, pod

    def endpoints(self) -> list[int]:
        """Ports that new connections go to."""
        return [self.ports[name] for name in self._known]

    def _follow(self) -> None:
        heard: list[tuple[float, list[str]]] = []
        while not self._stop.is_set():
            now = time.monotonic()
            heard.append((now, [name for name, pod in list(self.pods.items()) if pod.is_ready]))
            while len(heard) > 1 and heard[1][0] <= now - LAG_SECONDS:
                heard.pop(0)
            if heard[0][0] <= now - LAG_SECONDS or not self._known:
                self._known = heard[0][1]
            self._stop.wait(LOOK_SECONDS)


@dataclass
class Load:
    """Clients that ask one question after the other until they are told to stop, and what came of it."""

    service: Service
    clients: int = 3
    pause_seconds: float = 0.03
    answered: list[str] = field(default_factory=list)  # which model, one entry for each request
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
        turn = number
        # Kept connections, as SDKs have them; one client per pod, so a connection stays where it was made.
        with httpx.Client(timeout=15) as client:
            while not self._stop.is_set():
                endpoints = self.service.endpoints()
                turn += 1
                port = endpoints[turn % len(endpoints)] if endpoints else 0
                try:
                    answer = client.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body)
                    if answer.status_code == 200:
                        self.answered.append(answer.headers["x-signalbox-model"])
                    else:
                        self.failed.append(f"{answer.status_code} {answer.text[:200]}")
                except httpx.HTTPError as problem:
                    self.failed.append(repr(problem))
                self._stop.wait(self.pause_seconds)


class Stream:
    """One long answer through one pod, read in the background."""

    def __init__(self, port: int, model: str, headers: dict[str, str]) -> None:
        self.chunks: list[float] = []
        self.lines: list[str] = []
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._read, args=(port, model, headers))
        self._thread.start()

    def _read(self, port: int, model: str, headers: dict[str, str]) -> None:
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "a long story"}]}
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        try:
            with httpx.stream("POST", url, json=body, headers=headers, timeout=30) as answer:
                for line in answer.iter_lines():
                    if line:
                        self.chunks.append(time.monotonic())
                        self.lines.append(line)
        except httpx.HTTPError as problem:
            self.problem = repr(problem)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the stream did not end"
