"""Router-R1's own answers: to whom they may be given, and what they cost."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from signalbox.engines.base import Answer, Outcome, Question, Route
from signalbox.engines.deliberate.answerable import MAX_BODY_BYTES
from signalbox.engines.deliberate.consult import Pool
from signalbox.engines.deliberate.engine import Deliberate
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.remote import Remote
from signalbox.features.extract import extract
from signalbox.types import Endpoint, Spent
from tests.unit.decide.cases import make_request
from tests.unit.engines.scripted_server import Server, Turn, respond, serving

POOL = (Route("A-7B", "A-7B is a small model, quick."), Route("B-70B", "B-70B is large."))
ASKED = {"role": "user", "content": "Who wrote Faust?"}
CHAT: dict[str, Any] = {"model": "auto", "messages": [ASKED]}


def said(text: str, reason: str = "stop", read: Any = 300, written: Any = 20) -> Turn:
    usage = {"prompt_tokens": read, "completion_tokens": written}
    return respond(json.dumps({"choices": [{"text": text, "finish_reason": reason}], "usage": usage}).encode())


def answers(text: str, *headers: str) -> Turn:
    usage = {"prompt_tokens": 40, "completion_tokens": 7}
    body = {"choices": [{"message": {"content": text}}], "usage": usage}
    return respond(json.dumps(body).encode(), "200 OK", *headers)


def question(body: dict[str, Any], endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS) -> Question:
    request = make_request(body, endpoint=endpoint)
    return Question(request, extract(request), POOL, time.monotonic() + 30)


def ask(server: Server, asked: Question, gateway: Server | None = None, **more: Any) -> Answer:
    pool = None if gateway is None else Pool(Remote(gateway.url))
    engine = Deliberate(Remote(server.url), "router-r1", pool=pool, **{"answers": True, **more})
    server.closes.append(engine.close)
    return engine.ask(asked)


def test_an_answer_comes_with_what_all_of_it_cost_by_model() -> None:
    turns = (
        said("<search> B-70B: Who? ", read=300, written=20),
        said("<search> A-7B: Sure? ", read=350, written=15),
        said("<think>Both say so.</think><answer> Goethe ", read=400, written=10),
    )
    through_envoy = answers("Goethe wrote it.", "x-signalbox-decision: sb-1")
    with serving(*turns) as server, serving(through_envoy, answers("Yes.")) as gateway:
        answer = ask(server, question(CHAT), gateway)
    assert (answer.outcome, answer.route) == (Outcome.RESULT, "A-7B")
    assert answer.completion is not None
    assert answer.completion.text == "Goethe"
    assert answer.completion.spent == (
        Spent("router-r1", 1050, 45, counted=False),
        Spent("B-70B", 40, 7, counted=True),
        Spent("A-7B", 40, 7, counted=False),
    )
    assert (answer.completion.input_tokens, answer.completion.output_tokens) == (1130, 59)


def test_an_answer_without_consulting_anybody_is_a_result_without_a_route() -> None:
    with serving(said("<answer>Goethe</answer>")) as server:
        answer = ask(server, question(CHAT))
    assert (answer.outcome, answer.route) == (Outcome.RESULT, None)
    assert answer.completion is not None
    assert answer.completion.text == "Goethe"


def test_without_a_pool_the_first_call_is_still_the_route() -> None:
    with serving(said("<search> B-70B: Who? ")) as server:
        answer = ask(server, question(CHAT))
    assert (answer.outcome, answer.route, answer.completion) == (Outcome.RESULT, "B-70B", None)


@pytest.mark.parametrize(
    "body",
    [
        {**CHAT, "temperature": 0.2, "seed": 7, "user": "u", "metadata": {"a": "b"}, "max_completion_tokens": 100},
        {**CHAT, "stream": True, "stream_options": {"include_usage": True}},
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "text", "text": "Who wrote Faust?"}]}]},
    ],
)
def test_a_question_that_is_the_whole_request_is_answered(body: dict[str, Any]) -> None:
    with serving(said("<answer> Goethe ")) as server:
        assert ask(server, question(body)).completion is not None


@pytest.mark.parametrize(
    "body",
    [
        {**CHAT, "messages": [{"role": "system", "content": "Answer in verse."}, ASKED]},
        {**CHAT, "messages": [ASKED, {"role": "assistant", "content": "Goethe."}, ASKED]},
        {**CHAT, "messages": [{**ASKED, "name": "bob"}]},
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "text", "text": "Who?"}] * 2}]},
        {**CHAT, "messages": [{"role": "user", "content": "why? " * 1000}]},
        {**CHAT, "messages": [{"role": "user", "content": "why? " * (MAX_BODY_BYTES // 5)}]},
        {**CHAT, "tools": [{"type": "function", "function": {"name": "f"}}]},
        {**CHAT, "response_format": {"type": "json_object"}},
        {**CHAT, "n": 2},
        {**CHAT, "stop": ["."]},
        {**CHAT, "logprobs": True},
        {**CHAT, "models": ["A-7B"]},
        {**CHAT, "something_new": 1},
        {**CHAT, "max_tokens": 1},
    ],
)
def test_a_request_that_wants_more_than_the_question_says_is_only_routed(body: dict[str, Any]) -> None:
    with serving(said("<search> A-7B: Who? "), said("<answer> Goethe ")) as server, serving(answers("x")) as gateway:
        answer = ask(server, question(body), gateway)
    assert (answer.outcome, answer.route, answer.completion) == (Outcome.RESULT, "A-7B", None)


@pytest.mark.parametrize(
    ("endpoint", "body", "answered"),
    [
        (Endpoint.MESSAGES, {**CHAT, "max_tokens": 100}, True),
        (Endpoint.MESSAGES, {**CHAT, "max_tokens": 100, "system": "Answer in verse."}, False),
        (Endpoint.RESPONSES, {"model": "auto", "input": "Who wrote Faust?"}, False),
        (Endpoint.COMPLETIONS, {"model": "auto", "prompt": "Who wrote Faust?"}, False),
    ],
)
def test_chats_and_messages_are_answered_and_other_endpoints_routed(
    endpoint: Endpoint, body: dict[str, Any], *, answered: bool
) -> None:
    with serving(said("<answer> Goethe ")) as server:
        assert (ask(server, question(body, endpoint)).completion is not None) is answered


@pytest.mark.parametrize(
    "turn",
    [
        said("<answer> Goethe and", "length"),
        said("<answer> Goethe ", read=None),
        said("<answer> Goethe ", written=-1),
        said("<answer> Goethe ", written=True),
        respond(json.dumps({"choices": [{"text": "<answer> Goethe ", "finish_reason": "stop"}]}).encode()),
    ],
)
def test_an_answer_that_was_cut_or_whose_cost_nobody_knows_is_not_given(turn: Turn) -> None:
    with serving(turn) as server:
        answer = ask(server, question(CHAT))
    assert (answer.outcome, answer.detail, answer.completion) == (Outcome.UNSURE, "answered", None)


def test_an_answer_is_kept_for_nobody_else_and_a_routed_twin_does_not_stand_for_it() -> None:
    cache = DecisionCache(8, 60)
    in_verse = {**CHAT, "messages": [{"role": "system", "content": "Answer in verse."}, ASKED]}
    with serving(said("<answer> Goethe ")) as server:
        for _ in range(2):
            assert ask(server, question(CHAT), cache=cache).completion is not None
        assert len(cache) == 0
        assert ask(server, question(in_verse), cache=cache).completion is None
        assert ask(server, question(in_verse), cache=cache).completion is None
        assert len(server.requests) == 3
        assert ask(server, question(CHAT), cache=cache).completion is not None


def test_nothing_is_answered_unless_the_operator_wants_it() -> None:
    with serving(said("<answer> Goethe ")) as server:
        answer = ask(server, question(CHAT), answers=False)
    assert (answer.outcome, answer.detail, answer.completion) == (Outcome.UNSURE, "answered", None)
