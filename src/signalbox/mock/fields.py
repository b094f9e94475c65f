"""Reads members of a request body and refuses wrong types, in the words OpenAI's API uses.

A gateway that damages a body shows up here as a 400 instead of as a strange answer. Messages name
members and JSON types, never values: a value may be a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from signalbox.mock.errors import ApiError

Json = dict[str, Any]

JSON_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
MAX_CHOICES = 128  # OpenAI's own limit on `n`


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def parse_body(body: bytes) -> Json:
    """The body as an object. Raises ApiError(400) unless it is one, in strict UTF-8 JSON without a BOM."""
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as problem:
        raise ApiError(400, f"The request body is not UTF-8 at byte {problem.start}.", code="invalid_json") from None
    except json.JSONDecodeError as problem:
        where = f"character {problem.pos} of {len(problem.doc)}"
        raise ApiError(400, f"The request body is not JSON: {problem.msg}, {where}.", code="invalid_json") from None
    except ValueError as problem:  # a constant above, or an integer with thousands of digits
        raise ApiError(400, f"The request body is not JSON: {problem}.", code="invalid_json") from None
    except RecursionError:
        raise ApiError(400, "The request body is nested too deeply.", code="invalid_json") from None
    if not isinstance(document, dict):
        raise ApiError(400, f"The request body is {_kind(document)}; expected an object.", code="invalid_json")
    return document


def required_text(body: Json, name: str) -> str:
    value = _required(body, name)
    if not isinstance(value, str):
        raise _wrong_type(name, "a string", value)
    if not value:
        raise ApiError(400, f"Invalid '{name}': empty string.", code="empty_string", param=name)
    return value


def required_list(body: Json, name: str) -> list[Any]:
    value = _required(body, name)
    if not isinstance(value, list):
        raise _wrong_type(name, "an array", value)
    if not value:
        raise ApiError(400, f"Invalid '{name}': empty array.", code="empty_array", param=name)
    return value


def optional_list(body: Json, name: str) -> list[Any]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong_type(name, "an array", value)
    return value


def optional_object(body: Json, name: str) -> Json:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong_type(name, "an object", value)
    return value


def optional_flag(body: Json, name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong_type(name, "a boolean", value)
    return value


def optional_count(body: Json, name: str, *, at_most: int | None = None) -> int | None:
    """A whole number of at least 1, or None when it is not given."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(name, "an integer", value)
    if value < 1 or (at_most is not None and value > at_most):
        expected = "at least 1" if at_most is None else f"1 to {at_most}"
        raise ApiError(400, f"Invalid '{name}': expected {expected}.", code="invalid_value", param=name)
    return value


def objects(values: list[Any], name: str) -> Iterator[tuple[str, Json]]:
    """Each entry of a list with its path; raises ApiError(400) at one that is no object."""
    for index, value in enumerate(values):
        path = f"{name}[{index}]"
        if not isinstance(value, dict):
            raise _wrong_type(path, "an object", value)
        yield path, value


def check_role(message: Json, path: str, roles: frozenset[str]) -> None:
    """Raises ApiError(400), with the roles there are, unless `message` has one of them."""
    role = message.get("role")
    if not isinstance(role, str) or role not in roles:
        where = f"{path}.role"
        raise ApiError(400, f"Invalid '{where}': expected one of {', '.join(sorted(roles))}.", param=where)


def content_texts(content: Any, path: str, *, nested: bool = True) -> Iterator[str]:
    """Texts of one message's content: a string, a list of parts, or null.

    nested: also the text inside tool results, which is part of the prompt but not said by the user.
    Raises ApiError(400) where a part is no object with a `type`.
    """
    if content is None:
        return
    if isinstance(content, str):
        yield content
        return
    if not isinstance(content, list):
        raise _wrong_type(path, "a string or an array", content)
    for part_path, part in objects(content, path):
        if not isinstance(part.get("type"), str):
            raise ApiError(400, f"Missing required parameter: '{part_path}.type'.", param=f"{part_path}.type")
        text = part.get("text")
        if isinstance(text, str):
            yield text
        elif nested and "content" in part:
            yield from content_texts(part["content"], f"{part_path}.content")


def reject_stream_options_without_stream(body: Json) -> None:
    """OpenAI answers 400 to `stream_options` in a request that does not stream."""
    if body.get("stream_options") is not None and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise ApiError(400, message, param="stream_options")
    optional_object(body, "stream_options")


def _required(body: Json, name: str) -> Any:
    value = body.get(name)
    if value is None:
        raise ApiError(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
    return value


def _wrong_type(name: str, expected: str, value: Any) -> ApiError:
    message = f"Invalid type for '{name}': expected {expected}, but got {_kind(value)} instead."
    return ApiError(400, message, code="invalid_type", param=name)


def _kind(value: Any) -> str:
    name = JSON_TYPES.get(type(value), "null")
    return f"an {name}" if name[0] in "aeiou" else name if name == "null" else f"a {name}"
