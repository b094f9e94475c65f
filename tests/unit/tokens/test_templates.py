"""Rendered prompts count as the families' own code counts them."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.tokens.functions import namespace
from signalbox.tokens.templates import Rendered, render
from signalbox.tokens.tokenizer import Tokenizer
from signalbox.tokens.vocabulary import load_tokenizer
from signalbox.types import Endpoint
from tests.unit.tokens.bodies import TOOL, chats, read
from tests.unit.tokens.published import folder, openai


def tokens(rendered: Rendered, tokenizer: Tokenizer) -> int:
    return rendered.specials + sum(tokenizer.count(text.encode()) for text in rendered.texts)


def test_openai_chats_count_as_in_the_cookbook() -> None:
    _, tokenizer = openai("o200k")
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
        _, tokenizer = openai(name)
        assert tokens(render(read(messages), "openai"), tokenizer) == reported


def qwen_text(messages: list[dict[str, Any]], default: str) -> str:
    if messages[0]["role"] != "system" and default:
        messages = [{"role": "system", "content": default}, *messages]
    turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)
    return f"{turns}<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("template", "default"),
    [
        ("chatml", ""),
        ("qwen2", "You are a helpful assistant."),
        ("qwen2.5", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    ],
)
def test_qwen_chats_count_as_their_whole_text_does(template: Any, default: str) -> None:
    file = folder("dashscope") / "resources/qwen.tiktoken"
    tiktoken = pytest.importorskip("tiktoken")
    from tiktoken.load import load_tiktoken_bpe

    from signalbox.core import PATTERNS

    ranks = load_tiktoken_bpe(str(file))
    marks = {mark: len(ranks) + at for at, mark in enumerate(("<|endoftext|>", "<|im_start|>", "<|im_end|>"))}
    whole = tiktoken.Encoding("qwen", pat_str=PATTERNS["qwen2"], mergeable_ranks=ranks, special_tokens=marks)
    tokenizer = load_tokenizer(file, pattern="qwen2")
    import unicodedata

    for messages in chats():
        if "<|" in str(messages):
            continue  # written-out special tokens are text to one and special to the other
        text = unicodedata.normalize("NFC", qwen_text(messages, default))
        assert tokens(render(read(messages), template), tokenizer) == len(whole.encode(text, allowed_special="all"))


def test_llama_chats_count_as_their_whole_text_does() -> None:
    file = folder("llama_models") / "llama3/tokenizer.model"
    tiktoken = pytest.importorskip("tiktoken")
    from tiktoken.load import load_tiktoken_bpe

    from signalbox.core import PATTERNS

    ranks = load_tiktoken_bpe(str(file))
    names = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    marks = {mark: len(ranks) + at for at, mark in enumerate(names)}
    whole = tiktoken.Encoding("llama3", pat_str=PATTERNS["llama3"], mergeable_ranks=ranks, special_tokens=marks)
    tokenizer = load_tokenizer(file, pattern="llama3")
    for messages in chats():
        if "<|" in str(messages):
            continue
        text = "<|begin_of_text|>" + "".join(
            f"<|start_header_id|>{turn['role']}<|end_header_id|>\n\n{turn['content'].strip()}<|eot_id|>"
            for turn in messages
        )
        text += "<|start_header_id|>assistant<|end_header_id|>\n\n"
        assert tokens(render(read(messages), "llama3"), tokenizer) == len(whole.encode(text, allowed_special="all"))


def test_the_date_in_llamas_preamble_has_the_same_number_of_tokens_all_year() -> None:
    tokenizer = load_tokenizer(folder("llama_models") / "llama3/tokenizer.model", pattern="llama3")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    counts = {
        tokenizer.count(f"Today Date: {day} {month} 2027\n\n".encode()) for month in months for day in ("01", "31")
    }
    assert len(counts) == 1


@pytest.mark.parametrize(
    ("template", "file", "version"),
    [
        ("mistral-v3", "tekken_240718.json", "v3"),
        ("mistral-v3", "mistral_instruct_tokenizer_240323.model.v3", "v3"),
        ("mistral-v7", "mistral_instruct_tokenizer_241114.model.v7", "v7"),
    ],
)
@pytest.mark.parametrize("tools", [None, [TOOL]])
def test_mistral_chats_count_as_mistral_common_counts_them(template: Any, file: str, version: str, tools: Any) -> None:
    path = folder("mistral_common") / "data" / file
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    published = MistralTokenizer.from_file(str(path))
    tokenizer = load_tokenizer(path)
    for messages in chats():
        if not messages[-1]["content"].strip() or messages[0]["content"] == "?":
            continue
        request = ChatCompletionRequest.model_validate({"messages": messages, "tools": tools})
        rendered = render(read(messages, **({"tools": tools} if tools else {})), template)
        assert tokens(rendered, tokenizer) == len(published.encode_chat_completion(request).tokens), messages
        assert not rendered.doubts


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
