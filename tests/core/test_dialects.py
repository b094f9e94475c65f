"""What the scanner understands of each API, in the shapes their documentations show."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from signalbox.core import Role


def body(**members: Any) -> bytes:
    return json.dumps({"model": "auto", **members}).encode()


def roles(scan: Any) -> list[tuple[bytes, Role]]:
    return [(scan.body[span.start : span.end], span.role) for span in scan.spans]


def test_a_chat_is_read_with_roles_turns_and_the_last_user_turn(twin: ModuleType) -> None:
    scan = twin.scan(
        body(
            messages=[
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": "one"},
                {"role": "assistant", "content": None},
                {"role": "user", "content": "two"},
                {"role": "critic", "content": "hm"},
                {"role": "assistant"},
            ]
        )
    )
    assert roles(scan) == [
        (b"be brief", Role.SYSTEM),
        (b"one", Role.USER),
        (b"two", Role.USER),
        (b"hm", Role.OTHER),
    ]
    assert (scan.messages, scan.turns) == (6, 2)
    assert scan.text() == b"be brief\none\ntwo\nhm"
    assert scan.text(last_user=True) == b"two"


def test_a_role_that_comes_after_its_content_still_counts(twin: ModuleType) -> None:
    scan = twin.scan(b'{"messages":[{"content":[{"text":"hi","type":"text"}],"role":"user"}],"model":"m"}')
    assert roles(scan) == [(b"hi", Role.USER)]


def test_images_audio_and_files_are_counted_and_their_payloads_are_not_text(twin: ModuleType) -> None:
    scan = twin.scan(
        body(
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                        {"type": "file", "file": {"file_data": "AAAA"}},
                        {"type": "hologram", "text": "not text to us"},
                    ],
                }
            ]
        )
    )
    assert (scan.images, scan.audio, scan.files) == (1, 1, 1)
    assert scan.text() == b"look"
    assert scan.text_bytes == 4


def test_in_a_chat_tool_loop_the_last_user_turn_is_still_the_users(twin: ModuleType) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"text": "x"}'}}
    scan = twin.scan(
        body(
            messages=[
                {"role": "user", "content": "weather?"},
                {"role": "assistant", "content": None, "tool_calls": [call, call]},
                {"role": "tool", "tool_call_id": "1", "content": "sunny"},
                {"role": "function", "name": "f", "content": "warm"},
            ],
            tools=[{"type": "function"}, {"type": "function"}],
            functions=[{"name": "old"}],
        )
    )
    assert scan.text(last_user=True) == b"weather?"
    assert roles(scan)[1:] == [(b"sunny", Role.TOOL), (b"warm", Role.TOOL)]
    assert (scan.tools, scan.tool_calls, scan.tool_results) == (3, 2, 2)
    assert scan.tool_call_bytes == len(json.dumps([call, call]))


def test_anthropic_tool_results_are_not_the_users_words(twin: ModuleType) -> None:
    scan = twin.scan(
        body(
            system=[{"type": "text", "text": "rules", "cache_control": {"type": "ephemeral"}}],
            messages=[
                {"role": "user", "content": "fix it"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hmm", "signature": "s"},
                        {"type": "tool_use", "id": "1", "name": "ls", "input": {"type": "x", "text": "y"}},
                    ],
                },
                {"role": "user", "content": [{"content": [{"type": "text", "text": "a.c"}], "type": "tool_result"}]},
                {"role": "user", "content": [{"type": "tool_result", "content": "b.c"}]},
            ],
            max_tokens=100,
        )
    )
    assert roles(scan) == [
        (b"rules", Role.SYSTEM),
        (b"fix it", Role.USER),
        (b"a.c", Role.TOOL),
        (b"b.c", Role.TOOL),
    ]
    assert (scan.turns, scan.tool_calls, scan.tool_results) == (1, 1, 2)
    assert scan.text(last_user=True) == b"fix it"
    assert scan.max_output_tokens == 100


def test_a_user_who_adds_words_to_a_tool_result_takes_a_turn(twin: ModuleType) -> None:
    blocks = [{"type": "tool_result", "content": "b.c"}, {"type": "text", "text": "now this"}]
    scan = twin.scan(body(messages=[{"role": "user", "content": "fix it"}, {"role": "user", "content": blocks}]))
    assert scan.turns == 2
    assert scan.text(last_user=True) == b"now this"


def test_images_inside_tool_results_are_counted(twin: ModuleType) -> None:
    result = {"type": "tool_result", "content": [{"type": "image", "source": {}}, {"type": "document", "source": {}}]}
    scan = twin.scan(body(messages=[{"role": "user", "content": [result]}]))
    assert (scan.images, scan.files) == (1, 1)


def test_server_tool_results_may_hold_an_object(twin: ModuleType) -> None:
    result = {"type": "text_editor_code_execution_tool_result", "content": {"type": "error"}}
    assert twin.scan(body(messages=[{"role": "assistant", "content": [result]}])).tool_results == 1


def test_responses_items_are_read_with_and_without_a_type(twin: ModuleType) -> None:
    scan = twin.scan(
        body(
            instructions="be brief",
            input=[
                {"role": "user", "content": "first"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "answer"}]},
                {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hmm"}]},
                {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"},
                {"type": "function_call_output", "call_id": "1", "output": "42"},
                {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "x"}},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "second"},
                                                                {"type": "input_image", "image_url": "x"}]},
                {"type": "item_reference", "id": "7"},
            ],
            max_output_tokens=5,
        )
    )  # fmt: skip
    assert roles(scan) == [
        (b"be brief", Role.SYSTEM),
        (b"first", Role.USER),
        (b"answer", Role.ASSISTANT),
        (b"42", Role.TOOL),
        (b"second", Role.USER),
    ]
    assert (scan.messages, scan.turns, scan.tool_calls, scan.tool_results, scan.images) == (8, 2, 1, 2, 2)
    assert scan.text(last_user=True) == b"second"


def test_thinking_and_reasoning_are_bound_to_their_maker(twin: ModuleType) -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "x"}]
    quoted = {"type": "text", "text": '{"type": "thinking"}'}
    anthropic = twin.scan(body(messages=[{"role": "assistant", "content": [*blocks, quoted]}]))
    assert anthropic.bound == 2
    responses = twin.scan(
        body(input=[{"type": "reasoning", "encrypted_content": "x"}, {"role": "user", "content": "hi"}])
    )
    assert responses.bound == 1


def test_the_last_turn_tells_whether_a_tool_speaks(twin: ModuleType) -> None:
    asked = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "let me look"}]
    assert twin.scan(body(messages=[*asked, {"role": "tool", "content": "42"}])).ends_with_tool
    result = {"type": "tool_result", "tool_use_id": "1", "content": "42"}
    reminder = {"type": "text", "text": "be brief"}
    assert twin.scan(body(messages=[*asked, {"role": "user", "content": [result, reminder]}])).ends_with_tool
    assert not twin.scan(body(messages=asked)).ends_with_tool
    assert not twin.scan(body(messages=[{"role": "tool", "content": "42"}, *asked])).ends_with_tool


def test_the_opening_ends_with_the_first_user_turn(twin: ModuleType) -> None:
    system = {"role": "system", "content": "é\n"}
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    turns = [system, {"role": "user", "content": parts}, {"role": "assistant", "content": "three"}]
    assert twin.scan(body(messages=turns)).opening(1000) == rb"\u00e9\n" + b"\none\ntwo"
    assert twin.scan(body(messages=turns)).opening(4) == rb"\u00" + b"\n\n"
    assert twin.scan(body(messages=[system])).opening(1000) == b""


def test_a_string_input_is_one_turn_of_the_user(twin: ModuleType) -> None:
    scan = twin.scan(body(input="hello"))
    assert (scan.messages, scan.turns, scan.text(last_user=True)) == (0, 1, b"hello")


def test_a_list_of_prompts_is_one_turn_of_the_user(twin: ModuleType) -> None:
    scan = twin.scan(body(prompt=["a", "b"]))
    assert (scan.messages, scan.turns, scan.text(last_user=True)) == (0, 1, b"a\nb")


def test_a_stored_prompt_of_responses_is_not_text(twin: ModuleType) -> None:
    scan = twin.scan(body(prompt={"id": "pmpt_1", "variables": {"text": "x"}}))
    assert (scan.turns, scan.text()) == (0, b"")
    assert "prompt" in scan.members


@pytest.mark.parametrize(
    ("value", "texts", "token_ids"),
    [
        ("one", b"one", 0),
        (["one", "two"], b"one\ntwo", 0),
        ([1, 2, 3], b"", 3),
        ([[1, 2], [3, 4, 5]], b"", 5),
    ],
)
def test_embeddings_take_texts_or_tokens(twin: ModuleType, value: Any, texts: bytes, token_ids: int) -> None:
    scan = twin.scan(body(input=value))
    assert (scan.text(), scan.token_ids) == (texts, token_ids)


@pytest.mark.parametrize(
    ("members", "demanded"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, True),
        ({"response_format": {"type": "json_object"}}, False),
        ({"text": {"format": {"schema": {}, "type": "json_schema"}}}, True),
        ({"text": {"verbosity": "low"}}, False),
        ({"output_config": {"format": {"type": "json_schema"}}}, True),
        ({"response_format": None}, False),
    ],
)
def test_a_demanded_json_schema_is_seen(twin: ModuleType, members: dict[str, Any], demanded: bool) -> None:
    assert twin.scan(body(**members)).json_schema is demanded


@pytest.mark.parametrize(
    ("members", "limit"),
    [
        ({}, None),
        ({"max_tokens": 7}, 7),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9),
        ({"max_tokens": 0}, 0),
        ({"max_tokens": None}, None),
        ({"max_tokens": -1}, None),
        ({"max_tokens": 1.5}, None),
        ({"max_tokens": 10**30}, 2**31 - 1),
    ],
)
def test_the_output_limit_is_the_largest_plain_number(
    twin: ModuleType, members: dict[str, Any], limit: int | None
) -> None:
    assert twin.scan(body(**members)).max_output_tokens == limit


@pytest.mark.parametrize(("value", "stream"), [("true", True), ("false", False), ("null", False)])
def test_stream_is_true_only_if_the_client_says_so(twin: ModuleType, value: str, stream: bool) -> None:
    assert twin.scan(f'{{"model":"m","stream":{value}}}'.encode()).stream is stream


def test_keys_spelled_with_escapes_are_the_same_keys(twin: ModuleType) -> None:
    raw = rb'{"mod\u0065l":"g\u0070t","m\u0065ssages":[{"r\u006fle":"us\u0065r","cont\u0065nt":"hi"}]}'
    scan = twin.scan(raw)
    assert scan.model == "gpt"
    assert scan.members["model"] == (14, 24)
    assert scan.text(last_user=True) == b"hi"


def test_the_first_of_many_texts_and_the_last_are_both_there(twin: ModuleType) -> None:
    """Far more texts than fit the room a first pass has."""
    scan = twin.scan(body(messages=[{"role": "user", "content": f"text {i}"} for i in range(2000)]))
    assert scan.text() == b"\n".join(b"text %d" % i for i in range(2000))
    assert scan.text(last_user=True) == b"text 1999"


def test_the_scan_keeps_its_body_alive(twin: ModuleType) -> None:
    scan = twin.scan(body(prompt="x" * 100_000 + "end"))
    assert scan.text()[-3:] == b"end"
