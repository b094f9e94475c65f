"""What a mock says, before any vendor's shape: one Prompt in, one Answer out, the same each time.

A token here is a word: the spaces and line breaks of a text, plus one. Cheap to count in a megabyte and
easy to predict in a test. Dialects read a Prompt out of a body and write an Answer into a body or events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from zlib import crc32

from signalbox.mock.errors import ApiError
from signalbox.mock.example import example
from signalbox.mock.fields import Json
from signalbox.mock.pace import Pace

FILLER = "All work and no play makes this a mock answer. "


def count_tokens(text: str) -> int:
    """Words of `text`: its spaces and line breaks plus one; 0 when it is empty."""
    return text.count(" ") + text.count("\n") + 1 if text else 0


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the client offers; `parameters` is the JSON schema of its arguments."""

    name: str
    parameters: Any


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`named` is the one tool that must be called, where the client names one."""

    rule: Literal["auto", "none", "required"] = "auto"
    named: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request asks for, in no vendor's words.

    prompt_tokens: words of all its text.
    last_user: text of the last message if the user said it, else empty.
    max_output_tokens: where the answer is cut off; None for nowhere.
    schema: JSON schema the answer must fit; `{}` asks for any JSON object, None for prose.
    """

    prompt_tokens: int
    last_user: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    max_output_tokens: int | None = None
    schema: Any = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON text, as OpenAI sends it."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `truncated` says that `max_output_tokens` cut the text short."""

    provider: str
    serial: int
    created_seconds: int
    model: str
    prompt_tokens: int
    completion_tokens: int
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    truncated: bool = False
    chunks: int | None = None

    def id(self, prefix: str, index: int = 0) -> str:
        """An identifier like the vendor's, unique among providers and answers: `chatcmpl-` + 24 hex digits."""
        return f"{prefix}{crc32(self.provider.encode()):08x}{self.serial:012x}{index:04x}"

    def pieces(self) -> Iterator[str]:
        """The text as a stream cuts it: word by word, or into `chunks` equal parts."""
        if self.chunks is None:
            yield from re.findall(r"\S+\s*|\s+", self.text)
            return
        for n in range(self.chunks):
            yield self.text[len(self.text) * n // self.chunks : len(self.text) * (n + 1) // self.chunks]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One API call of one vendor, as plain functions.

    read: checks a body and says what it asks for; raises ApiError as the vendor would.
    body: the JSON answer.
    events: the same answer as server-sent events; None when the call cannot stream.
    error_event: an error inside a stream, given the error and how many events went before.
    """

    read: Callable[[Json], Prompt]
    body: Callable[[Json, Answer], Json]
    events: Callable[[Json, Answer], Iterator[bytes]] | None = None
    error_event: Callable[[ApiError, int], bytes] | None = None


def compose(prompt: Prompt, *, provider: str, model: str, pace: Pace, serial: int, now_seconds: int) -> Answer:
    """Decide what is said: tool calls where asked for, else JSON, else a sentence.

    The sentence names provider and model and the number of words received, and nothing the client wrote.
    """
    calls = tuple(ToolCall(tool.name, json.dumps(example(tool.parameters) or {})) for tool in _called(prompt))
    if calls:
        text, truncated = "", False
        completion_tokens = sum(1 + count_tokens(call.arguments) for call in calls)
    else:
        text, truncated = _text(prompt, provider, model, pace)
        completion_tokens = count_tokens(text)
    return Answer(
        provider=provider,
        serial=serial,
        created_seconds=now_seconds,
        model=model,
        prompt_tokens=prompt.prompt_tokens,
        completion_tokens=completion_tokens,
        text=text,
        tool_calls=calls,
        truncated=truncated,
        chunks=pace.chunks,
    )


def _called(prompt: Prompt) -> list[Tool]:
    """Tools the answer calls: the one named by tool_choice, those the user said to `call NAME`, or any."""
    choice = prompt.tool_choice
    if choice.rule == "none" or not prompt.tools:
        return []
    if choice.named is not None:
        return [tool for tool in prompt.tools if tool.name == choice.named]
    asked = [tool for tool in prompt.tools if re.search(rf"\bcall {re.escape(tool.name)}(?![\w-])", prompt.last_user)]
    return asked or (list(prompt.tools[:1]) if choice.rule == "required" else [])


def _text(prompt: Prompt, provider: str, model: str, pace: Pace) -> tuple[str, bool]:
    if pace.answer_bytes is not None:
        return filler(pace.answer_bytes), False
    if prompt.schema is not None:
        document = example(prompt.schema) if prompt.schema else {"provider": provider, "model": model}
        text = json.dumps(document)
    else:
        text = f"{provider} answered as {model}; the prompt had {prompt.prompt_tokens} words."
    if pace.chunks is not None and len(text) < pace.chunks:
        text += " " + filler(pace.chunks - len(text))
    limit = prompt.max_output_tokens
    if limit is None or count_tokens(text) <= limit:
        return text, False
    return " ".join(text.split(" ")[:limit]), True


def filler(size_bytes: int) -> str:
    """ASCII prose of exactly `size_bytes` bytes."""
    return (FILLER * (size_bytes // len(FILLER) + 1))[:size_bytes]
