"""OpenAI's Chat Completions. https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from signalbox.mock import fields
from signalbox.mock.answer import Answer, Dialect, Prompt, Tool, ToolChoice, count_tokens
from signalbox.mock.errors import ApiError, Vendor, error_body
from signalbox.mock.fields import Json
from signalbox.mock.sse import DONE, event

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def read(body: Json) -> Prompt:
    messages = fields.required_list(body, "messages")
    prompt_tokens = 0
    for path, message in fields.objects(messages, "messages"):
        fields.check_role(message, path, ROLES)
        prompt_tokens += sum(map(count_tokens, fields.content_texts(message.get("content"), f"{path}.content")))
    fields.reject_stream_options_without_stream(body)
    fields.optional_count(body, "n", at_most=fields.MAX_CHOICES)
    last = messages[-1]
    said = fields.content_texts(last.get("content"), "content", nested=False) if last["role"] == "user" else ()
    return Prompt(
        prompt_tokens=prompt_tokens,
        last_user="\n".join(said),
        tools=read_tools(body),
        tool_choice=read_tool_choice(body.get("tool_choice")),
        max_output_tokens=fields.optional_count(body, "max_completion_tokens")
        or fields.optional_count(body, "max_tokens"),
        schema=_schema(fields.optional_object(body, "response_format")),
    )


def read_tools(body: Json) -> tuple[Tool, ...]:
    tools = []
    for path, tool in fields.objects(fields.optional_list(body, "tools"), "tools"):
        if tool.get("type") == "function":
            function = fields.optional_object(tool, "function")
            name = function.get("name")
            if not isinstance(name, str):
                where = f"{path}.function.name"
                raise ApiError(400, f"Missing required parameter: '{where}'.", param=where)
            tools.append(Tool(name, function.get("parameters", {"type": "object"})))
    return tuple(tools)


def read_tool_choice(choice: Any) -> ToolChoice:
    """`auto`, `none`, `required`, or an object that names a function, nested (Chat) or flat (Responses)."""
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else choice.get("name")
        return ToolChoice("required", name if isinstance(name, str) else None)
    if choice in ("none", "required"):
        return ToolChoice(choice)
    return ToolChoice()


def _schema(response_format: Json) -> Any:
    match response_format.get("type"):
        case "json_object":
            return {}
        case "json_schema":
            return fields.optional_object(response_format, "json_schema").get("schema", {})
        case _:
            return None


def write_usage(answer: Answer, choices: int) -> Json:
    completion_tokens = answer.completion_tokens * choices
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": answer.prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def finish_reason(answer: Answer) -> str:
    if answer.tool_calls:
        return "tool_calls"
    return "length" if answer.truncated else "stop"


def write_body(body: Json, answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    if answer.tool_calls:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": answer.id("call_", index),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(answer.tool_calls)
        ]
    choices = body.get("n") or 1
    return {
        "id": answer.id("chatcmpl-"),
        "object": "chat.completion",
        "created": answer.created_seconds,
        "model": answer.model,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": finish_reason(answer)}
            for index in range(choices)
        ],
        "usage": write_usage(answer, choices),
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    }


def write_events(body: Json, answer: Answer) -> Iterator[bytes]:
    """Chunks, then usage in a chunk without choices if `stream_options.include_usage` asks for it, then [DONE]."""
    include_usage = (body.get("stream_options") or {}).get("include_usage") is True
    chunk: Json = {
        "id": answer.id("chatcmpl-"),
        "object": "chat.completion.chunk",
        "created": answer.created_seconds,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    }
    if include_usage:
        chunk["usage"] = None  # every chunk but the last says so
    choices = body.get("n") or 1
    for index in range(choices):
        for delta in _deltas(answer):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
            yield event(chunk | {"choices": [choice]})
        choice = {"index": index, "delta": {}, "logprobs": None, "finish_reason": finish_reason(answer)}
        yield event(chunk | {"choices": [choice]})
    if include_usage:
        yield event(chunk | {"choices": [], "usage": write_usage(answer, choices)})
    yield DONE


def _deltas(answer: Answer) -> Iterator[Json]:
    yield {"role": "assistant", "content": None if answer.tool_calls else "", "refusal": None}
    for index, call in enumerate(answer.tool_calls):
        head = {"id": answer.id("call_", index), "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [{"index": index} | head]}
        middle = len(call.arguments) // 2  # clients must join the parts
        for part in (call.arguments[:middle], call.arguments[middle:]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
    for piece in answer.pieces():
        yield {"content": piece}


def write_error_event(error: ApiError, _: int) -> bytes:
    return event(error_body(Vendor.OPENAI, error, ""))


DIALECT = Dialect(read=read, body=write_body, events=write_events, error_event=write_error_event)
