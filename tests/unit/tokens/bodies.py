"""Chat bodies over the texts: plain, with system and history, tools, names and images."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from signalbox.core import scan
from signalbox.tokens.conversation import Conversation, read_conversation
from signalbox.types import Endpoint, ParsedRequest
from tests.unit.tokens.texts import TEXTS

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
