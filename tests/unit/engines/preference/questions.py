"""Questions about small chats."""

from __future__ import annotations

import time

from signalbox.engines.base import Question, Route
from signalbox.features.extract import extract
from tests.unit.decide.cases import make_request

ROUTES = (
    Route("code", "writing new code"),
    Route("code review", "judging code that is there"),
    Route("small talk", "greetings and chatter"),
)


def question(*messages: tuple[str, str], routes: tuple[Route, ...] = ROUTES, seconds: float = 30) -> Question:
    """A question with `seconds` to answer it; the chat is one short turn unless told."""
    said = messages or (("user", "please write a function"),)
    request = make_request({"model": "auto", "messages": [{"role": role, "content": text} for role, text in said]})
    return Question(request, extract(request), routes, time.monotonic() + seconds)
