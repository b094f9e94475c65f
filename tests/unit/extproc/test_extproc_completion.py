"""An engine's own answer: its shapes, the immediate response, and the decision that stands when it cannot be sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.engines.base import Answer, Outcome, Question
from signalbox.engines.cuts import Cuts
from signalbox.engines.desk import Desk
from signalbox.engines.open import Engines
from signalbox.extproc import completion as completions
from signalbox.extproc.completion import write_answer
from signalbox.extproc.exchange import Exchange
from signalbox.policy.schema import Policy
from signalbox.types import Completion, Endpoint, Spent
from tests.unit.decide.cases import make_request

from .decisions import POLICY, POLICY_SHA256
from .envoy_messages import body_message, chat, headers_message, metadata, read, record

SPENT = (Spent("router-r1", 1050, 45, counted=False), Spent("large", 40, 7, counted=True))
GOETHE = Completion('Goe"the\n\ud800 😀', SPENT)
TASKS = [{"name": "small", "models": ["small"]}, {"name": "large", "models": ["large"]}]


def policy(location: str = "local", **engine: Any) -> Policy:
    r1 = {"kind": "deliberate", "endpoint": "http://r1.test/v1", "model": "router-r1", "location": location, **engine}
    return Policy.model_validate(
        POLICY.model_dump(exclude_unset=True)
        | {
            "engines": {"r1": {**r1, "mode": "answer", "deadline_ms": 5000}},
            "routers": {"main": {"tasks": TASKS, "engine": "r1", "default_task": "small"}},
        }
    )


class Scripted:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked = 0

    def ask(self, _: Question) -> Answer:
        self.asked += 1
        return self.answer

    def close(self) -> None:
        return


def decided(answer: Answer, message: bytes, using: Policy | None = None) -> tuple[bytes, Scripted]:
    """The reply to a message when the engine answers so; headers go first where the message has no attributes."""
    using = using or policy()
    engine = Scripted(answer)
    desk = Desk("r1", engine, deadline_seconds=5.0, max_concurrent=1, max_queued=9)
    engines = Engines({"r1": desk}, Cuts({}, {}))
    exchange = Exchange()
    exchange.use(Pipeline.compile(using), POLICY_SHA256, engines=engines)
    reply = exchange.answer(message)
    if reply.waiting is not None:
        while not reply.waiting.is_over():
            pass
        reply = reply.waiting.finish()
    engines.close()
    return reply.message, engine


RESULT = Answer(Outcome.RESULT, "large", completion=GOETHE)


def test_the_answer_is_an_immediate_response_and_nobody_is_asked() -> None:
    reply, _ = decided(RESULT, body_message(chat()))
    found = read(reply)
    assert found.WhichOneof("response") == "immediate_response"
    assert found.immediate_response.status.code == 200
    assert not found.immediate_response.HasField("headers")
    body = json.loads(found.immediate_response.body)
    assert body["choices"][0]["message"]["content"] == GOETHE.text
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {"prompt_tokens": 1090, "completion_tokens": 52, "total_tokens": 1142}
    told = metadata(reply)
    assert told.keys() == {"id", "answered", "route", "reason", "model", "record"}
    assert (told["answered"], told["route"], told["reason"], told["model"]) == ("whole", "large", "answered", "r1")


def test_the_record_has_the_tokens_by_model_and_none_of_the_text() -> None:
    reply, _ = decided(RESULT, body_message(chat()))
    found = record(reply)
    assert (found.reason, found.engine, found.engine_outcome) == ("answered", "r1", "result")
    assert found.spent_on_answer == SPENT
    assert "Goe" not in metadata(reply)["record"]


def test_an_answer_without_a_route_goes_where_the_router_would_have_gone() -> None:
    reply, _ = decided(Answer(Outcome.RESULT, None, completion=GOETHE, detail="answered"), body_message(chat()))
    assert (record(reply).route, record(reply).engine_outcome) == ("small", "result")
    assert read(reply).WhichOneof("response") == "immediate_response"


@pytest.mark.parametrize("headers", [{"x-data-class": "restricted"}])
def test_a_local_only_request_is_answered_by_an_engine_of_the_site_alone(headers: dict[str, str]) -> None:
    local_models = POLICY.model_dump(exclude_unset=True)["models"] | {"tiny": {"provider": "house", "name": "tiny"}}
    tasks = [*TASKS, {"name": "tiny", "models": ["tiny"]}]

    def with_local(base: Policy) -> Policy:
        document = base.model_dump(exclude_unset=True) | {"models": local_models}
        document["routers"]["main"]["tasks"] = tasks
        return Policy.model_validate(document)

    message = body_message(chat(), headers=headers)
    inside, engine = decided(Answer(Outcome.RESULT, "tiny", completion=GOETHE), message, with_local(policy()))
    assert (engine.asked, record(inside).reason, record(inside).privacy) == (1, "answered", "local")
    for outside in (policy("cloud"), policy(pool="http://gateway.test/v1")):
        reply, engine = decided(RESULT, message, with_local(outside))
        assert (engine.asked, record(reply).reason) == (0, "default")
        assert read(reply).WhichOneof("response") == "request_body"


def test_what_cannot_be_written_costs_the_answer_and_not_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "MAX_ANSWER_BYTES", 10)
    for route, reason in (("large", "engine"), (None, "engine_unsure")):
        reply, _ = decided(Answer(Outcome.RESULT, route, completion=GOETHE), body_message(chat()))
        found = record(reply)
        assert read(reply).WhichOneof("response") == "request_body"
        assert (found.reason, found.engine_detail, found.spent_on_answer) == (reason, "unwritable", ())


def test_a_request_that_came_as_headers_and_body_is_answered_likewise() -> None:
    engine = Scripted(RESULT)
    desk = Desk("r1", engine, deadline_seconds=5.0, max_concurrent=1, max_queued=9)
    exchange = Exchange()
    exchange.use(Pipeline.compile(policy()), POLICY_SHA256, engines=Engines({"r1": desk}, Cuts({}, {})))
    first = exchange.answer(headers_message())
    reply = exchange.answer(body_message(chat(), attributes=False), first.conversation)
    if reply.waiting is not None:
        while not reply.waiting.is_over():
            pass
        reply = reply.waiting.finish()
    assert read(reply.message).WhichOneof("response") == "immediate_response"
    desk.close()


def written(endpoint: Endpoint, **members: Any) -> bytes:
    request = make_request(
        {"model": "auto", "messages": [{"role": "user", "content": "x"}], **members}, endpoint=endpoint
    )
    return write_answer(GOETHE, request, id="sb-1", model="r1", created=1_700_000_000)


def events(body: bytes) -> list[Any]:
    blocks = body.decode().split("\n\n")
    assert blocks.pop() == ""
    return [json.loads(data) for block in blocks if (data := block.rpartition("data: ")[2]) != "[DONE]"]


@pytest.mark.parametrize("include_usage", [True, False, None])
def test_a_stream_of_chunks_is_the_same_answer(*, include_usage: bool | None) -> None:
    options = {} if include_usage is None else {"stream_options": {"include_usage": include_usage}}
    body = written(Endpoint.CHAT_COMPLETIONS, stream=True, **options)
    assert body.endswith(b"data: [DONE]\n\n")
    chunks = events(body)
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == GOETHE.text
    assert {(c["id"], c["object"], c["model"], c["created"]) for c in chunks} == {
        ("chatcmpl-sb-1", "chat.completion.chunk", "r1", 1_700_000_000)
    }
    assert [c["usage"]["total_tokens"] for c in chunks if c.get("usage")] == ([1142] if include_usage else [])
    assert all(("usage" in c) is bool(include_usage) for c in chunks)


def test_messages_are_anthropics_whole_and_as_events() -> None:
    whole = json.loads(written(Endpoint.MESSAGES))
    assert (whole["type"], whole["stop_reason"]) == ("message", "end_turn")
    assert whole["content"] == [{"type": "text", "text": GOETHE.text}]
    assert whole["usage"] == {"input_tokens": 1090, "output_tokens": 52}
    told = events(written(Endpoint.MESSAGES, stream=True))
    assert [event["type"] for event in told] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert told[2]["delta"]["text"] == GOETHE.text
    assert told[4]["usage"] == {"output_tokens": 52}


@pytest.mark.parametrize("endpoint", [Endpoint.RESPONSES, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS])
def test_other_endpoints_have_no_such_answer(endpoint: Endpoint) -> None:
    with pytest.raises(ValueError, match="no engine answers"):
        written(endpoint)
