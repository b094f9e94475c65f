"""Engines at a server that Envoy itself reaches: the router model is a model of the policy like any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from string import Template
from typing import Any

import pytest
import yaml

from tests.unit.engines.scripted_server import Server, respond, serving

from .stack import POLICY, Stack, running_stack, wait_until

pytestmark = pytest.mark.dataplane

TASKS = [
    {"name": "simple", "description": "Small talk", "models": ["alpha-mini"]},
    {"name": "hard", "description": "Proofs", "models": ["alpha-large"]},
]


def completion(choice: dict[str, Any]) -> bytes:
    usage = {"prompt_tokens": 300, "completion_tokens": 9, "total_tokens": 309}
    return json.dumps({"object": "chat.completion", "choices": [{"index": 0, **choice}], "usage": usage}).encode()


CHOSEN = completion({"message": {"role": "assistant", "content": "{'route': 'hard'}"}, "finish_reason": "stop"})
CALLED = completion({"text": "<think>...</think><search> hard: Why? ", "finish_reason": "stop"})


def answer(server: Server, sock: Any) -> None:
    body = CHOSEN if b"/chat/completions" in server.requests[-1][:200] else CALLED
    respond(body, "200 OK", "content-type: application/json")(server, sock)


def policy(url: str) -> Template:
    document = yaml.safe_load(POLICY.template)
    document["providers"]["judges"] = {"endpoint": url, "serves": ["chat_completions", "completions"]}
    for name in ("arch-router", "router-r1"):
        document["models"][name] = {"provider": "judges"}
    return Template(yaml.safe_dump(document, sort_keys=False))


def with_engines(document: dict[str, Any], port: int) -> None:
    through_envoy = {"endpoint": f"http://127.0.0.1:{port}/v1", "deadline_ms": 5000, "location": "local"}
    document["engines"] = {
        "arch": {"kind": "preference", "model": "arch-router", **through_envoy},
        "r1": {"kind": "deliberate", "model": "router-r1", **through_envoy},
        "nobody": {"kind": "preference", "model": "arch-router", "endpoint": "http://127.0.0.1:1/v1"},
    }
    for name in document["engines"]:
        document["routers"][f"by-{name}"] = {"tasks": TASKS, "default_task": "simple", "engine": name}


@pytest.fixture(scope="module")
def judged() -> Iterator[tuple[Stack, Server]]:
    with serving(answer) as server, running_stack(policy(server.url), workers=1) as stack:
        before = stack.policy_in_use()
        stack.edit_policy(lambda document: with_engines(document, stack.port))
        wait_until(lambda: stack.policy_in_use() != before, "the policy with engines serves")
        yield stack, server


@pytest.mark.parametrize(("router", "path"), [("by-arch", b"/v1/chat/completions"), ("by-r1", b"/v1/completions")])
def test_a_router_model_is_asked_through_envoy_by_the_one_worker_that_waits_for_it(
    judged: tuple[Stack, Server], router: str, path: bytes
) -> None:
    stack, server = judged
    server.requests.clear()
    found = stack.chat(f"router:{router}", f"a riddle for {router}")
    assert found.status_code == 200, found.text
    assert found.headers["x-model-router-selected-route"] == "hard"
    assert found.headers["x-signalbox-reason"] == "engine"
    assert found.headers["x-signalbox-model"] == "alpha-large"
    [asked] = server.requests
    assert asked.startswith(b"POST " + path)
    assert b"a riddle for " in asked
    assert b"Small talk" in asked


def test_a_server_that_is_not_there_costs_the_choice_and_nothing_else(judged: tuple[Stack, Server]) -> None:
    stack, _ = judged
    found = stack.chat("router:by-nobody", "a riddle")
    assert found.status_code == 200, found.text
    assert found.headers["x-model-router-selected-route"] == "simple"
    assert found.headers["x-signalbox-reason"] == "engine_failed"
