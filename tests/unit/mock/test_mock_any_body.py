"""Whatever the body, a provider answers it or refuses it; it never breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.mock.answer import compose
from signalbox.mock.app import DIALECTS
from signalbox.mock.errors import ApiError
from signalbox.mock.example import example
from signalbox.mock.fields import parse_body
from signalbox.mock.pace import Pace
from signalbox.types import Endpoint

texts = st.text(st.characters(), max_size=8)  # surrogates too: JSON can spell them
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
roles = st.sampled_from(["user", "assistant", "system", "tool"]) | json_values
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "input_text", "tool_result"]) | json_values},
    optional={"text": texts | json_values, "content": json_values},
)
messages = st.fixed_dictionaries(
    {"role": roles},
    optional={"content": texts | st.lists(parts, max_size=2) | json_values, "type": texts, "output": json_values},
)
schema_words = st.sampled_from(["object", "array", "string", "integer", "boolean", "null"])
schemas = st.recursive(
    st.fixed_dictionaries({}, optional={"type": schema_words | json_values, "minItems": json_values}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(texts, inner, max_size=2) | json_values,
            "items": inner,
            "anyOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=2) | json_values,
            "$ref": st.sampled_from(["#", "#/properties", "#/allOf"]) | json_values,
        },
    ),
    max_leaves=6,
)
tools = st.fixed_dictionaries(
    {"type": st.just("function")},
    optional={
        "name": texts | json_values,
        "parameters": schemas,
        "input_schema": schemas,
        "function": st.fixed_dictionaries({"name": texts}, optional={"parameters": schemas}) | json_values,
    },
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(messages, max_size=3) | json_values,
        "input": texts | st.lists(messages, max_size=3) | json_values,
        "prompt": texts | json_values,
        "system": json_values,
        "tools": st.lists(tools, max_size=2) | json_values,
        "tool_choice": st.just("required") | json_values,
        "max_tokens": st.integers(1, 99) | json_values,
        "n": json_values,
        "dimensions": json_values,
        "stream_options": json_values,
        "response_format": json_values,
        "text": json_values,
    },
)


@pytest.mark.parametrize("endpoint", Endpoint)
@given(bodies)
@settings(max_examples=150, deadline=None)
def test_any_body_is_answered_or_refused(endpoint: Endpoint, body: dict[str, Any]) -> None:
    dialect = DIALECTS[endpoint]
    body = parse_body(json.dumps(body).encode())
    try:
        prompt = dialect.read(body)
    except ApiError:
        return
    answer = compose(prompt, provider="alpha", model="m\ud800", pace=Pace(), serial=1, now_seconds=0)
    json.dumps(dialect.body(body, answer))
    if dialect.events is not None:
        for event in dialect.events(body, answer):
            assert event.endswith(b"\n\n")
            assert event.count(b"\n\n") == 1


@given(schemas)
@settings(max_examples=150, deadline=None)
def test_any_schema_has_an_example_of_bounded_size(schema: Any) -> None:
    assert len(json.dumps(example(schema))) < 1_000_000
