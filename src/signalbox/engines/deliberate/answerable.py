"""Which requests may be answered with the model's own words: those it has read whole.

It reads the last user turn and nothing else. Whoever sent more (a conversation, instructions, tools, a schema) wants
an answer that heeds it, from a model that is given it. So this is a list of what may be there, not of what may not.
"""

from __future__ import annotations

from typing import Any

import msgspec

from signalbox.engines.reading import BYTES_PER_TOKEN
from signalbox.types import Endpoint, ParsedRequest

MAX_BODY_BYTES = 64 * 1024  # the question alone is shorter than a tenth of it

# Beside these nothing may be in the body. Sampling is a wish, and whose account it goes to is not the model's concern.
_SAMPLING = frozenset({"temperature", "top_p", "metadata"})
_OPENAI = frozenset(
    {
        "max_completion_tokens",
        "stream_options",
        "seed",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "presence_penalty",
        "frequency_penalty",
    }
)
_MEMBERS = {
    endpoint: more | _SAMPLING | {"model", "messages", "stream", "max_tokens"}
    for endpoint, more in ((Endpoint.CHAT_COMPLETIONS, _OPENAI), (Endpoint.MESSAGES, frozenset({"top_k"})))
}


def is_answerable(request: ParsedRequest, question: str) -> bool:
    """Return whether `question`, as the model is asked it, is all there is to the request."""
    members = _MEMBERS.get(request.endpoint)
    if members is None or len(request.body) > MAX_BODY_BYTES:
        return False
    try:
        body: Any = msgspec.json.decode(request.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(body, dict) and body.keys() <= members and _only_text(body.get("messages")) == question


def fits(request: ParsedRequest, text: str) -> bool:
    """Return whether an answer is surely no longer than the client allows, in anybody's tokens."""
    most = request.scan.max_output_tokens
    return most is None or -(-len(text.encode()) // BYTES_PER_TOKEN) <= most


def _only_text(messages: Any) -> str | None:
    """The text of a single user message that holds nothing else."""
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        return None
    message = messages[0]
    content = message.get("content")
    if message.keys() != {"role", "content"} or message["role"] != "user":
        return None
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        part = content[0]
        content = part.get("text") if part.keys() == {"type", "text"} and part["type"] == "text" else None
    return content if isinstance(content, str) else None
