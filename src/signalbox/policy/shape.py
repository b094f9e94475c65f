"""The shape of a policy: each value by itself, checked by the schema and reported in plain words.

Pydantic does the checking; this module turns what it says into problems with a line, the value found,
what would be right and how to get there. What needs two places of the file is in `references` and `facts`.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from signalbox.errors import Problem
from signalbox.policy.base import Section
from signalbox.policy.document import Document
from signalbox.policy.schema import Policy
from signalbox.policy.wording import Loc, joined, kind_of, listed, mask, nearest, quoted, shown

PATTERN_WORDS = {
    r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$": "up to 128 letters, digits and . _ : / @ -, the first a letter or digit",
    r"^[a-z0-9][a-z0-9_-]{0,62}$": "up to 63 lower-case letters, digits, _ and -, the first a letter or digit",
    r"^[a-z0-9][a-z0-9-]{0,63}$": "a header name: up to 64 lower-case letters, digits and -",
    r"^[\x20-\x7e]+$": "printable ASCII",
    r"^/[\x21-\x7e]*$": "a path that starts with /, without spaces",
    r"^[A-Za-z0-9:_-]{1,64}$": "up to 64 letters, digits and : _ -",
    r"^[a-zA-Z_][a-zA-Z0-9_]*$": "a label name: letters, digits and _, the first no digit",
    r"^[A-Za-z0-9_.-]{1,64}$": "up to 64 letters, digits and _ . -",
}
"""What each pattern of the schema asks for. A test holds this against the schema."""

_KEY_EXAMPLE = "a mapping such as {file: /etc/signalbox/keys/openai}"
_KEY_FIX = "keys are read from files: put the key into a file and name it here; revoke a key that was in a policy"
_TYPE_WORDS = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
_TYPE_ERRORS = frozenset(_TYPE_WORDS)


def validated(document: Document) -> tuple[Policy | None, list[Problem]]:
    """The policy, or None and every reason why the schema refuses the document."""
    policy, errors = _validate(document.data)
    return policy, [_problem(document, loc, error, arms) for loc, error, arms in _by_place(document.data, errors)]


def _validate(data: Mapping[str, Any]) -> tuple[Policy | None, list[ErrorDetails]]:
    try:
        # By way of JSON, because pydantic's strict mode then takes lists for tuples and text for enums, as
        # a policy writes them, and still refuses "10000" for a number and 1 for true, as JSON Schema does.
        return Policy.model_validate_json(json.dumps(data), strict=True), []
    except ValidationError as problem:
        return None, problem.errors(include_url=False)


def _by_place(data: Any, errors: list[ErrorDetails]) -> Iterator[tuple[Loc, ErrorDetails, list[ErrorDetails]]]:
    """Errors with their places in the document: one for each mistake, where pydantic has one per union arm.

    Yields (place, the error, other arms' errors that say the same of another type).
    """
    unions: dict[Loc, list[tuple[Loc, ErrorDetails]]] = {}
    for error in errors:
        loc, union = _place(data, error["loc"], is_missing=error["type"] == "missing")
        if union is None:
            yield loc, error, []
        else:
            unions.setdefault(union, []).append((loc, error))
    for union, arms in unions.items():
        # The arm the author meant is the one that got further than "this is another type".
        meant = [(loc, error) for loc, error in arms if loc != union or error["type"] not in _TYPE_ERRORS]
        if meant:
            yield from ((loc, error, []) for loc, error in meant)
        else:
            yield union, arms[0][1], [error for _, error in arms[1:]]


def _place(data: Any, loc: Loc, *, is_missing: bool) -> tuple[Loc, Loc | None]:
    """Pydantic's location without what is not in the document, and where a union arm was named in it."""
    place: Loc = ()
    union: Loc | None = None
    for index, part in enumerate(loc):
        if part == "[key]":
            break
        is_known = isinstance(data, dict) and (part in data or (is_missing and index == len(loc) - 1))
        if is_known and isinstance(part, str):
            data, place = data.get(part), (*place, part)
        elif isinstance(data, list) and isinstance(part, int):
            data, place = data[part], (*place, part)
        else:
            union = place
    return place, union


def _problem(document: Document, loc: Loc, error: ErrorDetails, arms: list[ErrorDetails]) -> Problem:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if error["loc"] and error["loc"][-1] == "[key]":
        found, expected, fix = _bad_key(str(value), kind, context)
    elif kind == "missing":
        found = f"{quoted(str(loc[-1]))} is missing"
        expected, fix = _description(loc), f"add {loc[-1]}"
    elif kind == "extra_forbidden":
        found, expected, fix = _unknown_key(loc)
    elif _is_secret_place(loc):
        found = f"{kind_of(value)} (not shown)"
        expected, fix = (_KEY_EXAMPLE, _KEY_FIX) if loc[-1] == "key" else (_expected(kind, context, loc), "")
    elif kind == "value_error":
        message = mask(str(context["error"])).removeprefix("expected ")
        # The check of a whole mapping says what is wrong; that of one value says what would be right.
        found, expected, fix = (message, "", "") if isinstance(value, dict) else (shown(value), message, "")
    elif kind in _TYPE_ERRORS:
        kinds = sorted((arm["type"] for arm in (error, *arms)), key=lambda arm: arm == "bool_type")
        expected = joined([_expected(arm, {}, loc) for arm in kinds])
        found, fix = _wrong_type(document, loc, value, kind)
    else:
        found = f"an empty {kind_of(value).removeprefix('a ')}" if kind == "too_short" else shown(value)
        expected, fix = _expected(kind, context, loc), _fix(kind, context, value)
    return document.problem(loc, found, expected, fix)


def _bad_key(name: str, kind: str, context: Mapping[str, Any]) -> tuple[str, str, str]:
    found = f"the name {quoted(name)} cannot be used"
    if kind == "literal_error":
        allowed = _choices(context)
        close = nearest(name, allowed)
        return found, f"one of {listed(allowed)}", f"did you mean {quoted(close)}?" if close else ""
    pattern = str(context.get("pattern", ""))
    better = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    is_better = pattern and better != name and re.search(pattern, better)
    return found, _expected(kind, context, ()), f"write {quoted(better)}" if is_better else ""


def _unknown_key(loc: Loc) -> tuple[str, str, str]:
    section = section_at(loc[:-1])
    known = sorted(section.model_fields) if section else []
    name = str(loc[-1])
    close = nearest(name, known)
    if section is not None and "file" in known and loc[-2:-1] == ("key",):
        return f"unknown key {quoted(name)}", f"known keys: {', '.join(known)}", _KEY_FIX
    fix = f"did you mean {quoted(close)}? otherwise remove it" if close else "remove it, or move it where it belongs"
    return f"unknown key {quoted(name)}", f"known keys: {', '.join(known)}", fix


def _wrong_type(document: Document, loc: Loc, value: Any, kind: str) -> tuple[str, str]:
    """What was found instead of the right type, and the way out."""
    if isinstance(value, str):
        if kind in ("tuple_type", "model_type", "dict_type"):
            return f"text: {quoted(value)}", f"put it in brackets: [{mask(value)}]" if kind == "tuple_type" else ""
        return shown(value), "write a bare number, such as 1000" if kind != "bool_type" else ""
    spelling = document.spelling.get(loc, "")
    if value is None and not (spelling and kind == "string_type"):
        return "nothing", "give it a value, or remove the key"
    is_respelled = spelling and spelling != shown(value)
    found = f"{quoted(spelling)}, which YAML reads as {shown(value)}" if is_respelled else shown(value)
    return found, f"quote it: {quoted(spelling)}" if spelling and kind == "string_type" else ""


def _expected(kind: str, context: Mapping[str, Any], loc: Loc) -> str:
    """What would be right, in words. `context` is pydantic's."""
    if kind == "model_type":
        section = section_at(loc)
        return f"a mapping with the keys {listed(section.model_fields)}" if section else "a mapping"
    if kind in _TYPE_WORDS:
        return _TYPE_WORDS[kind]
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return PATTERN_WORDS.get(pattern, f"text that matches {pattern}")
    if kind in ("literal_error", "enum"):
        choices = _choices(context)
        return f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    bounds = {
        "string_too_short": ("min_length", "{} character or more"),
        "string_too_long": ("max_length", "at most {} characters"),
        "too_short": ("min_length", "{} entry or more"),
        "greater_than": ("gt", "more than {}"),
        "greater_than_equal": ("ge", "at least {}"),
        "less_than": ("lt", "less than {}"),
        "less_than_equal": ("le", "at most {}"),
    }
    if kind in bounds:
        name, words = bounds[kind]
        bound = context[name]
        return words.format(int(bound) if float(bound).is_integer() else bound)
    return kind.replace("_", " ")


def _fix(kind: str, context: Mapping[str, Any], value: Any) -> str:
    if kind in ("literal_error", "enum") and isinstance(value, str):
        close = nearest(value, _choices(context))
        return f"did you mean {quoted(close)}?" if close else ""
    return ""


def _choices(context: Mapping[str, Any]) -> list[str]:
    """Values of an enum or literal, out of pydantic's `'a', 'b' or 'c'`."""
    text = str(context["expected"])
    return re.findall(r"'([^']*)'", text) or [text]


def _is_secret_place(loc: Loc) -> bool:
    """A place where a pasted key is likely: a provider's `key` and `headers`."""
    return len(loc) >= 3 and loc[0] == "providers" and loc[2] in ("key", "headers")


def _description(loc: Loc) -> str:
    section = section_at(loc[:-1])
    info = section.model_fields.get(str(loc[-1])) if section else None
    return (info.description or "") if info else ""


def section_at(loc: Loc) -> type[Section] | None:
    """The section of the schema that describes the mapping at a place, if the schema knows the place."""
    kind: Any = Policy
    for part in loc:
        kind = _inside(kind, part)
    return _as_section(kind)


def _inside(kind: Any, part: str | int) -> Any:
    section = _as_section(kind)
    if section is not None:
        info = section.model_fields.get(str(part))
        return info.annotation if info else None
    for arm in _arms(kind):
        if get_origin(arm) is dict:
            return get_args(arm)[1]
        if get_origin(arm) is tuple:
            return get_args(arm)[0]
    return None


def _as_section(kind: Any) -> type[Section] | None:
    return next((arm for arm in _arms(kind) if isinstance(arm, type) and issubclass(arm, Section)), None)


def _arms(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a type, without Annotated and None."""
    if get_origin(kind) is Annotated:
        return _arms(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(arm for part in get_args(kind) for arm in _arms(part) if arm is not type(None))
    return (kind,)
