"""Values that fit a JSON schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from signalbox.mock.example import example

SCHEMAS: list[Any] = [
    {"type": "string"},
    {"type": "string", "minLength": 9},
    {"type": "string", "maxLength": 2},
    {"type": "integer", "minimum": 7},
    {"type": "number", "exclusiveMinimum": 1.5},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["integer", "null"]},
    {"enum": ["b", "a"]},
    {"const": {"x": 1}},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    {
        "allOf": [
            {"properties": {"a": {"type": "integer"}}},
            {"properties": {"b": {"type": "string"}}, "type": "object"},
        ]
    },
    {
        "type": "object",
        "properties": {"node": {"$ref": "#/$defs/Node"}},
        "required": ["node"],
        "$defs": {"Node": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}},
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_an_example_fits_its_schema(schema: Any) -> None:
    jsonschema.validate(example(schema), schema)


def test_the_parts_of_all_of_are_joined() -> None:
    assert example(SCHEMAS[12]) == {"a": 1, "b": "mock"}


def test_a_schema_that_contains_itself_many_times_comes_to_an_end() -> None:
    schema = {"type": "object", "properties": {name: {"$ref": "#"} for name in "abcde"}}
    assert len(str(example(schema))) < 100_000


@pytest.mark.parametrize("schema", [None, 5, {"$ref": "#/nowhere"}, {"$ref": "https://example.com/schema"}])
def test_what_is_no_schema_gives_null(schema: Any) -> None:
    assert example(schema) is None
