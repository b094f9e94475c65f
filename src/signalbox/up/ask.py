"""`signalbox ask`: one question to a gateway, and what was decided about it."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from signalbox.errors import SetupError

HEADERS = {
    "route": "x-model-router-selected-route",
    "model": "x-signalbox-model",
    "reason": "x-signalbox-reason",
    "attempts": "x-signalbox-attempts",
    "decision": "x-signalbox-decision",
}
MAX_ANSWER_BYTES = 4 * 1024 * 1024
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. decided: what the gateway's headers say; empty if it was no gateway of ours."""

    status: int
    decided: Mapping[str, str]
    text: str

    @property
    def is_routed(self) -> bool:
        """Whether a provider answered, by a decision."""
        return self.status == http.client.OK and bool(self.decided.get("decision") and self.decided.get("model"))

    def as_json(self, *, with_text: bool) -> dict[str, object]:
        """The answer as the command prints it."""
        shown = {"answer": self.text} if with_text else {"answer_characters": len(self.text)}
        return {"status": self.status, **self.decided, **shown}


def ask(url: str, model: str, text: str, *, seconds: float, wait_seconds: float = 0.0, verify: bool = True) -> Answer:
    """Send one chat request to the gateway at `url` (its base URL, with /v1) and return what came back.

    seconds: for the answer. wait_seconds: how long a gateway that is not there yet, or answers 503, is asked again.
    verify: whether its certificate has to be good. Raises SetupError if nobody answers.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            answer = _ask_once(url, model, text, seconds, verify)
        except (OSError, http.client.HTTPException) as problem:
            if time.monotonic() >= deadline:
                raise SetupError(
                    f"{url}: {getattr(problem, 'reason', None) or problem}\n"
                    "  expected: a gateway's base URL, such as http://127.0.0.1:10000/v1\n"
                    "  fix: correct --url, or start the gateway"
                ) from None
        else:
            if answer.status != http.client.SERVICE_UNAVAILABLE or time.monotonic() >= deadline:
                return answer
        time.sleep(RETRY_SECONDS)


def _ask_once(url: str, model: str, text: str, seconds: float, verify: bool) -> Answer:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
    request = urllib.request.Request(
        f"{url.rstrip('/')}/chat/completions", data=body, headers={"content-type": "application/json"}
    )
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, timeout=seconds, context=context) as answer:
            return _answer(answer.status, answer.headers, answer.read(MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _answer(refusal.code, refusal.headers, refusal.read(MAX_ANSWER_BYTES))


def _answer(status: int, headers: Message, body: bytes) -> Answer:
    decided = {name: headers.get(header, "") for name, header in HEADERS.items()}
    return Answer(status, {name: value for name, value in decided.items() if value}, _text(body))


def _text(body: bytes) -> str:
    """What was said: the first choice's text, or an error's message."""
    try:
        members: Any = json.loads(body)
        if "error" in members:
            return str(members["error"]["message"])
        return str(members["choices"][0]["message"]["content"])
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
