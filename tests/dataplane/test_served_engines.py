"""Engines at a server that Envoy itself reaches: the router model is a model of the policy like any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from signalbox.collector.journal.read import JournalReader
from signalbox.errors import SetupError
from signalbox.label import Label
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
CONSULTED = completion({"text": "<think>...</think><search> alpha-large: Why is that? ", "finish_reason": "stop"})
ANSWERED = completion({"text": "<think>...</think><answer> Because. ", "finish_reason": "stop"})


def answer(server: Server, sock: Any) -> None:
    asked = server.requests[-1]
    if b"/chat/completions" in asked[:200]:
        body = CHOSEN
    elif b"</search>\\n<information>" in asked:
        body = ANSWERED
    else:
        body = CONSULTED if b"alpha-large" in asked else CALLED
    respond(body, "200 OK", "content-type: application/json")(server, sock)


def policy(url: str) -> Template:
    document = yaml.safe_load(POLICY.template)
    document["providers"]["judges"] = {"endpoint": url, "serves": ["chat_completions", "completions"]}
    for name in ("arch-router", "router-r1"):
        document["models"][name] = {"provider": "judges"}
    return Template(yaml.safe_dump(document, sort_keys=False))


def with_engines(document: dict[str, Any], port: int, journal: Path) -> None:
    document["journal"] = {"directory": str(journal)}
    document["routers"]["shadowed"] = {
        "tasks": TASKS,
        "default_task": "simple",
        "shadow_engine": {"name": "arch", "share": 1, "per_day": 1_000_000},
    }
    through_envoy = {"endpoint": f"http://127.0.0.1:{port}/v1", "deadline_ms": 5000, "location": "local"}
    document["engines"] = {
        "arch": {"kind": "preference", "model": "arch-router", **through_envoy},
        "r1": {"kind": "deliberate", "model": "router-r1", **through_envoy},
        "nobody": {"kind": "preference", "model": "arch-router", "endpoint": "http://127.0.0.1:1/v1"},
    }
    for name in document["engines"]:
        document["routers"][f"by-{name}"] = {"tasks": TASKS, "default_task": "simple", "engine": name}
    document["engines"]["asking"] = {**document["engines"]["r1"], "pool": f"http://127.0.0.1:{port}/v1"}
    names = ("alpha-mini", "alpha-large")
    document["routers"]["by-asking"] = {
        "tasks": [{"name": name, "description": f"{name} is a model", "models": [name]} for name in names],
        "default_task": "alpha-mini",
        "engine": "asking",
    }


@pytest.fixture(scope="module")
def judged() -> Iterator[tuple[Stack, Server]]:
    with serving(answer) as server, running_stack(policy(server.url), workers=1) as stack:
        before = stack.policy_in_use()
        stack.edit_policy(lambda document: with_engines(document, stack.port, stack.directory / "journal"))
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


def test_models_are_consulted_through_the_gateway_and_the_last_one_gets_the_request(
    judged: tuple[Stack, Server],
) -> None:
    stack, server = judged
    server.requests.clear()
    found = stack.chat("router:by-asking", "why?", x_test_id="consulted")
    assert found.status_code == 200, found.text
    assert found.headers["x-signalbox-model"] == "alpha-large"
    assert found.headers["x-signalbox-reason"] == "engine"
    assert len(server.requests) == 2
    assert b"Here is the sub-question" not in server.requests[1]
    queries = [body for body in map(str, stack.mocks["alpha"].requests()) if "Why is that?" in body]
    assert len(queries) == 1
    wait_until(lambda: sum(line.get("model") == "alpha-large" for line in stack.request_log()) >= 2, "both are logged")


def test_a_server_that_is_not_there_costs_the_choice_and_nothing_else(judged: tuple[Stack, Server]) -> None:
    stack, _ = judged
    found = stack.chat("router:by-nobody", "a riddle")
    assert found.status_code == 200, found.text
    assert found.headers["x-model-router-selected-route"] == "simple"
    assert found.headers["x-signalbox-reason"] == "engine_failed"


def labels(stack: Stack) -> list[Label]:
    try:
        return [entry for entry in JournalReader(stack.directory / "journal") if isinstance(entry, Label)]
    except SetupError:  # nothing was written yet
        return []


def test_a_shadow_engine_says_afterwards_what_it_would_have_done_and_the_journal_has_it(
    judged: tuple[Stack, Server],
) -> None:
    stack, server = judged
    server.requests.clear()
    found = stack.chat("router:shadowed", "a riddle in the shadow")
    assert found.headers["x-model-router-selected-route"] == "simple"
    assert found.headers["x-signalbox-reason"] == "default"
    wait_until(lambda: labels(stack), "the label is in the journal")
    [label] = labels(stack)
    assert (label.id, label.router, label.engine) == (found.headers["x-signalbox-decision"], "shadowed", "arch")
    assert (label.outcome, label.task) == ("result", "hard")
    assert len(server.requests) == 1
    journal = b"".join(path.read_bytes() for path in (stack.directory / "journal").glob("*.jsonl"))
    assert b"riddle" not in journal
