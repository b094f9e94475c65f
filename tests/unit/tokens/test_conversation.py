"""Texts taken from the scan make the same conversation as a body that Python's reader reads whole."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.core import scan
from signalbox.errors import RequestError
from signalbox.tokens import conversation
from signalbox.tokens.images import Image
from signalbox.types import Endpoint
from tests.core.bodies import bodies
from tests.unit.tokens.bodies import TOOL, image_part, png
from tests.unit.tokens.texts import TEXTS

LONE = re.compile(r"\\ud[89a-f][0-9a-f]{2}")


def conversation_of(body: bytes, endpoint: Endpoint, *, worthwhile_bytes: int, lifted_bytes: int = 0) -> str:
    """Everything about a conversation, as text; lone surrogates as the scanner writes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation, "WORTHWHILE_BYTES", worthwhile_bytes)
        patch.setattr(conversation, "LIFTED_BYTES", lifted_bytes)
        found = conversation.read_conversation(body, scan(body), endpoint)
    return LONE.sub("\ufffd", repr((found.messages, found.prompts, found.tools, found.images, sorted(found.doubts))))


def whole(body: bytes, endpoint: Endpoint) -> str:
    """The same, read by Python alone."""
    return conversation_of(body, endpoint, worthwhile_bytes=2**40, lifted_bytes=2**40)


@given(bodies(), st.sampled_from(list(Endpoint)), st.integers(0, 8))
@settings(max_examples=600, deadline=None)
def test_any_body_reads_the_same_with_its_texts_taken_from_the_scan(
    body: bytes, endpoint: Endpoint, lifted_bytes: int
) -> None:
    try:
        scan(body)
    except RequestError:
        return
    try:
        expected = whole(body, endpoint)
    except ValueError:
        return  # a number of thousands of digits
    assert conversation_of(body, endpoint, worthwhile_bytes=0, lifted_bytes=lifted_bytes) == expected


chats = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "NaN"]),
            "content": st.one_of(
                st.sampled_from([*TEXTS.values(), "NaN", "-NaN,Infinity", '"NaN"', "\\" * 70, "x" * 3000]),
                st.text(max_size=200),
                st.lists(
                    st.one_of(
                        st.text(max_size=90).map(lambda text: {"type": "text", "text": text}),
                        st.sampled_from([image_part(png(640, 480)), {"type": "image_url", "image_url": "NaN"}]),
                        st.text(max_size=90).map(lambda text: {"type": "tool_result", "content": text}),
                    ),
                    max_size=4,
                ),
            ),
        },
        optional={"name": st.text(max_size=80), "refusal": st.text(max_size=80)},
    ),
    max_size=6,
)


@given(chats, st.booleans(), st.sampled_from([Endpoint.CHAT_COMPLETIONS, Endpoint.MESSAGES]))
@settings(max_examples=300, deadline=None)
def test_any_chat_reads_the_same_with_its_texts_taken_from_the_scan(
    messages: Any, as_ascii: bool, endpoint: Endpoint
) -> None:
    body = json.dumps({"model": "m", "messages": messages, "tools": [TOOL]}, ensure_ascii=as_ascii)
    raw = body.encode("utf-8", "replace")
    assert conversation_of(raw, endpoint, worthwhile_bytes=0, lifted_bytes=64) == whole(raw, endpoint)


def test_a_long_text_beside_an_image_stays_whole_and_the_image_keeps_its_size() -> None:
    letters = "QUJD" * 100_000
    content = [{"type": "text", "text": letters}, image_part(png(640, 480) + bytes(400_000))]
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()
    found = conversation.read_conversation(body, scan(body), Endpoint.CHAT_COMPLETIONS)
    assert found.messages[0].text == letters
    assert found.images == [Image(640, 480)]
