"""Whatever a served model and its server say, what comes out is a known route or a known reason why not."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from signalbox.engines.base import Outcome
from signalbox.engines.preference.answers import AMBIGUOUS, NO_ROUTE, UNKNOWN_ROUTE, UNREADABLE, read_answer
from signalbox.engines.preference.prompts import ARCH_ROUTER_CARD, PLANO_ORCHESTRATOR
from signalbox.engines.preference.served import MARGIN, ServedPreference
from signalbox.engines.remote import GARBAGE
from tests.fuzz.bodies import members, mutated, texts
from tests.unit.engines.preference.questions import ROUTES, question

NAMES = ("code", "code review", "don't know", 'say "hi"', "übersetzen", "a\\b", "other")
DETAILS = ("", NO_ROUTE, UNKNOWN_ROUTE, AMBIGUOUS, UNREADABLE)
PIECES = (
    *('{"route": "code"}', "{'route': 'don't know'}", '"route"', "'route':", "```json\n", "```", "<think>", "</think>"),
    *("[", "]", "{", "}", ":", ",", '"', "'", "\\", " ", "\n", "null", "None", "\\u00fc", *NAMES),
)

answers = st.lists(st.sampled_from(PIECES) | texts, max_size=12).map("".join)
tokens = members(
    {"token": st.sampled_from(PIECES), "logprob": st.floats(-20, 0)},
    bytes=st.none() | st.lists(st.integers(0, 255), max_size=6),
    top_logprobs=st.lists(members({"token": st.sampled_from(PIECES), "logprob": st.floats()}), max_size=3),
)
completions = members(
    {
        "choices": st.lists(
            members({"message": members({"content": answers})}, logprobs=members({"content": st.lists(tokens)})),
            max_size=2,
        )
    }
)


class Saying:
    """A server that says one thing."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def post(self, path: str, body: bytes, *, deadline: float, max_bytes: int) -> bytes:
        json.loads(body)
        return self.body


@given(answers)
def test_any_answer_is_read_and_only_known_routes_come_out(text: str) -> None:
    began = time.monotonic()
    reading = read_answer(text, NAMES)
    assert time.monotonic() - began < 5
    if reading.route is None:
        assert reading.detail in DETAILS[1:]
    else:
        assert reading.route in NAMES
        assert reading.detail == ""
        assert 0 <= reading.at < len(text)


@given(
    completions.map(lambda body: json.dumps(body).encode())
    | mutated(answers.map(lambda text: text.encode("utf-8", "replace")))
)
def test_any_completion_is_an_outcome_with_shares_that_sum_to_one(body: bytes) -> None:
    remote: Any = Saying(body)
    for form in (ARCH_ROUTER_CARD, PLANO_ORCHESTRATOR):
        answer = ServedPreference(remote, "m", form, margin=0.1).ask(question())
        assert answer.detail in (*DETAILS, MARGIN, GARBAGE)
        assert (answer.route is not None) == (answer.outcome is Outcome.RESULT)
        assert answer.route is None or answer.route in [route.name for route in ROUTES]
        if answer.scores:
            assert abs(sum(share for _, share in answer.scores) - 1) < 1e-6
            assert all(0 <= share <= 1 + 1e-9 for _, share in answer.scores)
