"""A preference model at a server: what it is asked, what is made of its answer, and every way it can fail."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest

from signalbox.engines.base import Outcome, Route
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.preference.prompts import ARCH_ROUTER_CARD, ARCH_ROUTER_PLANO, PLANO_ORCHESTRATOR, PromptFormat
from signalbox.engines.preference.served import ServedPreference
from signalbox.engines.remote import Remote
from signalbox.errors import RouterError
from tests.unit.engines.preference.questions import ROUTES, question
from tests.unit.engines.preference.tokenizers_like_qwen import prompt_tokenizer
from tests.unit.engines.scripted_server import Server, Turn, drip, respond, say, serving, wait


def completion(text: Any, logprobs: Any = None) -> Turn:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return respond(json.dumps({"choices": [choice | ({} if logprobs is None else {"logprobs": logprobs})]}).encode())


def engine(server: Server, form: PromptFormat = ARCH_ROUTER_PLANO, **more: Any) -> ServedPreference:
    served = ServedPreference(Remote(server.url), "arch-router", form, **more)
    server.closes.append(served.close)
    return served


def reported(name: str, share: float, rival: str) -> dict[str, Any]:
    """Log-probabilities of `{"route": "NAME"}` in three tokens."""

    def token(text: str, probability: float) -> dict[str, Any]:
        return {"token": text, "logprob": math.log(probability)}

    name_token = token(name, share) | {"top_logprobs": [token(name, share), token(rival, 1 - share)]}
    return {"content": [token('{"route": "', 1), name_token, token('"}', 1)]}


def test_the_server_is_asked_with_the_models_own_prompt_and_its_answer_is_the_route() -> None:
    with serving(completion('{"route": "code review"}')) as server:
        answer = engine(server).ask(question(("system", "be kind"), ("user", "is this good?")))
        [body] = server.bodies
    assert (answer.outcome, answer.route, answer.scores) == (Outcome.RESULT, "code review", ())
    prompt = body["messages"][0]["content"]
    assert prompt == ARCH_ROUTER_PLANO.render(ROUTES, [(1, b"is this good?")])
    assert len(body["messages"]) == 1
    assert (body["model"], body["temperature"], body["stream"], body["logprobs"]) == ("arch-router", 0, False, True)


def test_the_orchestrators_list_is_read_and_its_first_route_counts() -> None:
    with serving(completion('{"route": ["small talk", "code"]}')) as server:
        assert engine(server, PLANO_ORCHESTRATOR).ask(question()).route == "small talk"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ('{"route": "other"}', "no_route"),
        ('{"route": "cooking"}', "unknown_route"),
        ('{"route": "code"} {"route": "small talk"}', "ambiguous"),
        ("I cannot help with that.", "unreadable"),
        ("", "unreadable"),
        (None, "unreadable"),
        (["code"], "unreadable"),
    ],
)
def test_an_answer_that_decides_nothing_is_unsure_and_says_why(text: Any, detail: str) -> None:
    with serving(completion(text)) as server:
        answer = engine(server).ask(question())
    assert (answer.outcome, answer.route, answer.detail) == (Outcome.UNSURE, None, detail)


@pytest.mark.parametrize(
    ("turn", "outcome", "detail"),
    [
        (respond(b"{}", "500 Internal Server Error"), Outcome.FAILED, "status"),
        (respond(b"{}", "429 Too Many Requests"), Outcome.FAILED, "overloaded"),
        (respond(b"{}", "404 Not Found"), Outcome.FAILED, "status"),
        (respond(b"{}", "422 Unprocessable"), Outcome.FAILED, "refused"),
        (respond(b"<html>"), Outcome.FAILED, "garbage"),
        (respond(b"[" * 100_000), Outcome.FAILED, "garbage"),
        (respond(b'{"choices": []}'), Outcome.FAILED, "garbage"),
        (respond(b'{"choices": [{"message": null}]}'), Outcome.FAILED, "garbage"),
        (respond(b"\xff\xfe\x00"), Outcome.FAILED, "garbage"),
        (respond(b" " * (256 * 1024 + 1)), Outcome.FAILED, "too_large"),
        (say(b"", close=True), Outcome.FAILED, "unreachable"),
        (wait, Outcome.LATE, "deadline"),
        (drip(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n" + b" " * 99, 0.05), Outcome.LATE, "deadline"),
    ],
)
def test_a_server_that_fails_is_an_outcome_with_a_detail(turn: Turn, outcome: Outcome, detail: str) -> None:
    with serving(turn) as server:
        began = time.monotonic()
        answer = engine(server).ask(question(seconds=0.4))
        assert (answer.outcome, answer.detail, answer.route) == (outcome, detail, None)
        assert time.monotonic() - began < 5


def test_log_probabilities_become_scores() -> None:
    with serving(completion('{"route": "code"}', reported("code", 0.75, "small"))) as server:
        answer = engine(server, margin=0.4).ask(question())
    assert answer.route == "code"
    assert dict(answer.scores) == pytest.approx({"code": 0.75, "small talk": 0.25, "code review": 0, "other": 0})


def test_a_lead_below_the_margin_decides_nothing() -> None:
    with serving(completion('{"route": "code"}', reported("code", 0.6, "other"))) as server:
        answer = engine(server, margin=0.4).ask(question())
    assert (answer.outcome, answer.detail) == (Outcome.UNSURE, "margin")
    assert answer.scores[0][0] == "code"


def test_a_server_without_log_probabilities_is_asked_for_them_once() -> None:
    def strict(server: Server, sock: Any) -> None:
        asked = "logprobs" in server.bodies[-1]
        (respond(b"{}", "400 Bad Request") if asked else completion('{"route": "code"}'))(server, sock)

    with serving(strict) as server:
        served = engine(server)
        assert [served.ask(question()).route for _ in range(2)] == ["code", "code"]
        assert ["logprobs" in body for body in server.bodies] == [True, False, False]


def test_a_question_that_is_refused_either_way_does_not_cost_the_next_ones_log_probabilities() -> None:
    refused = respond(b"{}", "400 Bad Request")
    with serving(refused, refused, completion('{"route": "code"}')) as server:
        served = engine(server)
        assert [served.ask(question()).detail for _ in range(2)] == ["refused", ""]
        assert ["logprobs" in body for body in server.bodies] == [True, False, True]


def test_the_same_prompt_is_answered_from_the_cache_and_failures_are_not() -> None:
    turns = (respond(b"", "500 Oops"), completion('{"route": "cooking"}'), completion('{"route": "code"}'))
    with serving(*turns, respond(b"", "500 Oops")) as server:
        served = engine(server, cache=DecisionCache(8, 60))
        assert [served.ask(question()).detail for _ in range(4)] == ["status", "unknown_route", "", ""]
        assert len(server.requests) == 3
        assert served.ask(question(("user", "another"))).detail == "status"


def test_a_prompt_is_cut_to_the_budget_in_the_models_tokens() -> None:
    tokenizer = prompt_tokenizer()
    with serving(completion('{"route": "code"}')) as server:
        served = engine(server, ARCH_ROUTER_CARD, encoder=tokenizer, budget=800)
        assert served.ask(question(("user", "почему это не работает? " * 500))).route == "code"
        prompt = server.bodies[0]["messages"][0]["content"]
    assert 0.9 * 800 < tokenizer.count(prompt.encode()) <= 800


def test_nothing_is_asked_without_text_or_routes() -> None:
    with serving(wait) as server:
        served = engine(server)
        assert served.ask(question(("system", "x"))).detail == "no_text"
        assert served.ask(question(routes=())).detail == "no_routes"
        many = tuple(Route(f"r{n}", "words " * 50) for n in range(100))
        assert (served.ask(question(routes=many)).outcome, served.ask(question(routes=many)).detail) == (
            Outcome.FAILED,
            "routes",
        )
        with pytest.raises(RouterError, match="fix: a budget"):
            served.prepare(many)
        assert server.requests == []


def test_a_conversation_that_the_tokenizer_has_no_tokens_for_is_a_failure() -> None:
    class Poor:
        """As `HuggingFaceEncoder` over a vocabulary without bytes and without a token for the unknown."""

        def count(self, text: bytes) -> int:
            if "漢".encode() in text:
                raise RouterError("the vocabulary has no token for a part of this text")
            return len(text) // 3

        def ends(self, text: bytes) -> list[int]:
            return list(range(3, len(text), 3))

    with serving(wait) as server:
        answer = engine(server, encoder=Poor()).ask(question(("user", "漢字")))
        assert (answer.outcome, answer.detail) == (Outcome.FAILED, "no_tokens")
        assert server.requests == []
