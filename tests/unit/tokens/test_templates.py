"""Rendered prompts count as the families' own code counts them."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.tokens.functions import namespace
from signalbox.tokens.templates import Rendered, render
from signalbox.tokens.tokenizer import Tokenizer
from signalbox.tokens.vocabulary import load_tokenizer
from signalbox.types import Endpoint
from tests.published import folder
from tests.unit.tokens.bodies import TOOL, chats, openai, read


def tokens(rendered: Rendered, tokenizer: Tokenizer) -> int:
    return rendered.specials + sum(tokenizer.count(text.encode()) for text in rendered.texts)


def test_openai_chats_count_as_in_the_cookbook() -> None:
    tokenizer = openai("o200k")
    named = [[{"role": "user", "name": "anna", "content": "hi"}, {"role": "assistant", "content": "yes?"}]]
    for messages in [*chats(), *named]:
        expected = 3
        for message in messages:
            expected += 3
            for key, value in message.items():
                expected += tokenizer.count(value.encode()) + (key == "name")
        rendered = render(read(messages), "openai")
        assert tokens(rendered, tokenizer) == expected
        assert not rendered.doubts


def test_an_openai_chat_of_known_usage_counts_what_the_api_reported() -> None:
    # The cookbook's example; OpenAI's API reported 124 prompt tokens for it on gpt-4o and 129 on gpt-4.
    messages = [
        {
            "role": "system",
            "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain"
            " English.",
        },
        {
            "role": "system",
            "name": "example_user",
            "content": "New synergies will help drive top-line growth.",
        },
        {
            "role": "system",
            "name": "example_assistant",
            "content": "Things working well together will increase revenue.",
        },
        {
            "role": "system",
            "name": "example_user",
            "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased"
            " leverage.",
        },
        {
            "role": "system",
            "name": "example_assistant",
            "content": "Let's talk later when we're less busy about how to do better.",
        },
        {
            "role": "user",
            "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
        },
    ]
    for name, reported in (("o200k", 124), ("cl100k", 129)):
        tokenizer = openai(name)
        assert tokens(render(read(messages), "openai"), tokenizer) == reported


def test_the_date_in_llamas_preamble_has_the_same_number_of_tokens_all_year() -> None:
    tokenizer = load_tokenizer(folder("llama_models") / "llama3/tokenizer.model", pattern="llama3")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    counts = {
        tokenizer.count(f"Today Date: {day} {month} 2027\n\n".encode()) for month in months for day in ("01", "31")
    }
    assert len(counts) == 1


def test_completions_and_embeddings_count_their_texts_alone() -> None:
    assert render(read(endpoint=Endpoint.COMPLETIONS, prompt="abc"), "openai") == Rendered(["abc"], 0)
    assert render(read(endpoint=Endpoint.COMPLETIONS, prompt=["a", "b"]), "llama3") == Rendered(["a", "b"], 2)
    assert render(read(endpoint=Endpoint.EMBEDDINGS, input=["a", "", "b"]), "openai") == Rendered(["a", "b"], 0)


TURN = [{"role": "user", "content": "hi"}]
CALLED = [
    *TURN,
    {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "42"},
]


@pytest.mark.parametrize(
    ("members", "doubt"),
    [
        ({"messages": TURN, "tools": [TOOL]}, "tools"),
        ({"messages": TURN, "functions": [TOOL["function"]]}, "functions"),
        ({"messages": CALLED}, "calls"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]}]},
            "several text parts",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "new_kind"}]}]}, "unknown parts"),
        (
            {"messages": TURN, "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}},
            "schema",
        ),
    ],
)
def test_what_no_published_rule_covers_is_counted_in_doubt(members: Any, doubt: str) -> None:
    rendered = render(read(**members), "openai")
    assert doubt in rendered.doubts
    assert rendered.texts


def test_calls_and_results_of_every_dialect_are_part_of_the_prompt() -> None:
    anthropic = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "find", "input": {"q": "x"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "found it"}]},
    ]
    texts = render(read(anthropic, Endpoint.MESSAGES, system="be kind"), None).texts
    assert {"be kind", "find", '{"q": "x"}', "found it"} <= set(texts)
    items = [
        {"type": "function_call", "name": "find", "arguments": '{"q":1}', "call_id": "1"},
        {"type": "function_call_output", "call_id": "1", "output": "done"},
    ]
    texts = render(read(None, Endpoint.RESPONSES, input=items, instructions="be kind"), None).texts
    assert {"be kind", "find", '{"q":1}', "done"} <= set(texts)


def test_tools_are_written_as_a_namespace() -> None:
    assert namespace([TOOL, {"type": "function", "function": {"name": "now"}}]) == (
        "namespace functions {\n\n// Wetter für eine Stadt 天気\ntype get_weather = (_: {\n// The city\ncity: string,\n"
        'unit?: "c" | "f",\ndays?: number[],\n}) => any;\n\ntype now = () => any;\n\n} // namespace functions'
    )


@pytest.mark.parametrize("tool", [{}, {"function": None}, {"function": {"name": "f", "parameters": {"properties": 3}}}])
def test_malformed_tools_are_rendered_rather_than_refused(tool: Any) -> None:
    assert namespace([tool]).startswith("namespace functions {")


def test_the_namespace_of_nested_tools_never_fails() -> None:
    deep: dict[str, Any] = {"type": ["string", "null"]}
    for _ in range(30):
        deep = {"type": "object", "properties": {"inner": deep}, "required": "inner"}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    assert namespace([tool]).count("inner?: {") == 29
