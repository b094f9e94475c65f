"""What clients send: strategies for request bodies, spelled in every way JSON allows, and for broken ones."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import strategies as st

KEYS = (
    "model", "stream", "stream_options", "messages", "input", "prompt", "system", "instructions", "tools", "functions",
    "response_format", "text", "output_format", "output_config", "max_tokens", "max_completion_tokens", "metadata",
    "models", "provider", "routing_preference", "reasoning", "thinking", "temperature", "Model",
    "MODEL", "Stream", "Stream_Options", "meſſages", "max_to\u212aens", "",
)  # fmt: skip
PART_TYPES = (
    "text", "input_text", "output_text", "image_url", "image", "input_image", "input_audio", "file", "document",
    "tool_use", "tool_result", "web_search_tool_result", "thinking", "function_call", "function_call_output",
    "computer_call_output", "message", "reasoning", "json_schema", "",
)  # fmt: skip


class Pairs(list[tuple[str, Any]]):
    """A JSON object as a list, so that a key can come twice."""


texts = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(codec=None), max_size=6),  # lone surrogates among them
    st.sampled_from(["", "a\nb", "\ud83d\ude00", "\ud83d", "\udc00x", "日本", 'quote " and \\', "x" * 40]),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts
)


def pairs_of(
    keys: st.SearchStrategy[str], values: st.SearchStrategy[Any], max_size: int = 5
) -> st.SearchStrategy[Pairs]:
    return st.lists(st.tuples(keys, values), max_size=max_size).map(Pairs)


def mostly(usual: st.SearchStrategy[Any], *, otherwise: st.SearchStrategy[Any] = scalars) -> st.SearchStrategy[Any]:
    return st.integers(0, 19).flatmap(lambda dice: otherwise if dice == 0 else usual)


anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | pairs_of(texts, inner, 3), max_leaves=6)


def parts(content: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    typed = st.builds(
        lambda kind, rest, shuffler: Pairs(shuffler.sample([("type", kind), *rest], len(rest) + 1)),
        mostly(st.sampled_from(PART_TYPES)),
        st.lists(
            st.one_of(
                st.tuples(st.just("text"), mostly(texts)),
                st.tuples(st.just("content"), content),
                st.tuples(texts, anything),
            ),
            max_size=3,
        ),
        st.randoms(use_true_random=False),
    )
    return mostly(st.one_of(typed, pairs_of(st.sampled_from(["text", "content", "source"]), texts, 2)))


contents: st.SearchStrategy[Any] = st.deferred(
    lambda: mostly(st.one_of(texts, st.none(), st.lists(parts(contents), max_size=3)))
)
messages = mostly(
    st.lists(
        st.one_of(
            st.tuples(st.just("role"), mostly(st.sampled_from(["user", "assistant", "system", "developer", "tool"]))),
            st.tuples(st.just("content"), contents),
            st.tuples(st.just("type"), mostly(st.sampled_from(PART_TYPES))),
            st.tuples(st.just("output"), contents | parts(contents)),
            st.tuples(st.just("tool_calls"), st.lists(anything, max_size=2)),
            st.tuples(st.sampled_from(["function_call", "name", "id"]), anything),
        ),
        max_size=4,
        unique_by=lambda pair: pair[0],
    ).map(Pairs)
)
formats = pairs_of(st.sampled_from(["type", "format", "name"]), st.sampled_from(PART_TYPES), 2)
members = st.one_of(
    st.tuples(st.sampled_from(["messages", "input"]), mostly(st.lists(messages, max_size=4))),
    st.tuples(st.sampled_from(["input", "prompt"]), texts | st.lists(texts | st.integers() | st.lists(st.integers()))),
    st.tuples(st.sampled_from(["system", "instructions"]), contents),
    st.tuples(st.just("stream"), mostly(st.booleans())),
    st.tuples(
        st.just("stream_options"),
        mostly(pairs_of(st.sampled_from(["include_usage", "Include_Usage", "x"]), scalars, 2)),
    ),
    st.tuples(st.sampled_from(["tools", "functions"]), st.lists(anything, max_size=2)),
    st.tuples(st.sampled_from(["response_format", "output_format"]), formats),
    st.tuples(st.sampled_from(["text", "output_config"]), pairs_of(st.just("format"), formats, 1)),
    st.tuples(st.sampled_from(["max_tokens", "max_completion_tokens", "max_output_tokens"]), scalars),
    st.tuples(st.sampled_from(KEYS) | texts, anything),
)


def distinct_keys(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return list(dict(pairs).items())


@st.composite
def requests(draw: st.DrawFn) -> Pairs:
    """A request as `Pairs`: usually well-formed, sometimes with a wrong type or a key given twice."""
    body = draw(st.lists(members, max_size=6))
    if draw(st.integers(0, 9)):
        body = distinct_keys([pair for pair in body if pair[0] != "model"])
        model = draw(mostly(st.sampled_from(["auto", "m/é", "\ud83d"])))
        body.insert(draw(st.integers(0, len(body))), ("model", model))
    return Pairs(body)


def spell(value: Any, dice: random.Random) -> str:
    """Write a value as JSON with the white space and escapes the dice choose."""

    def space() -> str:
        return "".join(dice.choices(" \t\n\r", k=dice.randint(1, 3))) if dice.random() < 0.2 else ""

    def string(text: str) -> str:
        out = []
        for character in text:
            if character in '"\\' or character < " " or "\ud800" <= character <= "\udfff":
                out.append(json.dumps(character)[1:-1])
            elif dice.random() < 0.1:
                units = character.encode("utf-16-be")
                code = "".join(f"\\u{int.from_bytes(units[i : i + 2], 'big'):04x}" for i in range(0, len(units), 2))
                out.append(code if dice.random() < 0.5 else code.upper().replace("\\U", "\\u"))
            else:
                out.append(character)
        return '"' + "".join(out) + '"'

    if isinstance(value, Pairs):
        inner = ",".join(
            f"{space()}{string(key)}{space()}:{space()}{spell(item, dice)}{space()}" for key, item in value
        )
        return "{" + (inner or space()) + "}"
    if isinstance(value, list):
        return "[" + (",".join(space() + spell(item, dice) + space() for item in value) or space()) + "]"
    return string(value) if isinstance(value, str) else json.dumps(value)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """The bytes of a request, valid JSON."""
    return spell(draw(requests()), draw(st.randoms(use_true_random=False))).encode()


BREAKAGE = (
    b"", b'"', b"\\", b"\\u", b"\\ud8", b",", b":", b"{", b"}", b"[", b"]", b"0", b"-", b".", b"e", b"\x00", b"\n",
    b" ", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff", b"\xef\xbb\xbf",
    b"nul", b"NaN", b"01", b"1e999", b"/**/",
)  # fmt: skip


@st.composite
def mutated_bodies(draw: st.DrawFn) -> bytes:
    """A body with a few bytes replaced, cut off, doubled or thrown in: usually not JSON any more."""
    body = draw(bodies())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.sampled_from([0, 0, 1, 1, 2, 5, 10**6])))
        piece = draw(st.sampled_from(BREAKAGE) | st.binary(max_size=3) | st.just(body[start:end] * 2))
        body = body[:start] + piece + body[end:]
    return body
