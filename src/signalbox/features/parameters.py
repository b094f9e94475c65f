"""What a request asks for in parameters of its own: parallel tool calls, reasoning, an image as output.

The members are small where they are right; one that is large or of another type says nothing here, and its
provider will judge it. Tools alone may be large, and are read only where they name the one that makes images.
"""

from __future__ import annotations

import json

from signalbox.types import Endpoint, ParsedRequest

MAX_MEMBER_BYTES = 4096
MAX_TOOLS_BYTES = 1024 * 1024  # parsed in ten milliseconds, which no request without that tool pays

IMAGE_TOOL = "image_generation"
"""The tool of the Responses API with which a model makes images."""


def read_small(request: ParsedRequest, name: str, most_bytes: int = MAX_MEMBER_BYTES) -> object:
    """Return a member of the body, parsed; None where it is absent, null, too large or unreadable."""
    span = request.scan.members.get(name)
    if span is None or span[1] - span[0] > most_bytes:
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


def demands_image(request: ParsedRequest) -> bool:
    """Whether `modalities` names an image among the kinds of output, or the tools have the one that makes them."""
    members = request.scan.members
    if "modalities" in members:
        value = read_small(request, "modalities")
        if isinstance(value, list) and "image" in value:
            return True
    return request.endpoint is Endpoint.RESPONSES and "tools" in members and _has_image_tool(request)


def demands_text(request: ParsedRequest) -> bool:
    """Whether an image alone would not do: everywhere but where `modalities` names other kinds only."""
    value = read_small(request, "modalities")
    return not isinstance(value, list) or not value or "text" in value


def _has_image_tool(request: ParsedRequest) -> bool:
    start, end = request.scan.members["tools"]
    if IMAGE_TOOL.encode() not in bytes(request.body[start:end]):
        return False  # written with escapes it is not found, and the provider will judge it
    tools = read_small(request, "tools", MAX_TOOLS_BYTES)
    if not isinstance(tools, list) or not any(_is_image_tool(tool) for tool in tools):
        return False
    return read_small(request, "tool_choice") != "none"


def _is_image_tool(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("type") == IMAGE_TOOL
