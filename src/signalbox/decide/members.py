"""Values of body members that speak to us: `models`, `provider`, `routing_preference`, `metadata`."""

from __future__ import annotations

import json
from typing import Any

from signalbox.errors import RequestError
from signalbox.types import ParsedRequest, Refusal

OWN_MEMBERS = frozenset({"models", "provider", "routing_preference", "routing_preferences"})
"""Members that are ours; removed before a provider sees the body. `metadata` is the provider's too."""

MAX_MEMBER_BYTES = 64 * 1024  # OpenAI's metadata ends below 10 KiB; parsing more would hold up everyone else


class UnreadableMember(ValueError):
    """A member that is too large or that Python cannot hold, such as a number of 5,000 digits."""


def read_member(request: ParsedRequest, name: str) -> Any:
    """Return the parsed value of a top-level member; None when it is absent or null.

    Raises UnreadableMember when it is over `MAX_MEMBER_BYTES` or cannot be parsed.
    """
    span = request.scan.members.get(name)
    if span is None:
        return None
    start, end = span
    if end - start > MAX_MEMBER_BYTES:
        raise UnreadableMember(f"{name} has {end - start} bytes, more than {MAX_MEMBER_BYTES}")
    try:
        return json.loads(bytes(request.body[start:end]))
    except (ValueError, RecursionError) as problem:
        raise UnreadableMember(f"{name} cannot be read") from problem


def read_own_member(request: ParsedRequest, name: str) -> Any:
    """Like `read_member`, for members only we read: one that cannot be read is the client's mistake."""
    try:
        return read_member(request, name)
    except UnreadableMember as problem:
        raise RequestError(str(problem), code=Refusal.INVALID_REQUEST) from problem


def read_name_list(value: Any, what: str) -> tuple[str, ...] | None:
    """Return a JSON list of strings as a tuple; None stands for absent.

    Raises RequestError when it is anything else; the message names `what` and never quotes the value.
    """
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise RequestError(f"{what} must be a list of names", code=Refusal.INVALID_REQUEST)
    return tuple(value)
