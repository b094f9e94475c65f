"""What a request asks for in parameters of its own: parallel tool calls, reasoning, an image as output.

The members are small where they are right; one that is large or of another type says nothing here, and its
provider will judge it.
"""

from __future__ import annotations

import json

from signalbox.types import ParsedRequest

MAX_MEMBER_BYTES = 4096


def read_small(request: ParsedRequest, name: str) -> object:
    """Return a member of the body, parsed; None where it is absent, null, too large or unreadable."""
    span = request.scan.members.get(name)
    if span is None or span[1] - span[0] > MAX_MEMBER_BYTES:
        return None
    try:
        value: object = json.loads(bytes(request.body[span[0] : span[1]]))
    except (ValueError, RecursionError):
        return None
    return value


def parallel_tool_calls(request: ParsedRequest) -> bool | None:
    """Return the flag as the client set it, None where it did not."""
    value = read_small(request, "parallel_tool_calls")
    return value if isinstance(value, bool) else None


def asks_to_reason(request: ParsedRequest) -> bool | None:
    """Return whether the parameters turn reasoning on or off; None where none of them says.

    `reasoning_effort` (chat completions), `reasoning.effort` (responses), `thinking.type` (messages).
    """
    effort = read_small(request, "reasoning_effort")
    reasoning = read_small(request, "reasoning")
    if isinstance(reasoning, dict) and effort is None:
        effort = reasoning.get("effort")
    if isinstance(effort, str):
        return effort != "none"
    thinking = read_small(request, "thinking")
    if isinstance(thinking, dict) and isinstance(thinking.get("type"), str):
        return bool(thinking["type"] != "disabled")
    return None


def asks_for_image(request: ParsedRequest) -> bool:
    """Whether `modalities` names an image among the kinds of output."""
    value = read_small(request, "modalities")
    return isinstance(value, list) and "image" in value
