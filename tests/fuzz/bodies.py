"""Bodies nobody should send: every dialect, with any member of the wrong type, and bytes changed at random."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import strategies as st

from signalbox.types import Endpoint

WORDS = [
    *(
        "please ",
        "fix the bug in ",
        "a",
        " ",
        "\n",
        "\x00",
        "\\",
        '"',
        "…",
        "\n…\n",
        "漢",
        "ﷺ",
        "e\u0301",
        "👩‍💻",
        "\u202e",
    ),
    *("\ud800", "\udc00", "<system-reminder>", "</system-reminder>", "<user_query>", "</user_query>", "<task/>"),
    *("# AGENTS.md instructions\n\n<INSTRUCTIONS>", "</INSTRUCTIONS>", "[Request interrupted by user]", "<|im_start|>"),
    *("</think>", "```", "SELECT ", "data:image/png;base64,"),
]
HEADERS = [
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\4\0\0\0\3\0",
    b"GIF89a\1\0\2\0",
    b"\xff\xd8\xff\xe0\0\4ab\xff\xc0\0\x11\x08\0\x10\0\x20",
    b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\xff\1\0\xff\0\0",
    b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x40\1\xf0\0",
    b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\xff\xc0\x3b\0",
    b"",
]

words = st.sampled_from(WORDS) | st.text(max_size=4)
runs = st.tuples(words, st.sampled_from([1, 1, 1, 2, 7, 60, 500])).map(lambda pair: pair[0] * pair[1])
texts = st.lists(runs, max_size=5).map("".join)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)


def mostly(wanted: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """`wanted`, and now and then something of any type."""
    return st.integers(0, 9).flatmap(lambda die: anything if die == 0 else wanted)


def members(wanted: dict[str, Any], /, **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of these members, each mostly as it should be."""
    return st.fixed_dictionaries(
        {name: mostly(value) for name, value in wanted.items()},
        optional={name: mostly(value) for name, value in optional.items()},
    )


def kind(name: str) -> st.SearchStrategy[str]:
    return st.just(name)


images = st.tuples(st.sampled_from(HEADERS), st.binary(max_size=24)).map(lambda pair: base64.b64encode(b"".join(pair)))
links = images.map(lambda data: f"data:image/png;base64,{data.decode()}") | words
parts = st.one_of(
    members({"type": st.sampled_from(["text", "input_text", "output_text"]), "text": texts}),
    members({"type": kind("image_url"), "image_url": links | members({"url": links}, detail=words)}),
    members({"type": kind("image"), "source": members({"type": kind("base64"), "data": images.map(bytes.decode)})}),
    members({"type": kind("input_audio"), "input_audio": members({"data": words, "format": words})}),
    members({"type": kind("file"), "file": members({"file_data": words}, filename=words)}),
    members({"type": kind("tool_result"), "content": texts | st.lists(members({"text": texts}), max_size=2)}),
    members({"type": kind("tool_use"), "name": words, "input": anything}),
    anything,
)
contents = texts | st.lists(parts, max_size=4)
calls = st.lists(
    members({"id": words, "function": members({"name": words, "arguments": words | anything})}), max_size=3
)
roles = st.sampled_from(["system", "developer", "user", "user", "assistant", "tool", "function", "narrator", ""])
turns = members(
    {"role": roles, "content": contents},
    name=words,
    tool_calls=calls,
    function_call=members({"name": words, "arguments": words}),
    refusal=words,
    type=st.sampled_from(["message", "function_call", "function_call_output"]),
    output=texts,
    arguments=words,
)
schemas = st.recursive(
    members({"type": st.sampled_from(["string", "object", "array"])}, enum=st.lists(scalars, max_size=3)),
    lambda inner: members(
        {"type": st.sampled_from(["object", "array"])},
        properties=st.dictionaries(words, mostly(inner), max_size=3),
        items=inner,
        required=st.lists(words, max_size=2),
        description=words,
    ),
    max_leaves=4,
)
tools = members(
    {"type": kind("function")},
    function=members({"name": words}, description=words, parameters=schemas),
    name=words,
    input_schema=schemas,
)
history = st.lists(mostly(turns), max_size=6)
INPUTS: dict[Endpoint, dict[str, Any]] = {
    Endpoint.CHAT_COMPLETIONS: {"messages": history},
    Endpoint.MESSAGES: {"messages": history, "system": contents},
    Endpoint.RESPONSES: {"input": texts | history, "instructions": texts},
    Endpoint.COMPLETIONS: {"prompt": texts | st.lists(texts | st.integers(0, 9), max_size=3)},
    Endpoint.EMBEDDINGS: {"input": texts | st.lists(texts, max_size=3)},
}


def bodies(endpoint: Endpoint) -> st.SearchStrategy[bytes]:
    """A body for one endpoint, as JSON with or without escapes."""
    body = members(
        {"model": kind("auto"), **INPUTS[endpoint]},
        tools=st.lists(mostly(tools), max_size=2),
        functions=st.lists(tools, max_size=1),
        stream=st.booleans(),
        stream_options=anything,
        max_tokens=st.integers(-1, 10**20),
        response_format=members({"type": kind("json_schema"), "json_schema": anything}),
        reasoning=anything,
        modalities=anything,
        routing_preference=words,
        metadata=anything,
        previous_response_id=words,
    )
    return st.tuples(body, st.booleans()).map(lambda pair: encoded(*pair))


def encoded(body: Any, ascii_only: bool) -> bytes:
    """JSON as clients write it. Lone surrogates have no UTF-8, so a body that holds one is written with escapes."""
    text = json.dumps(body, ensure_ascii=ascii_only)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(body).encode()


requests = st.sampled_from(list(Endpoint)).flatmap(lambda endpoint: st.tuples(st.just(endpoint), bodies(endpoint)))


def mutated(seeds: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes with up to four places changed: some taken out there, others put in."""
    edit = st.tuples(st.integers(0, 2000), st.integers(0, 4), st.binary(max_size=4))
    return st.tuples(seeds, st.lists(edit, max_size=4)).map(lambda pair: _edited(*pair))


def _edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, taken, put in edits:
        at %= len(data) + 1
        data = data[:at] + put + data[at + taken :]
    return data
