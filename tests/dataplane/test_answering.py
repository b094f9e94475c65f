"""A model that deliberates answers requests itself, through a real Envoy, as the official SDKs read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import anthropic
import openai
import pytest

from signalbox.collector.journal.entry import RequestEntry
from signalbox.collector.journal.read import JournalReader
from signalbox.errors import SetupError
from tests.unit.engines.scripted_server import Server, respond, serving

from .stack import POLICY, Stack, running_stack, wait_until

pytestmark = pytest.mark.dataplane

ROUND = {"prompt_tokens": 300, "completion_tokens": 9, "total_tokens": 309}
QUESTION = "Who wrote Faust?"
ANSWER = "Goethe – „Geheimrat“, 100 %\nof it"


def said(text: str) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": "stop"}
    return json.dumps({"object": "text_completion", "choices": [choice], "usage": ROUND}).encode()


def think(server: Server, sock: Any) -> None:
    """Consult a model once, then answer."""
    consulted = b"</search>\\n<information>" in server.requests[-1]
    model = "alpha-large" if b"alpha-large" in server.requests[-1] else "local-small"
    text = f"<think>...</think><answer> {ANSWER} " if consulted else f"<think>...</think><search> {model}: Who? "
    respond(said(text), "200 OK", "content-type: application/json")(server, sock)


def with_engine(document: dict[str, Any], url: str, port: int, journal: Path) -> None:
    document["journal"] = {"directory": str(journal)}
    document["engines"] = {
        "r1": {
            "kind": "deliberate",
            "mode": "answer",
            "model": "router-r1",
            "endpoint": url,
            "pool": f"http://127.0.0.1:{port}/v1",
            "location": "local",
            "deadline_ms": 5000,
        }
    }
    for router, names in (("thinking", ("alpha-mini", "alpha-large")), ("messaging", ("claude-large", "local-small"))):
        document["routers"][router] = {
            "tasks": [{"name": name, "description": f"{name} is a model", "models": [name]} for name in names],
            "default_task": names[0],
            "engine": "r1",
            "budget": {"usd_per_day": 100, "tokens_per_day": 1_000_000},
        }
    document["budget"] = {"usd_per_day": 100, "tokens_per_day": 1_000_000}


@pytest.fixture(scope="module", params=["priority_group", "cluster_header"])
def thinking(request: pytest.FixtureRequest) -> Iterator[tuple[Stack, Server]]:
    template = Template(POLICY.template.replace("gateway: {", f"gateway: {{mode: {request.param}, "))
    with serving(think) as server, running_stack(template, workers=1) as stack:
        before = stack.policy_in_use()
        stack.edit_policy(lambda document: with_engine(document, server.url, stack.port, stack.directory / "journal"))
        wait_until(lambda: stack.policy_in_use() != before, "the policy with the engine serves")
        yield stack, server


def journal(stack: Stack) -> list[RequestEntry]:
    try:
        return [each for each in JournalReader(stack.directory / "journal") if isinstance(each, RequestEntry)]
    except SetupError:  # nothing was written yet
        return []


def test_the_openai_sdk_gets_the_answer_whole_and_as_a_stream(thinking: tuple[Stack, Server]) -> None:
    stack, _ = thinking
    asked: list[Any] = [{"role": "user", "content": QUESTION}]
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key="unused", max_retries=0) as client:
        whole = client.chat.completions.with_raw_response.create(model="router:thinking", messages=asked)
        assert whole.headers["content-type"] == "application/json"
        assert whole.headers["x-signalbox-reason"] == "answered"
        assert whole.headers["x-signalbox-model"] == "r1"
        assert whole.headers["x-model-router-selected-route"] == "alpha-large"
        answer = whole.parse()
        assert answer.choices[0].message.content == ANSWER
        assert answer.choices[0].finish_reason == "stop"
        assert answer.model == "r1"
        assert answer.id == f"chatcmpl-{whole.headers['x-signalbox-decision']}"
        stream = client.chat.completions.create(
            model="router:thinking", messages=asked, stream=True, stream_options={"include_usage": True}
        )
        assert stream.response.headers["content-type"] == "text/event-stream"
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    # Two rounds of its own, and what the mock says that it consulted.
    for usage in (answer.usage, chunks[-1].usage):
        assert usage.prompt_tokens > 600
        assert usage.completion_tokens > 18


def test_the_anthropic_sdk_gets_the_answer_whole_and_as_a_stream(thinking: tuple[Stack, Server]) -> None:
    stack, _ = thinking
    asked: dict[str, Any] = {
        "model": "router:messaging",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    with anthropic.Anthropic(base_url=stack.base_url, api_key="unused", max_retries=0) as client:
        answer = client.messages.create(**asked)
        assert answer.content[0].text == ANSWER
        assert answer.stop_reason == "end_turn"
        assert answer.usage.output_tokens > 18
        with client.messages.stream(**asked) as stream:
            assert "".join(stream.text_stream) == ANSWER
            assert stream.get_final_message().usage.output_tokens == answer.usage.output_tokens


def test_what_the_answer_cost_is_counted_once_in_each_place(thinking: tuple[Stack, Server]) -> None:
    stack, _ = thinking
    found = stack.chat("router:thinking", QUESTION)
    id, usage = found.headers["x-signalbox-decision"], found.json()["usage"]
    wait_until(lambda: any(entry.id == id for entry in journal(stack)), "the journal has it")
    [line] = [entry for entry in journal(stack) if entry.id == id]
    assert (line.reason, line.engine, line.status, line.attempts) == ("answered", "r1", 200, 0)
    assert line.details == "signalbox_answered"
    (own, read, written, counted), (consulted, their_read, their_written, theirs_counted) = line.spent_on_answer
    assert (own, read, written, counted) == ("r1", 600, 18, False)
    assert (consulted, theirs_counted) == ("alpha-large", True)
    assert (600 + their_read, 18 + their_written) == (usage["prompt_tokens"], usage["completion_tokens"])
    expected_usd = (3 * their_read + 15 * their_written) / 1e6
    assert line.answer_usd == pytest.approx(expected_usd)
    assert line.usd is None or line.usd == 0
    assert line.input_tokens is None
    assert b"Geheimrat" not in b"".join(path.read_bytes() for path in (stack.directory / "journal").glob("*"))

    def is_counted() -> bool:
        answered = [entry for entry in journal(stack) if entry.reason == "answered"]
        tokens = stack.metric("signalbox_answer_tokens_total", engine="r1", model="r1", type="input")
        return tokens == 600 * len(answered)

    wait_until(is_counted, "the metric has each of them once")
    assert stack.metric("signalbox_decisions_total", router="thinking", reason="answered") >= 1


def test_a_conversation_gets_the_model_that_was_consulted_instead(thinking: tuple[Stack, Server]) -> None:
    stack, _ = thinking
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    found = stack.post(
        {"model": "router:thinking", "messages": [*turns, {"role": "user", "content": "Who wrote Faust then?"}]}
    )
    assert found.status_code == 200, found.text
    assert (found.headers["x-signalbox-model"], found.headers["x-signalbox-reason"]) == ("alpha-large", "engine")


def test_a_local_only_request_is_neither_thought_about_nor_answered(thinking: tuple[Stack, Server]) -> None:
    stack, server = thinking
    server.requests.clear()
    found = stack.chat("router:thinking", QUESTION, x_data_class="restricted")
    assert found.status_code == 403, found.text
    assert server.requests == []
