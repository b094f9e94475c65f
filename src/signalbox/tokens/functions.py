"""Tool definitions as OpenAI's models are believed to read them: a TypeScript namespace.

OpenAI does not publish this; the form is the community's, found by asking models to repeat it and by comparing with
reported usage. Counts that contain it are marked `estimated`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any


def namespace(tools: Sequence[dict[str, Any]]) -> str:
    """Return the namespace text of tool definitions; entries that define no function are written as JSON."""
    lines = ["namespace functions {", ""]
    for tool in tools:
        function = tool.get("function") if isinstance(tool.get("function"), dict) else tool
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            lines += [json.dumps(tool, ensure_ascii=False), ""]
            continue
        schema = function.get("parameters") or function.get("input_schema")
        if isinstance(function.get("description"), str):
            lines.append(f"// {function['description']}")
        members = list(_members(schema, 0)) if isinstance(schema, dict) else []
        lines += (
            [f"type {function['name']} = (_: {{", *members, "}) => any;", ""]
            if members
            else [f"type {function['name']} = () => any;", ""]
        )
    return "\n".join([*lines, "} // namespace functions"])


def _members(schema: dict[str, Any], depth: int) -> Iterator[str]:
    properties = schema.get("properties")
    required = schema.get("required")
    for name, value in properties.items() if isinstance(properties, dict) else ():
        value = value if isinstance(value, dict) else {}
        if isinstance(value.get("description"), str) and depth < 2:
            yield f"// {value['description']}"
        mark = "" if isinstance(required, list) and name in required else "?"
        yield f"{' ' * depth}{name}{mark}: {_type(value, depth)},"


def _type(schema: dict[str, Any], depth: int) -> str:
    kind, values = schema.get("type"), schema.get("enum")
    if isinstance(values, list) and values:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
    if kind == "array":
        items = schema.get("items")
        return f"{_type(items, depth)}[]" if isinstance(items, dict) else "any[]"
    if kind == "object":
        return "\n".join(["{", *_members(schema, depth + 2), "}"])
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": one}, depth) for one in kind)
    return {"integer": "number"}.get(str(kind), str(kind)) if kind else "any"
