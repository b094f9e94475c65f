"""Chat Completions, Completions, Embeddings and models, through OpenAI's own SDK."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from signalbox.mock import running_mock

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
            "required": ["city", "days"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_an_answer_names_provider_and_model_and_counts_words_but_repeats_nothing(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="m-1", messages=say("my secret is hunter2"))
    assert answer.choices[0].message.content == "alpha answered as m-1; the prompt had 4 words."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id.startswith("chatcmpl-")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (4, 9, 13)


def test_the_same_request_gets_the_same_words_under_another_id(openai_client: openai.OpenAI) -> None:
    first, second = (openai_client.chat.completions.create(model="m", messages=say("hi")) for _ in range(2))
    assert first.choices == second.choices
    assert first.id != second.id


def test_words_of_all_messages_and_text_parts_are_prompt_tokens(openai_client: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages: list[Any] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "what is this"}, image]},
    ]
    answer = openai_client.chat.completions.create(model="m", messages=messages)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 5


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_ends_with_usage_only_when_asked(openai_client: openai.OpenAI, include_usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = list(openai_client.chat.completions.create(model="m", messages=say("a b"), stream=True, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "alpha answered as m; the prompt had 2 words."
    assert len(chunks) > 5
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    with_usage = [chunk for chunk in chunks if chunk.usage is not None]
    if include_usage:
        assert with_usage == chunks[-1:]
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 2 + 9
    else:
        assert with_usage == []
        assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_stream_is_server_sent_events_that_end_with_done(http: httpx.Client, chat: dict[str, Any]) -> None:
    answer = http.post("/v1/chat/completions", json=chat | {"stream": True})
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.endswith("data: [DONE]\n\n")
    assert all(event.startswith("data: ") for event in answer.text.strip().split("\n\n"))


@pytest.mark.parametrize("call", ["chat/completions", "completions"])
def test_every_chunk_before_the_last_says_that_usage_is_still_null(http: httpx.Client, call: str) -> None:
    body = {"model": "m", "messages": say("hi"), "prompt": "hi", "stream": True}
    text = http.post(f"/v1/{call}", json=body | {"stream_options": {"include_usage": True}}).text
    chunks = [json.loads(event.removeprefix("data: ")) for event in text.strip().split("\n\n")[:-1]]
    assert [chunk["usage"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]


def test_a_user_who_says_call_name_gets_a_call_with_arguments_that_fit_its_schema(openai_client: openai.OpenAI) -> None:
    tools: list[Any] = [CLOCK, WEATHER]
    answer = openai_client.chat.completions.create(model="m", messages=say("please call get_weather now"), tools=tools)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.content is None
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    assert call.id.startswith("call_")
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "mock", "days": 3}


def test_a_streamed_call_comes_in_parts_that_join_to_the_same_arguments(openai_client: openai.OpenAI) -> None:
    tools: list[Any] = [WEATHER]
    chunks = openai_client.chat.completions.create(
        model="m", messages=say("hello"), tools=tools, tool_choice="required", stream=True
    )
    deltas = [chunk.choices[0].delta for chunk in chunks]
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    assert calls[0].function is not None
    assert calls[0].function.name == "get_weather"
    arguments = "".join(call.function.arguments or "" for call in calls if call.function)
    assert json.loads(arguments) == {"city": "mock", "days": 3}
    assert len(calls) >= 3


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", None),
        ("none", None),
        ("required", "get_time"),
        ({"type": "function", "function": {"name": "get_weather"}}, "get_weather"),
    ],
)
def test_tool_choice_decides_whether_and_what_is_called(
    openai_client: openai.OpenAI, choice: Any, expected: str | None
) -> None:
    tools: list[Any] = [CLOCK, WEATHER]
    answer = openai_client.chat.completions.create(model="m", messages=say("hello"), tools=tools, tool_choice=choice)
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == ([expected] if expected else [])


def test_a_tool_result_is_answered_in_words(openai_client: openai.OpenAI) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    messages: list[Any] = [
        *say("call get_time"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "call get_time at noon"},
    ]
    tools: list[Any] = [CLOCK]
    answer = openai_client.chat.completions.create(model="m", messages=messages, tools=tools)
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"


def test_an_answer_held_to_a_schema_parses_into_its_model(openai_client: openai.OpenAI) -> None:
    class Step(BaseModel):
        explanation: str
        number: int

    class Solution(BaseModel):
        steps: list[Step]
        correct: bool

    answer = openai_client.chat.completions.parse(model="m", messages=say("solve"), response_format=Solution)
    solution = answer.choices[0].message.parsed
    assert isinstance(solution, Solution)
    assert len(solution.steps) == 1


def test_max_completion_tokens_cuts_the_answer_and_says_so(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="m", messages=say("hi"), max_completion_tokens=2)
    assert answer.choices[0].message.content == "alpha answered"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


def test_n_choices_are_answered_and_counted(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="m", messages=say("hi"), n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3 * 9
    chunks = list(openai_client.chat.completions.create(model="m", messages=say("hi"), n=2, stream=True))
    assert [chunk.choices[0].index for chunk in chunks if chunk.choices[0].finish_reason] == [0, 1]


def test_chunks_and_bytes_of_an_answer_follow_the_headers(openai_client: openai.OpenAI) -> None:
    headers = {"x-mock-chunks": "7", "x-mock-bytes": "1000"}
    chunks = openai_client.chat.completions.create(model="m", messages=say("a"), stream=True, extra_headers=headers)
    contents = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert len(contents) == 7
    assert len("".join(contents)) == 1000
    many = openai_client.chat.completions.create(
        model="m", messages=say("a"), stream=True, extra_headers={"x-mock-chunks": "300"}
    )
    assert sum(bool(chunk.choices[0].delta.content) for chunk in many) == 300


def test_completions_answer_and_stream_every_prompt(openai_client: openai.OpenAI) -> None:
    answer = openai_client.completions.create(model="m", prompt=["one two", "three"])
    assert [choice.text for choice in answer.choices] == ["alpha answered as m; the prompt had 3 words."] * 2
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3
    chunks = list(
        openai_client.completions.create(model="m", prompt="one", stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert text == "alpha answered as m; the prompt had 1 words."
    assert chunks[-1].usage is not None


def test_embeddings_are_unit_vectors_that_depend_on_the_input_alone(openai_client: openai.OpenAI) -> None:
    first = openai_client.embeddings.create(model="e", input=["red", "green"], dimensions=16)
    second = openai_client.embeddings.create(model="e", input="red", dimensions=16)
    red, green = (one.embedding for one in first.data)
    assert red == second.data[0].embedding
    assert red != green
    assert len(red) == 16
    assert math.isclose(sum(value * value for value in red), 1.0, rel_tol=1e-5)
    assert first.usage.prompt_tokens == 2


def test_embeddings_are_the_same_as_floats_and_as_base64(openai_client: openai.OpenAI) -> None:
    as_base64 = openai_client.embeddings.create(model="e", input=[[1, 2, 3]])  # the SDK asks for base64 itself
    as_floats = openai_client.embeddings.create(model="e", input=[[1, 2, 3]], encoding_format="float")
    assert as_base64.data[0].embedding == pytest.approx(as_floats.data[0].embedding, abs=1e-6)
    assert as_floats.usage.prompt_tokens == 3


def test_models_lists_what_the_provider_serves_and_finds_one(openai_client: openai.OpenAI) -> None:
    assert [model.id for model in openai_client.models.list()] == ["mock-small", "mock-large"]
    with running_mock("beta", models=["org/llama-70b"]) as beta, httpx.Client(base_url=f"{beta.url}/v1") as client:
        assert [model["id"] for model in client.get("/models").json()["data"]] == ["org/llama-70b"]
        assert client.get("/models/org/llama-70b").json()["owned_by"] == "beta"
        assert client.get("/models/other").status_code == 404


@pytest.mark.parametrize("base", ["", "/v1", "/openai/v1", "/api/inference"])
def test_any_base_path_is_accepted(http: httpx.Client, chat: dict[str, Any], base: str) -> None:
    answer = http.post(f"{base}/chat/completions", json=chat)
    assert answer.json()["object"] == "chat.completion"
    assert answer.headers["x-mock-provider"] == "alpha"
