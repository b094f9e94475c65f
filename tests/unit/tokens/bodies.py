"""Chat bodies over the texts: plain, with system and history, tools, names and images."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from signalbox.core import scan
from signalbox.tokens.conversation import Conversation, read_conversation
from signalbox.tokens.tokenizer import Tokenizer
from signalbox.tokens.vocabulary import load_tokenizer
from signalbox.types import Endpoint, ParsedRequest
from tests.published import openai_file
from tests.unit.tokens.texts import TEXTS, mixtures

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Wetter für eine Stadt 天気",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city"},
                "unit": {"type": "string", "enum": ["c", "f"]},
                "days": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["city"],
        },
    },
}


def openai(name: str) -> Tokenizer:
    return load_tokenizer(openai_file(name), pattern=name)


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\0\0\0"


def image_part(data: bytes, **more: Any) -> dict[str, Any]:
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    return {"type": "image_url", "image_url": {"url": url, **more}}


def chats() -> list[list[dict[str, Any]]]:
    """Conversations that alternate, as every template takes them; the last turn is the user's."""
    found: list[list[dict[str, Any]]] = []
    for text in TEXTS.values():
        user = {"role": "user", "content": text or "?"}
        found.append([user])
        found.append([{"role": "system", "content": "Be brief.\n"}, user])
        found.append([user, {"role": "assistant", "content": f"Sure: {text}"}, {"role": "user", "content": "\nMore."}])
    return found


def make_request(messages: Any = None, endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS, **members: Any) -> ParsedRequest:
    body = {"model": "m", **({} if messages is None else {"messages": messages}), **members}
    raw = json.dumps(body, ensure_ascii=False).encode()
    return ParsedRequest(endpoint, raw, scan(raw), {})


def read(messages: Any = None, endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS, **members: Any) -> Conversation:
    request = make_request(messages, endpoint, **members)
    return read_conversation(request.body, request.scan, endpoint)


class Picture(NamedTuple):
    part: dict[str, Any]
    size: tuple[int, int]
    openai_tokens: int  # on gpt-4o and gpt-4, as OpenAI's page has them


PICTURES = (
    Picture(image_part(png(1024, 1024)), (1024, 1024), 765),
    Picture(image_part(png(2048, 4096)), (2048, 4096), 1105),
    Picture(image_part(png(2048, 4096), detail="low"), (2048, 4096), 85),
    Picture(image_part(png(512, 512)), (512, 512), 255),
    Picture(image_part(png(1500, 333)), (1500, 333), 85 + 3 * 170),
)
PICTURE_OF = {json.dumps(picture.part): picture for picture in PICTURES}


def corpus() -> Iterator[tuple[str, dict[str, Any]]]:
    """Labelled chat bodies: ten scripts, code, data, odd characters, mixtures, long histories, names, tools, images.

    They are what every family's own package takes: turns alternate, the last is the user's, none is blank, and no
    special token is written out (it is text to some packages and special to others).
    """

    def user(text: str) -> dict[str, Any]:
        return {"role": "user", "content": text}

    usable = {name: text for name, text in TEXTS.items() if text.strip() and name != "special"}
    mixed = [text for text in mixtures(400, seed=11) if text.strip() and "<|" not in text and "[INST]" not in text]
    mixed = [text for text in mixed if "s>" not in text][:120]
    for name, text in usable.items():
        yield f"{name}, one turn", {"messages": [user(text)]}
        yield f"{name}, system", {"messages": [{"role": "system", "content": "Be brief.\n"}, user(text)]}
        yield (
            f"{name}, history",
            {"messages": [user(text), {"role": "assistant", "content": f"Sure: {text}"}, user(f"{text}\n\nMore.")]},
        )
        yield f"{name}, long", {"messages": [user(f"{text}\n" * 40)]}
        yield f"{name}, tools", {"messages": [user(text)], "tools": [TOOL]}
        picture = PICTURES[len(text) % len(PICTURES)].part
        seen = {"role": "user", "content": [{"type": "text", "text": text}, picture]}
        yield f"{name}, image", {"messages": [seen]}
        yield f"{name}, image first", {"messages": [{"role": "user", "content": seen["content"][::-1]}]}
        yield f"{name}, image alone", {"messages": [{"role": "user", "content": [picture, picture]}]}
        answered = [seen, {"role": "assistant", "content": "A picture."}, user(text)]
        yield f"{name}, image in the history", {"messages": answered}
        yield f"{name}, image, system", {"messages": [{"role": "system", "content": "Look."}, *answered]}
    for at, text in enumerate(mixed):
        yield f"mixture {at}", {"messages": [user(text)]}
    for at in range(0, len(mixed) - 5, 5):
        turns = [
            {"role": ("user", "assistant")[number % 2], "content": text}
            for number, text in enumerate(mixed[at : at + 5])
        ]
        yield f"dialogue {at}", {"messages": [{"role": "system", "content": mixed[at + 5]}, *turns]}
    yield (
        "two tools",
        {"messages": [user("both")], "tools": [TOOL, {**TOOL, "function": {**TOOL["function"], "name": "f"}}]},
    )
