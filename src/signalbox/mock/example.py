"""A value that fits a JSON schema: arguments of a tool call, or an answer held to a schema."""

from __future__ import annotations

from typing import Any

from signalbox.mock.fields import Json

# A schema that contains itself would never end, in width or in depth.
MAX_VALUES = 500
MAX_DEPTH = 20
MAX_LENGTH = 1000  # of one string or array, whatever `minLength` and `minItems` ask for


def example(schema: Any) -> Any:
    """The plainest value `schema` allows, always the same for the same schema; null for what is no schema.

    Knows type, properties, items, enum, const, default, anyOf/oneOf/allOf, bounds of numbers, strings and
    arrays, and local `$ref`. Other keywords (`pattern`, `format`) are not looked at.
    """
    return _Sampler(schema).value(schema)


class _Sampler:
    """Walks one schema document; counts the values it has made, to come to an end in recursive ones."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MAX_VALUES

    def value(self, schema: Any, depth: int = 0) -> Any:
        self._left -= 1
        schema = self._flat(schema)
        if self._left < 0 or depth > MAX_DEPTH or schema is None:
            return None
        if "const" in schema:
            return schema["const"]
        if choices := _list(schema, "enum"):
            return choices[0]
        if "default" in schema:
            return schema["default"]
        if choices := _list(schema, "anyOf") or _list(schema, "oneOf"):
            return self.value(choices[0], depth + 1)
        return self._typed(schema, depth + 1)

    def _typed(self, schema: Json, depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = kind[0] if kind else "null"
        match kind:
            case "object":
                return {name: self.value(inner, depth) for name, inner in _object(schema, "properties").items()}
            case "array":
                return [self.value(schema.get("items"), depth) for _ in range(_length(schema, "minItems", 1))]
            case "string":
                text = "mock".ljust(_length(schema, "minLength", 0), "x")
                return text[: _length(schema, "maxLength", MAX_LENGTH)]
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
            case _:
                return None

    def _flat(self, schema: Any) -> Json | None:
        """`schema` with its `$ref` followed and its `allOf` joined; None when it is no object or has no end."""
        for _ in range(MAX_VALUES):
            if not isinstance(schema, dict):
                return None
            if "$ref" in schema:
                schema = self._resolve(schema["$ref"])
            elif parts := _list(schema, "allOf"):
                schema = {key: value for key, value in schema.items() if key != "allOf"}
                for part in parts:
                    part = self._resolve(part["$ref"]) if isinstance(part, dict) and "$ref" in part else part
                    if isinstance(part, dict):
                        properties = _object(schema, "properties") | _object(part, "properties")
                        schema = schema | part | ({"properties": properties} if properties else {})
            else:
                return schema
        return None

    def _resolve(self, reference: Any) -> Any:
        """What a `#/...` reference points at; None when it points nowhere or into another document."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        found = self._root
        for step in filter(None, reference[1:].split("/")):
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        return found


def _list(schema: Json, key: str) -> list[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []


def _object(schema: Json, key: str) -> Json:
    value = schema.get(key)
    return value if isinstance(value, dict) else {}


def _length(schema: Json, key: str, default: int) -> int:
    value = schema.get(key)
    return min(value, MAX_LENGTH) if isinstance(value, int) and value >= 0 else default


def _number(schema: Json) -> int | float:
    for key, above in (("minimum", 0), ("exclusiveMinimum", 1), ("maximum", 0), ("exclusiveMaximum", -1)):
        value = schema.get(key)
        if isinstance(value, int | float):
            return value + above
    return 1
