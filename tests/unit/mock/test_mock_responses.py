"""Responses, through OpenAI's own SDK."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

TOOL = {
    "type": "function",
    "name": "look_up",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
    "strict": False,
}


def test_text_and_message_input_are_answered_with_usage(openai_client: openai.OpenAI) -> None:
    answer = openai_client.responses.create(model="m", input="two words", instructions="be brief")
    assert answer.output_text == "alpha answered as m; the prompt had 4 words."
    assert answer.status == "completed"
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (4, 9, 13)
    messages: Any = [{"role": "user", "content": [{"type": "input_text", "text": "one two three"}]}]
    assert openai_client.responses.create(model="m", input=messages).usage.input_tokens == 3  # type: ignore[union-attr]


def test_a_stream_opens_numbers_its_events_and_completes_with_usage(openai_client: openai.OpenAI) -> None:
    events = list(openai_client.responses.create(model="m", input="hello", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == text == "alpha answered as m; the prompt had 1 words."
    assert last.response.usage is not None
    assert last.response.usage.total_tokens == 1 + 9


def test_the_sdk_assembles_a_stream_into_the_final_response(openai_client: openai.OpenAI) -> None:
    with openai_client.responses.stream(model="m", input="hello") as stream:
        final = stream.get_final_response()
    assert final.output_text == "alpha answered as m; the prompt had 1 words."


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_made_when_the_user_says_so(openai_client: openai.OpenAI, stream: bool) -> None:
    tools: list[Any] = [TOOL]
    text = "call look_up for me"
    if stream:
        events = list(openai_client.responses.create(model="m", input=text, tools=tools, stream=True))
        joined = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
        assert json.loads(joined) == {"query": "mock"}
        last = events[-1]
        assert last.type == "response.completed"
        (call,) = last.response.output
    else:
        (call,) = openai_client.responses.create(model="m", input=text, tools=tools).output
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("look_up", {"query": "mock"})
    assert call.call_id.startswith("call_")


def test_a_call_output_is_answered_in_words(openai_client: openai.OpenAI) -> None:
    items: Any = [
        {"role": "user", "content": "call look_up"},
        {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "found it"},
    ]
    tools: list[Any] = [TOOL]
    answer = openai_client.responses.create(model="m", input=items, tools=tools)
    assert answer.output_text.startswith("alpha answered")
    assert answer.usage is not None
    assert answer.usage.input_tokens == 4


def test_an_answer_cut_by_max_output_tokens_is_incomplete(openai_client: openai.OpenAI) -> None:
    events = list(openai_client.responses.create(model="m", input="hi", max_output_tokens=3, stream=True))
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.output_text == "alpha answered as"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"


def test_an_error_event_ends_the_stream_in_the_shape_of_responses(openai_client: openai.OpenAI) -> None:
    events = list(
        openai_client.responses.create(
            model="m", input="hi", stream=True, extra_headers={"x-mock-fault": "error-event=3"}
        )
    )
    assert [event.type for event in events][-2:] == ["response.output_item.added", "error"]
    assert events[-1].sequence_number == 3
