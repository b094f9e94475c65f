"""An engine's own answer as its endpoint speaks: OpenAI's chat completion or Anthropic's message, whole or as SSE.

The answer is complete before its first byte is sent, so a stream of it is a few events at once. Its `usage` is what
all of it cost: the engine's own thinking and every model it consulted.
"""

from __future__ import annotations

import json
from typing import Any

from signalbox.decide.members import read_member
from signalbox.types import Completion, Endpoint, ParsedRequest

MAX_ANSWER_BYTES = 256 * 1024  # far above what an engine says; what Envoy is handed in one piece is bounded here too


def write_answer(completion: Completion, request: ParsedRequest, *, id: str, model: str, created: int) -> bytes:
    """Return the body of the answer: SSE if the client asked for a stream.

    id: of the decision. model: the answer's name for who made it. created: seconds since the epoch. Raises ValueError
    for an endpoint that has no such answer, or for one that is too large.
    """
    if request.endpoint is Endpoint.CHAT_COMPLETIONS:
        write = _chat_stream if request.scan.stream else _chat
    elif request.endpoint is Endpoint.MESSAGES:
        write = _message_stream if request.scan.stream else _message
    else:
        raise ValueError(f"no engine answers at {request.endpoint}")
    body = write(completion, request, id, model, created)
    if len(body) > MAX_ANSWER_BYTES:
        raise ValueError(f"an answer of {len(body)} bytes, more than {MAX_ANSWER_BYTES}")
    return body


def _chat(completion: Completion, _: ParsedRequest, id: str, model: str, created: int) -> bytes:
    message = {"role": "assistant", "content": completion.text, "refusal": None}
    return _json(
        {
            "id": f"chatcmpl-{id}",
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": _openai_usage(completion),
        }
    )


def _chat_stream(completion: Completion, request: ParsedRequest, id: str, model: str, created: int) -> bytes:
    options = read_member(request, "stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True

    def chunk(choices: list[Any], usage: Any = None) -> bytes:
        told: dict[str, Any] = {
            "id": f"chatcmpl-{id}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "choices": choices,
        }
        if wants_usage:
            told["usage"] = usage
        return b"data: " + _json(told) + b"\n\n"

    def choice(delta: Any, finish_reason: str | None = None) -> list[Any]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]

    chunks = [
        chunk(choice({"role": "assistant", "content": ""})),
        chunk(choice({"content": completion.text})),
        chunk(choice({}, "stop")),
    ]
    if wants_usage:
        chunks.append(chunk([], _openai_usage(completion)))
    return b"".join(chunks) + b"data: [DONE]\n\n"


def _openai_usage(completion: Completion) -> dict[str, int]:
    read, written = completion.input_tokens, completion.output_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _message(completion: Completion, _: ParsedRequest, id: str, model: str, created: int) -> bytes:
    usage = {"input_tokens": completion.input_tokens, "output_tokens": completion.output_tokens}
    content = [{"type": "text", "text": completion.text}]
    return _json(_message_shape(id, model) | {"content": content, "stop_reason": "end_turn", "usage": usage})


def _message_stream(completion: Completion, _: ParsedRequest, id: str, model: str, created: int) -> bytes:
    begun = _message_shape(id, model) | {"usage": {"input_tokens": completion.input_tokens, "output_tokens": 0}}
    events: tuple[dict[str, Any], ...] = (
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": completion.text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": completion.output_tokens},
        },
        {"type": "message_stop"},
    )
    return b"".join([f"event: {event['type']}\ndata: ".encode() + _json(event) + b"\n\n" for event in events])


def _message_shape(id: str, model: str) -> dict[str, Any]:
    return {
        "id": f"msg_{id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _json(value: Any) -> bytes:
    # ASCII: what a model wrote may hold lone surrogates, which UTF-8 has no bytes for.
    return json.dumps(value).encode()
