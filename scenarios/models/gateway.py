"""A gateway with an engine over each bundle: Envoy, the sidecar, mock providers, and a model server with a script."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scenarios.models.exports import called
from signalbox.mock.running import running_mock
from tests.dataplane.stack import Stack, wait_until
from tests.unit.engines.scripted_server import Server, Turn, respond, serving

QUESTION = "Explain why this function fails: for (int i = 0; i <= n; i++) { sum += a[i]; }"
SERVED_R1 = "router-r1-3b"

TIERS = [{"name": "simple", "models": ["small", "large"]}, {"name": "hard", "models": ["large", "small"]}]
WORK = [
    {"name": "bug-fixing", "description": "Find and fix errors in code", "models": ["large", "small"]},
    {"name": "small-talk", "description": "Greetings and chatter", "models": ["small", "large"]},
]
OUTPUT = [
    {"name": "text", "models": ["small", "large"]},
    {"name": "image", "models": ["painter", "large"]},
]
POOL = [
    {"name": "small", "description": "A small model that knows code", "models": ["small", "large"]},
    {"name": "large", "description": "A generalist, at a price", "models": ["large", "small"]},
]
BY_TIER = {"strong": "hard", "weak": "simple"}
PATIENCE_MS = 5000  # what is shown here is not speed, and the machine may be busy


@dataclass(frozen=True)
class Routed:
    """One request's way. took_ms: of the engine, waiting included, by the gateway's own log."""

    status: int
    model: str
    route: str
    reason: str
    score: float | None
    took_ms: float


class Gateway:
    """The running gateway, and the two ways to ask it."""

    def __init__(self, stack: Stack, judge: Server) -> None:
        self.stack, self.judge = stack, judge
        self._body = stack.directory / "body.json"

    def ask(self, router: str, text: str = QUESTION) -> Routed:
        """Send one request through Envoy."""
        found = self.stack.chat(f"router:{router}", text)
        name = found.headers.get("x-signalbox-decision", "")
        lines: list[dict[str, Any]] = []

        def logged() -> bool:
            lines[:] = [line for line in self.stack.request_log() if line.get("id") == name]
            return bool(lines)

        wait_until(logged, "the request is in the log")
        return Routed(
            found.status_code,
            found.headers.get("x-signalbox-model", ""),
            found.headers.get("x-model-router-selected-route", ""),
            found.headers.get("x-signalbox-reason", ""),
            lines[0].get("score"),
            lines[0].get("engine_us", 0) / 1000,
        )

    def explain(self, router: str, text: str = QUESTION) -> dict[str, Any]:
        """Return what `signalbox route --explain` says of the same request."""
        self._body.write_text(
            json.dumps({"model": f"router:{router}", "messages": [{"role": "user", "content": text}]})
        )
        words: list[str | Path] = [sys.executable, "-m", "signalbox", "route", self._body, "--explain"]
        told: dict[str, Any] = json.loads(called([*words, "--policy", self.stack.policy_file]))
        return told


@contextmanager
def running_gateway(bundles: Path, engines: Mapping[str, dict[str, Any]], judge: Turn) -> Iterator[Gateway]:
    """Start everything; the routers of `engines` stand beside those of the six.

    engines: name -> section, each for a router of its name with two tasks; `{judge}` in an endpoint is the server.
    judge: what that server does with a request for them; Router-R1's are answered as it would.
    """

    def answer(server: Server, sock: socket.socket) -> None:
        deliberate(server, sock) if server.requests[-1].startswith(b"POST /r1/") else judge(server, sock)

    with ExitStack() as life:
        mocks = {name: life.enter_context(running_mock(name)) for name in ("house", "cloud")}
        server = life.enter_context(serving(answer))
        address = server.url.removesuffix("/v1")
        stack = Stack("", mocks, workers=1, envoy_threads=1)
        urls = {name: f"{mock.url}/v1" for name, mock in mocks.items()}
        document = policy(bundles, urls, address, stack.base_url)
        for name, section in engines.items():
            place = section.get("endpoint", "").replace("{judge}", address)
            document["engines"][name] = {**section, **({"endpoint": place} if place else {})}
            tiers = BY_TIER if section["kind"] == "classifier" else {}
            tasks = TIERS if tiers else WORK
            document["routers"][name] = {
                "tasks": tasks,
                "default_task": tasks[-1]["name"],
                "engine": {"name": name, **tiers},
            }
        stack.policy_file.write_text(yaml.safe_dump(document, sort_keys=False))
        yield Gateway(life.enter_context(stack), server)


def policy(bundles: Path, providers: Mapping[str, str], judge: str, gateway: str) -> dict[str, Any]:
    """Return the policy: an engine and a router for each of the six.

    providers: base URL of `house` and `cloud`. judge, gateway: addresses of the model server and of Envoy.
    """

    def local(kind: str, name: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "bundle": str(bundles / name), "deadline_ms": PATIENCE_MS, **more}

    r1 = {"kind": "deliberate", "model": SERVED_R1, "location": "local", "deadline_ms": PATIENCE_MS}
    return {
        "version": 1,
        "providers": {
            "house": {"endpoint": providers["house"], "location": "local"},
            "cloud": {"endpoint": providers["cloud"]},
            "judges": {
                "endpoint": f"{judge}/r1/v1",
                "location": "local",
                "serves": ["chat_completions", "completions"],
            },
        },
        "models": {
            "small": {"provider": "house", "price": {"input": 0, "output": 0}},
            "large": {"provider": "cloud", "price": {"input": 3, "output": 15}},
            "painter": {"provider": "cloud", "price": {"input": 5, "output": 40}},
            SERVED_R1: {"provider": "judges"},
        },
        "engines": {
            "bert": local("classifier", "bert"),
            "mf": local("matrix_factorization", "mf", embedding={"bundle": str(bundles / "encoder")}),
            "arch-router": local("preference", "arch-router"),
            "orchestrator": local("preference", "orchestrator"),
            # Asked through Envoy, as a model of the policy, and consulting the others through Envoy, too.
            "router-r1": {**r1, "endpoint": f"{gateway}/v1", "pool": f"{gateway}/v1"},
            "modality": local("modality", "modality"),
        },
        "routers": {
            "bert": {"tasks": TIERS, "default_task": "simple", "engine": {"name": "bert", **BY_TIER}},
            "mf": {"tasks": TIERS, "default_task": "simple", "engine": {"name": "mf", **BY_TIER}},
            "arch-router": {"tasks": WORK, "default_task": "small-talk", "engine": "arch-router"},
            "orchestrator": {"tasks": WORK, "default_task": "small-talk", "engine": "orchestrator"},
            "router-r1": {"tasks": POOL, "default_task": "small", "engine": "router-r1"},
            "modality": {
                "tasks": OUTPUT,
                "default_task": "text",
                "engine": {"name": "modality", "tasks": {"AR": "text", "DIFFUSION": "image", "BOTH": "image"}},
            },
        },
    }


def deliberate(server: Server, sock: socket.socket) -> None:
    """Be Router-R1: consult `large`, and answer when its information is there."""
    if b"</search>\\n<information>" in server.requests[-1]:
        said = "<think> That settles it. </think><answer> An index too far. "
    else:
        said = "<think> I should ask. </think><search> large: Which index is out of bounds? "
    body = completion({"text": said, "finish_reason": "stop"})
    respond(body, "200 OK", "content-type: application/json")(server, sock)


def completion(choice: Mapping[str, Any]) -> bytes:
    """Return the body of an answer with one choice."""
    usage = {"prompt_tokens": 300, "completion_tokens": 9, "total_tokens": 309}
    return json.dumps({"object": "chat.completion", "choices": [{"index": 0, **choice}], "usage": usage}).encode()
