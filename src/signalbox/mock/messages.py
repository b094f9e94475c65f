"""Anthropic's Messages. https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from signalbox.mock import fields
from signalbox.mock.answer import Answer, Dialect, Prompt, Tool, ToolChoice, count_tokens
from signalbox.mock.errors import ApiError, Vendor, error_body
from signalbox.mock.fields import Json
from signalbox.mock.sse import event

ROLES = frozenset({"user", "assistant"})


def read(body: Json) -> Prompt:
    messages = fields.required_list(body, "messages")
    max_output_tokens = fields.optional_count(body, "max_tokens")
    if max_output_tokens is None:
        raise ApiError(400, "max_tokens: Field required", param="max_tokens")
    prompt_tokens = sum(map(count_tokens, fields.content_texts(body.get("system"), "system")))
    for path, message in fields.objects(messages, "messages"):
        fields.check_role(message, path, ROLES)
        prompt_tokens += sum(map(count_tokens, fields.content_texts(message.get("content"), f"{path}.content")))
    last = messages[-1]
    said = fields.content_texts(last.get("content"), "content", nested=False) if last["role"] == "user" else ()
    return Prompt(
        prompt_tokens=prompt_tokens,
        last_user="\n".join(said),
        tools=_tools(body),
        tool_choice=_tool_choice(fields.optional_object(body, "tool_choice")),
        max_output_tokens=max_output_tokens,
    )


def _tools(body: Json) -> tuple[Tool, ...]:
    tools = []
    for path, tool in fields.objects(fields.optional_list(body, "tools"), "tools"):
        if not isinstance(tool.get("name"), str):
            raise ApiError(400, f"{path}.name: Field required", param=f"{path}.name")
        if "input_schema" in tool:  # tools that the server runs have none and are never called here
            tools.append(Tool(tool["name"], tool["input_schema"]))
    return tuple(tools)


def _tool_choice(choice: Json) -> ToolChoice:
    match choice.get("type"):
        case "any":
            return ToolChoice("required")
        case "tool":
            return ToolChoice("required", choice.get("name"))
        case "none":
            return ToolChoice("none")
        case _:
            return ToolChoice()


def _stop_reason(answer: Answer) -> str:
    if answer.tool_calls:
        return "tool_use"
    return "max_tokens" if answer.truncated else "end_turn"


def _usage(answer: Answer, output_tokens: int) -> Json:
    return {
        "input_tokens": answer.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _message(answer: Answer) -> Json:
    return {"id": answer.id("msg_"), "type": "message", "role": "assistant", "model": answer.model}


def _tool_use(answer: Answer, index: int, arguments: Any) -> Json:
    call = answer.tool_calls[index]
    return {"type": "tool_use", "id": answer.id("toolu_", index), "name": call.name, "input": arguments}


def write_body(_: Json, answer: Answer) -> Json:
    content: list[Json] = [
        _tool_use(answer, index, json.loads(call.arguments)) for index, call in enumerate(answer.tool_calls)
    ] or [{"type": "text", "text": answer.text}]
    return _message(answer) | {
        "content": content,
        "stop_reason": _stop_reason(answer),
        "stop_sequence": None,
        "usage": _usage(answer, answer.completion_tokens),
    }


def write_events(_: Json, answer: Answer) -> Iterator[bytes]:
    """Each event carries its type twice, in its `event:` line and in its data, as Anthropic's do."""
    start = _message(answer) | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage(answer, 1)}
    yield _event("message_start", message=start)
    yield _event("ping")
    if answer.tool_calls:
        for index, call in enumerate(answer.tool_calls):
            yield _event("content_block_start", index=index, content_block=_tool_use(answer, index, {}))
            middle = len(call.arguments) // 2  # clients must join the parts
            for part in (call.arguments[:middle], call.arguments[middle:]):
                delta = {"type": "input_json_delta", "partial_json": part}
                yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
    else:
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for piece in answer.pieces():
            yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        yield _event("content_block_stop", index=0)
    over = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    yield _event("message_delta", delta=over, usage={"output_tokens": answer.completion_tokens})
    yield _event("message_stop")


def _event(kind: str, **members: Any) -> bytes:
    return event({"type": kind} | members, name=kind)


def write_error_event(error: ApiError, _: int) -> bytes:
    return event(error_body(Vendor.ANTHROPIC, error, ""), name="error")


DIALECT = Dialect(read=read, body=write_body, events=write_events, error_event=write_error_event)
