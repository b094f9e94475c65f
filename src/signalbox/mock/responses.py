"""OpenAI's Responses. https://platform.openai.com/docs/api-reference/responses"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from signalbox.mock import fields
from signalbox.mock.answer import Answer, Dialect, Prompt, Tool, count_tokens
from signalbox.mock.chat import read_tool_choice
from signalbox.mock.errors import ApiError
from signalbox.mock.fields import Json
from signalbox.mock.sse import event


def read(body: Json) -> Prompt:
    prompt_tokens = sum(map(count_tokens, fields.content_texts(body.get("instructions"), "instructions")))
    last_user = body.get("input")
    if isinstance(last_user, str):
        prompt_tokens += count_tokens(last_user)
    else:
        items = fields.required_list(body, "input")
        last_user = ""
        for path, item in fields.objects(items, "input"):
            if not isinstance(item.get("role"), str) and not isinstance(item.get("type"), str):
                raise ApiError(400, f"Missing required parameter: '{path}.role' or '{path}.type'.", param=path)
            content = item.get("output") if item.get("type") == "function_call_output" else item.get("content")
            texts = list(fields.content_texts(content, f"{path}.content"))
            prompt_tokens += sum(map(count_tokens, texts))
            last_user = "\n".join(texts) if item.get("role") == "user" else ""
    return Prompt(
        prompt_tokens=prompt_tokens,
        last_user=last_user,
        tools=_tools(body),
        tool_choice=read_tool_choice(body.get("tool_choice")),
        max_output_tokens=fields.optional_count(body, "max_output_tokens"),
        schema=_schema(fields.optional_object(fields.optional_object(body, "text"), "format")),
    )


def _tools(body: Json) -> tuple[Tool, ...]:
    tools = []
    for path, tool in fields.objects(fields.optional_list(body, "tools"), "tools"):
        if tool.get("type") == "function":  # others are run by the provider and never called here
            if not isinstance(tool.get("name"), str):
                raise ApiError(400, f"Missing required parameter: '{path}.name'.", param=f"{path}.name")
            tools.append(Tool(tool["name"], tool.get("parameters", {"type": "object"})))
    return tuple(tools)


def _schema(text_format: Json) -> Any:
    match text_format.get("type"):
        case "json_object":
            return {}
        case "json_schema":
            return text_format.get("schema", {})
        case _:
            return None


def write_response(answer: Answer, *, status: str, output: list[Json]) -> Json:
    """The Response object in one of its states; usage and reasons only once it is over."""
    over = status != "in_progress"
    usage = {
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answer.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }
    return {
        "id": answer.id("resp_"),
        "object": "response",
        "created_at": answer.created_seconds,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if over else None,
    }


def _text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(answer: Answer, status: str, content: list[Json]) -> Json:
    return {"id": answer.id("msg_"), "type": "message", "role": "assistant", "status": status, "content": content}


def _function_call(answer: Answer, index: int, status: str, arguments: str) -> Json:
    return {
        "id": answer.id("fc_", index),
        "type": "function_call",
        "call_id": answer.id("call_", index),
        "name": answer.tool_calls[index].name,
        "arguments": arguments,
        "status": status,
    }


def _final_status(answer: Answer) -> str:
    return "incomplete" if answer.truncated else "completed"


def _final_output(answer: Answer) -> list[Json]:
    if answer.tool_calls:
        return [
            _function_call(answer, index, "completed", call.arguments) for index, call in enumerate(answer.tool_calls)
        ]
    return [_message(answer, _final_status(answer), [_text_part(answer.text)])]


def write_body(_: Json, answer: Answer) -> Json:
    return write_response(answer, status=_final_status(answer), output=_final_output(answer))


def write_events(_: Json, answer: Answer) -> Iterator[bytes]:
    """Typed events, numbered from 0; the last is response.completed, or .incomplete, with usage."""
    status = _final_status(answer)
    states = [
        ("response.created", {"response": write_response(answer, status="in_progress", output=[])}),
        ("response.in_progress", {"response": write_response(answer, status="in_progress", output=[])}),
    ]
    over = (f"response.{status}", {"response": write_response(answer, status=status, output=_final_output(answer))})
    output = _call_events(answer) if answer.tool_calls else _text_events(answer)
    number = 0
    for group in (states, output, [over]):
        for name, members in group:
            yield event({"type": name, "sequence_number": number} | members, name=name)
            number += 1


def _text_events(answer: Answer) -> Iterator[tuple[str, Json]]:
    at = {"item_id": answer.id("msg_"), "output_index": 0, "content_index": 0}
    yield "response.output_item.added", {"output_index": 0, "item": _message(answer, "in_progress", [])}
    yield "response.content_part.added", at | {"part": _text_part("")}
    for piece in answer.pieces():
        yield "response.output_text.delta", at | {"delta": piece, "logprobs": []}
    yield "response.output_text.done", at | {"text": answer.text, "logprobs": []}
    yield "response.content_part.done", at | {"part": _text_part(answer.text)}
    yield "response.output_item.done", {"output_index": 0, "item": _final_output(answer)[0]}


def _call_events(answer: Answer) -> Iterator[tuple[str, Json]]:
    for index, call in enumerate(answer.tool_calls):
        at = {"item_id": answer.id("fc_", index), "output_index": index}
        item = _function_call(answer, index, "in_progress", "")
        yield "response.output_item.added", {"output_index": index, "item": item}
        middle = len(call.arguments) // 2  # clients must join the parts
        for part in (call.arguments[:middle], call.arguments[middle:]):
            yield "response.function_call_arguments.delta", at | {"delta": part}
        done = {"name": call.name, "arguments": call.arguments}
        yield "response.function_call_arguments.done", at | done
        item = _function_call(answer, index, "completed", call.arguments)
        yield "response.output_item.done", {"output_index": index, "item": item}


def write_error_event(error: ApiError, sent: int) -> bytes:
    code = error.code or "server_error"
    members = {"code": code, "message": error.message, "param": None, "sequence_number": sent}
    return event({"type": "error"} | members, name="error")


DIALECT = Dialect(read=read, body=write_body, events=write_events, error_event=write_error_event)
