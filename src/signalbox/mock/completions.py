"""OpenAI's legacy Completions. https://platform.openai.com/docs/api-reference/completions"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from signalbox.mock import chat, fields
from signalbox.mock.answer import Answer, Dialect, Prompt, count_tokens
from signalbox.mock.errors import ApiError
from signalbox.mock.fields import Json
from signalbox.mock.sse import DONE, event


def read(body: Json) -> Prompt:
    prompts = inputs(body, "prompt")
    fields.reject_stream_options_without_stream(body)
    fields.optional_count(body, "n", at_most=fields.MAX_CHOICES)
    return Prompt(
        prompt_tokens=sum(tokens_of(one) for one in prompts),
        max_output_tokens=fields.optional_count(body, "max_tokens"),
    )


def inputs(body: Json, name: str) -> list[Any]:
    """The texts or token lists of `prompt` or `input`: a string, a list of strings, token ids, or lists of those.

    Raises ApiError(400) at anything else, or when it is missing.
    """
    value = body.get(name)
    if isinstance(value, str):
        return [value]
    values = fields.required_list(body, name)
    if all(_is_token(one) for one in values):
        return [values]
    for index, one in enumerate(values):
        if not isinstance(one, str) and not (isinstance(one, list) and all(map(_is_token, one))):
            where = f"{name}[{index}]"
            raise ApiError(400, f"Invalid '{where}': expected a string or an array of token ids.", param=where)
    return values


def tokens_of(one: str | list[int]) -> int:
    return count_tokens(one) if isinstance(one, str) else len(one)


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _choices(body: Json) -> int:
    return len(inputs(body, "prompt")) * (body.get("n") or 1)


def write_body(body: Json, answer: Answer) -> Json:
    choices = _choices(body)
    return _envelope(answer) | {
        "choices": [_choice(index, answer.text, chat.finish_reason(answer)) for index in range(choices)],
        "usage": chat.write_usage(answer, choices),
    }


def write_events(body: Json, answer: Answer) -> Iterator[bytes]:
    include_usage = (body.get("stream_options") or {}).get("include_usage") is True
    chunk = _envelope(answer) | ({"usage": None} if include_usage else {})
    choices = _choices(body)
    for index in range(choices):
        for piece in answer.pieces():
            yield event(chunk | {"choices": [_choice(index, piece, None)]})
        yield event(chunk | {"choices": [_choice(index, "", chat.finish_reason(answer))]})
    if include_usage:
        yield event(chunk | {"choices": [], "usage": chat.write_usage(answer, choices)})
    yield DONE


def _envelope(answer: Answer) -> Json:
    return {
        "id": answer.id("cmpl-"),
        "object": "text_completion",
        "created": answer.created_seconds,
        "model": answer.model,
        "system_fingerprint": "fp_mock",
    }


def _choice(index: int, text: str, finish_reason: str | None) -> Json:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


DIALECT = Dialect(read=read, body=write_body, events=write_events, error_event=chat.write_error_event)
