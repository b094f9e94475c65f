"""What nobody should send and somebody will: each is either refused with the place, or read for what it is."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from signalbox import core
from signalbox.errors import RequestError
from signalbox.features.extract import extract
from signalbox.features.vocabulary import WORD_CLASSES
from signalbox.types import Endpoint, Features, ParsedRequest


def body_of(content: Any, **members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **members}).encode()


def features_of(body: bytes) -> Features:
    return extract(ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, core.scan(body), {}))


@pytest.mark.parametrize("wrong", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"])
def test_invalid_utf8_is_refused_wherever_it_stands(twin: ModuleType, wrong: bytes) -> None:
    for place in (b'{"model":"m","x":"%b"}', b'{"model":"m","%b":1}', b'{"model":"m","messages":[{"content":"a%bb"}]}'):
        with pytest.raises(RequestError, match=f"not valid UTF-8 at byte {place.index(b'%')}"):
            twin.scan(place.replace(b"%b", wrong))


def test_lone_surrogates_are_read_as_replacement_characters(twin: ModuleType) -> None:
    found = twin.scan(rb'{"model":"m","messages":[{"role":"user","content":"a\ud800b\udc00"}]}')
    assert found.text() == "a\ufffdb\ufffd".encode()


def test_a_nul_may_be_escaped_and_not_raw(twin: ModuleType) -> None:
    assert twin.scan(rb'{"model":"m","prompt":"a\u0000b"}').text() == b"a\x00b"
    with pytest.raises(RequestError, match="unescaped control character"):
        twin.scan(b'{"model":"m","prompt":"a\x00b"}')
    with pytest.raises(RequestError, match="something follows"):
        twin.scan(b'{"model":"m"}\x00')


def test_bidi_controls_and_other_invisible_characters_go_through_and_are_no_letters() -> None:
    text = "\u202eevil\u202c \u2066x\u2069 \u200b\u200d"
    found = features_of(body_of(text))
    assert found.scripts == (("latin", 1.0),)
    assert found.words == 2


def test_ten_thousand_messages_are_counted() -> None:
    turns = [{"role": "assistant" if n % 2 else "user", "content": f"turn {n}"} for n in range(10_000)]
    found = features_of(json.dumps({"model": "m", "messages": turns}).encode())
    assert (found.messages, found.turns, found.assistant_messages, found.numbers) == (10_000, 5_000, 5_000, 1)


def test_ten_megabytes_of_base64_are_one_image() -> None:
    url = "data:image/png;base64," + "iVBORw0KGgo+" * (10 * 2**20 // 12)
    found = features_of(body_of([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what?"}]))
    assert (found.images, found.text_bytes, found.words) == (1, 5, 1)
    assert found.image_bytes == len(url) + len('{"type": "image_url", "image_url": {"url": ""}}')
    assert found.prompt_tokens < 2_000


@pytest.mark.parametrize("depth", [1, 50, 120])
def test_content_parts_inside_each_other_are_read_one_level_deep(twin: ModuleType, depth: int) -> None:
    part: Any = {"type": "text", "text": "innermost"}
    for _ in range(depth // 2):
        part = {"type": "tool_result", "content": [part]}
    found = twin.scan(body_of([part, {"type": "text", "text": "outer"}]))
    assert found.text() == (b"outer" if depth > 3 else b"innermost\nouter")


def test_content_parts_too_deep_to_read_are_refused(twin: ModuleType) -> None:
    body = b'{"model":"m","messages":[{"content":' + b'[{"type":"tool_result","content":' * 200
    with pytest.raises(RequestError, match="nested too deeply"):
        twin.scan(body)


def test_unknown_part_types_are_passed_over_with_everything_in_them(twin: ModuleType) -> None:
    parts = [{"type": "hologram", "text": "not for us", "content": [{"text": {}}]}, {"type": "text", "text": "for us"}]
    found = twin.scan(body_of(parts))
    assert (found.text(), found.images + found.audio + found.files) == (b"for us", 0)


@pytest.mark.parametrize("content", [None, "", [], [{"type": "text", "text": None}], [{"type": "text"}], [""], [{}]])
def test_content_may_be_null_empty_or_missing(twin: ModuleType, content: Any) -> None:
    found = twin.scan(body_of(content))
    assert (found.messages, found.turns, found.text()) == (1, 1, b"")
    assert twin.surface(found, twin.Lexicon(WORD_CLASSES)).words == 0


def test_string_and_parts_say_the_same(twin: ModuleType) -> None:
    as_string, as_part = twin.scan(body_of("hi there")), twin.scan(body_of([{"type": "text", "text": "hi there"}]))
    assert as_string.text() == as_part.text() == b"hi there"
    assert as_string.roles == as_part.roles == (0, 1, 0, 0, 0)


@pytest.mark.parametrize("content", [5, True, {"text": "hi"}, [5], [None], [[]]])
def test_content_of_another_type_is_refused(twin: ModuleType, content: Any) -> None:
    with pytest.raises(RequestError) as refused:
        twin.scan(body_of(content))
    assert (refused.value.status, refused.value.code) == (400, "invalid_request")


def test_tools_with_huge_schemas_cost_tokens_and_nothing_else() -> None:
    schema = {
        "type": "object",
        "properties": {f"field_{n}": {"type": "string", "enum": ["a"] * 20} for n in range(9000)},
    }
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    body = body_of("hi", tools=tools)
    found = features_of(body)
    assert len(body) > 10**6
    assert (found.tools, found.words, found.text_bytes) == (1, 1, 2)
    assert found.prompt_tokens > 10**5


@pytest.mark.parametrize("limit", ["100", "1e3", -5, 1.5, True, None, [], {}])
def test_a_limit_that_is_no_plain_number_limits_nothing(twin: ModuleType, limit: Any) -> None:
    assert twin.scan(body_of("hi", max_tokens=limit)).max_output_tokens is None


def test_a_number_too_large_for_anything_is_the_largest_there_is(twin: ModuleType) -> None:
    assert twin.scan(b'{"model":"m","max_tokens":' + b"9" * 5000 + b"}").max_output_tokens == 2**31 - 1
