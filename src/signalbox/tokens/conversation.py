"""A request as chat templates see it: roles, texts, calls and images, whatever dialect the body speaks.

Only the members that become prompt are parsed, and of those only what stands around the texts: the scanner has found
each text already, so a constant that JSON does not have stands in its place while Python's reader builds the rest. The
base64 of images is cut to the part their size is read from.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from signalbox.core import Scan as CompiledScan
from signalbox.tokens.images import Image, read_size
from signalbox.types import Endpoint, Scan

LIFTED_BYTES = 64  # shorter texts are read faster where they stand
WORTHWHILE_BYTES = 1024  # of text a message: with less, listing the texts costs more than reading them
HEADER_CHARS = 128 * 1024  # base64 an image's size is looked for in: cameras put 64 KiB of EXIF before it
_BASE64 = re.compile(
    rb'"((?:data:[\w.+-]+/[\w.+-]+;base64,)?[A-Za-z0-9+/\\]{%d})[A-Za-z0-9+/\\]*={0,2}(?=")' % HEADER_CHARS
)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call in the history. `arguments` is JSON text as the client sent it, or written anew."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    text: str
    name: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(slots=True)
class Conversation:
    """What becomes the prompt. `doubts` are reasons why no published rule says how this is rendered."""

    messages: list[Message] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)  # of completions and embeddings: no template
    tools: list[dict[str, Any]] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    doubts: set[str] = field(default_factory=set)


def read_conversation(body: bytes | memoryview, scan: Scan, endpoint: Endpoint) -> Conversation:
    """Return the conversation of a scanned body. Raises ValueError for numbers too long for Python to read."""
    found = Conversation()
    members = scan.members

    read = _Reader(body, scan)

    def member(name: str) -> Any:
        start, end = members.get(name, (0, 0))
        return read(start, end) if end else None

    if endpoint in (Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS):
        value = member("prompt" if endpoint is Endpoint.COMPLETIONS else "input")
        found.prompts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
        return found
    if endpoint is not Endpoint.CHAT_COMPLETIONS:
        found.doubts.add("dialect")
    for name in ("system", "instructions"):
        if (value := member(name)) is not None:
            found.messages.append(Message("system", _text(value, found)))
    turns = member("input" if endpoint is Endpoint.RESPONSES else "messages")
    for turn in [turns] if isinstance(turns, str) else turns if isinstance(turns, list) else ():
        found.messages.extend(_messages(turn, found))
    for name in ("tools", "functions"):
        value = member(name)
        found.tools.extend(tool for tool in value if isinstance(tool, dict)) if isinstance(value, list) else None
    if "functions" in members:
        found.doubts.add("functions")
    if scan.json_schema:
        found.doubts.add("schema")
    if scan.audio or scan.files:
        found.doubts.add("media")
    if "previous_response_id" in members or "conversation" in members:
        found.doubts.add("stored history")
    return found


class _Reader:
    """Members of a scanned body as Python values, texts taken from the scan."""

    def __init__(self, body: bytes | memoryview, scan: Scan) -> None:
        self._body = body
        self._scan = cast("CompiledScan", scan)
        long = scan.text_bytes >= WORTHWHILE_BYTES * (scan.messages + 1) or scan.images > 0
        self._spans = self._scan.spans if long else ()

    def __call__(self, start: int, end: int) -> Any:
        """Return the value in body[start:end]. Raises ValueError for numbers too long for Python to read."""
        pieces, texts, reached = [], [], start
        for number, span in enumerate(self._spans):
            if start <= span.start and span.end <= end and span.end - span.start >= LIFTED_BYTES:
                pieces.append(self._body[reached : span.start - 1])  # with its quotes
                texts.append(number)
                reached = span.end + 1
        pieces.append(self._body[reached:end])
        frame = self._cut_images(b"NaN".join(pieces))
        if not texts:
            return json.loads(frame)
        order = iter(texts)
        # The scanner has refused every NaN that is not inside a text, so each one read is ours, in document order.
        return json.loads(frame, parse_constant=lambda _: self._text(next(order)))

    def _text(self, number: int) -> str:
        return self._scan.passage_text(number, number + 1).decode()

    def _cut_images(self, frame: bytes) -> bytes:
        """Long base64 shortened. Text a model reads, which may be base64 as well, has been lifted out before."""
        if not self._scan.images or self._scan.tool_calls or len(frame) < HEADER_CHARS:
            return frame
        return _BASE64.sub(lambda found: b'"' + found[1].rstrip(b"\\"), frame)


def _messages(turn: Any, found: Conversation) -> Iterator[Message]:
    if isinstance(turn, str):
        yield Message("user", turn)
        return
    if not isinstance(turn, dict):
        return
    role = turn.get("role") if isinstance(turn.get("role"), str) else ""
    name = turn.get("name") if isinstance(turn.get("name"), str) else ""
    calls = tuple(_calls(turn, found))
    results = []
    content = turn.get("content")
    if isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and part.get("type") == "tool_result":
                results.append(Message("tool", _text(part.get("content"), found)))
    if turn.get("type") == "function_call_output":
        results.append(Message("tool", _text(turn.get("output"), found)))
    yield from results
    text = _text(content, found)
    if turn.get("refusal") or turn.get("reasoning_content") or turn.get("audio"):
        found.doubts.add("refusal, reasoning or audio")
    if text or calls or not results:
        yield Message(role or ("assistant" if calls else "user"), text, name or "", calls)


def _calls(turn: dict[str, Any], found: Conversation) -> Iterator[Call]:
    listed = turn.get("tool_calls")
    pieces = [call.get("function") for call in listed if isinstance(call, dict)] if isinstance(listed, list) else []
    content = turn.get("content")
    if isinstance(content, list):
        pieces += [part for part in content if isinstance(part, dict) and part.get("type") == "tool_use"]
    if turn.get("type") == "function_call":
        pieces.append(turn)
    pieces.append(turn.get("function_call"))
    for piece in pieces:
        if isinstance(piece, dict):
            found.doubts.add("calls")
            arguments = piece.get("arguments", piece.get("input"))
            yield Call(
                str(piece.get("name") or ""),
                arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False),
            )


def _text(content: Any, found: Conversation) -> str:
    """The text of a message's content; its images are noted on the way."""
    if isinstance(content, str):
        return content
    texts = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and part.get("type") not in ("tool_result", "tool_use"):
            if isinstance(part.get("text"), str):
                texts.append(part["text"])
            elif "image" in str(part.get("type")):
                found.images.append(_image(part))
            else:
                found.doubts.add("unknown parts")
    if len(texts) > 1:
        found.doubts.add("several text parts")  # servers join them with nothing, a blank or a line
    return "\n".join(texts)


def _image(part: dict[str, Any]) -> Image:
    """An image part of any dialect: OpenAI's `image_url` (object or text), Anthropic's `source`."""
    holder = part.get("image_url") or part.get("source") or part
    detail = holder.get("detail") if isinstance(holder, dict) else part.get("detail")
    url = holder.get("url") or holder.get("data") if isinstance(holder, dict) else holder
    size = None
    if isinstance(url, str) and not url.startswith(("http:", "https:")):
        encoded = url.partition("base64,")[2] if url.startswith("data:") else url
        head = encoded[: min(HEADER_CHARS, len(encoded)) // 4 * 4]
        try:
            size = read_size(base64.b64decode(head))
        except (ValueError, binascii.Error):
            size = None
    return Image(*(size or (0, 0)), detail="low" if detail == "low" else "high")
