"""Messages, through Anthropic's own SDK."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import pytest

from signalbox.mock import MockProvider

TOOL: Any = {
    "name": "get_weather",
    "description": "Weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_a_message_is_answered_with_usage_and_reached_with_its_key(
    anthropic_client: anthropic.Anthropic, provider: MockProvider
) -> None:
    answer = anthropic_client.messages.create(
        model="c-1", max_tokens=100, system="be brief", messages=say("one two three")
    )
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "alpha answered as c-1; the prompt had 5 words."
    assert (answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens) == ("end_turn", 5, 9)
    assert answer.id.startswith("msg_")
    assert provider.requests()[0].key == "ak-test"


def test_a_stream_carries_the_same_message(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(model="c-1", max_tokens=100, messages=say("hi")) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(texts) == "alpha answered as c-1; the prompt had 1 words."
    assert len(texts) == 9
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (1, 9, "end_turn")


def test_events_come_in_order_and_name_themselves_twice(http: httpx.Client) -> None:
    body = {"model": "c", "max_tokens": 9, "messages": say("hi"), "stream": True}
    answer = http.post("/v1/messages", json=body, headers={"anthropic-version": "2023-06-01", "x-mock-chunks": "2"})
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert [f'"type":"{name}"' in answer.text for name in names] == [True] * len(names)


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("call get_weather", {"type": "auto"}, True),
        ("hello", {"type": "any"}, True),
        ("hello", {"type": "tool", "name": "get_weather"}, True),
        ("hello", {"type": "auto"}, False),
        ("call get_weather", {"type": "none"}, False),
    ],
)
def test_tools_are_used_when_asked_for(
    anthropic_client: anthropic.Anthropic, text: str, choice: Any, called: bool
) -> None:
    answer = anthropic_client.messages.create(
        model="c", max_tokens=100, messages=say(text), tools=[TOOL], tool_choice=choice
    )
    assert answer.stop_reason == ("tool_use" if called else "end_turn")
    block = answer.content[0]
    if called:
        assert block.type == "tool_use"
        assert (block.name, block.input) == ("get_weather", {"city": "mock"})
        assert block.id.startswith("toolu_")


def test_a_streamed_tool_use_joins_to_the_same_input(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(
        model="c", max_tokens=100, messages=say("call get_weather"), tools=[TOOL]
    ) as stream:
        block = stream.get_final_message().content[0]
    assert block.type == "tool_use"
    assert block.input == {"city": "mock"}


def test_a_tool_result_counts_as_prompt_and_is_answered_in_words(anthropic_client: anthropic.Anthropic) -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [{"type": "text", "text": "call get_weather"}],
    }
    messages: list[Any] = [
        *say("call get_weather"),
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}]},
        {"role": "user", "content": [result]},
    ]
    answer = anthropic_client.messages.create(model="c", max_tokens=100, messages=messages, tools=[TOOL])
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens == 4


def test_max_tokens_cuts_the_answer(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(model="c", max_tokens=2, messages=say("hi"))
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 2)


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (401, "authentication_error", anthropic.AuthenticationError),
        (404, "not_found_error", anthropic.NotFoundError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.APIStatusError),
    ],
)
def test_a_status_fault_has_anthropics_shape(
    anthropic_client: anthropic.Anthropic, status: int, kind: str, raised: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(raised) as caught:
        anthropic_client.messages.create(
            model="c", max_tokens=9, messages=say("hi"), extra_headers={"x-mock-fault": str(status)}
        )
    assert caught.value.status_code == status
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert ("retry-after" in caught.value.response.headers) == (status == 429)


def test_an_error_event_inside_a_stream_reaches_the_sdk_as_an_error(anthropic_client: anthropic.Anthropic) -> None:
    stream = anthropic_client.messages.create(
        model="c",
        max_tokens=9,
        messages=say("hi"),
        stream=True,
        extra_headers={"x-mock-fault-alpha": "error-event=4"},
    )
    seen: list[str] = []
    with pytest.raises(anthropic.APIStatusError) as caught:
        seen.extend(event.type for event in stream)
    assert seen == ["message_start", "content_block_start", "content_block_delta"]  # the SDK hides the ping
    body: Any = caught.value.body
    assert body["error"]["type"] == "api_error"


@pytest.mark.parametrize("missing", ["max_tokens", "messages", "model"])
def test_what_anthropic_requires_is_required(http: httpx.Client, missing: str) -> None:
    body = {"model": "c", "max_tokens": 9, "messages": say("hi")}
    del body[missing]
    answer = http.post("/v1/messages", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert missing in answer.json()["error"]["message"]


def test_a_system_role_is_refused_among_messages(http: httpx.Client) -> None:
    body = {"model": "c", "max_tokens": 9, "messages": [{"role": "system", "content": "hi"}]}
    answer = http.post("/v1/messages", json=body)
    assert answer.status_code == 400
    assert "messages[0].role" in answer.json()["error"]["message"]


def test_models_are_listed_in_anthropics_shape_to_its_sdk(anthropic_client: anthropic.Anthropic) -> None:
    assert [model.id for model in anthropic_client.models.list()] == ["mock-small", "mock-large"]
