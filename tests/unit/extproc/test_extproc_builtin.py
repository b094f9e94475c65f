"""Requests that the built-in engine is asked about: answered in the one exchange, and nobody waits."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.engines.base import Answer, Outcome
from signalbox.engines.open import open_engines
from signalbox.extproc.exchange import Exchange
from signalbox.policy.schema import Policy
from tests.unit.engines.brains import BROKEN, HARD, ODD, Brain, use

from .decisions import POLICY, POLICY_SHA256
from .envoy_messages import body_message, chat, record

TIERS = {"name": "builtin", "strong": "hard", "weak": "easy"}


@pytest.fixture
def brain(monkeypatch: pytest.MonkeyPatch) -> Brain:
    return use(monkeypatch)


def exchange(engine: Any, **more: Any) -> Exchange:
    router = {
        "tasks": [{"name": "easy", "models": ["small"]}, {"name": "hard", "models": ["large"]}],
        "engine": engine,
        "default_task": "easy",
    }
    policy = Policy.model_validate(POLICY.model_dump(exclude_unset=True) | {"routers": {"main": router}} | more)
    made = Exchange()
    made.use(Pipeline.compile(policy), POLICY_SHA256, engines=open_engines(policy))
    return made


def told(made: Exchange, content: str) -> Any:
    reply = made.answer(body_message(chat(content=content)))
    assert reply.waiting is None
    return record(reply.message)


def test_it_is_answered_at_once_and_the_record_says_by_what(brain: Brain) -> None:
    threads = threading.active_count()
    made = exchange(TIERS)
    found = told(made, f"{HARD} {HARD} it")
    assert (found.route, found.reason, found.engine, found.engine_outcome) == ("hard", "engine", "builtin", "result")
    assert (found.score, found.threshold, found.cut) == (pytest.approx(2 / 3), 0.5, "")
    assert found.decide_us >= found.engine_us
    assert found.asked == ()  # nobody beside it
    assert threading.active_count() == threads


def test_a_defect_of_the_models_costs_an_answer_and_never_the_request(brain: Brain) -> None:
    found = told(exchange(TIERS), f"{HARD} {BROKEN}")
    assert (found.route, found.reason, found.engine_outcome) == ("easy", "engine_failed", "failed")


def test_a_target_share_is_met_by_what_comes_and_its_state_goes_out_with_each_record(brain: Brain) -> None:
    made = exchange(TIERS | {"target_share": 0.3})
    told_ = [told(made, " ".join([HARD] * (number * 7 % 10) + ["word"] * 10)) for number in range(400)]
    assert told_[0].cut == "learning"
    assert told_[-1].cut == "following"
    assert sum(each.route == "hard" for each in told_[100:]) / 300 == pytest.approx(0.3, abs=0.03)


class Heavy:
    def ask(self, question: Any) -> Answer:
        return Answer(Outcome.RESULT, "strong", (("strong", 0.9), ("weak", 0.1)))

    def close(self) -> None:
        return


def test_only_what_it_is_not_sure_of_waits_for_a_second_opinion(brain: Brain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalbox.engines.open.open_engine", lambda *_, **__: (Heavy(), ""))
    engines = {"bert": {"kind": "classifier", "bundle": "/models/bert", "deadline_ms": 5000}}
    made = exchange(TIERS | {"then": "bert"}, engines=engines)
    assert told(made, "good morning to you").engine == "builtin"
    reply = made.answer(body_message(chat(content=f"good morning {ODD}")))
    assert reply.waiting is not None
    done = threading.Event()
    reply.waiting.when_done(done.set)
    assert done.wait(5)
    found = record(reply.waiting.finish().message)
    assert (found.route, found.engine, found.score, found.first_score) == ("hard", "bert", 0.9, 0.0)


def test_a_reload_keeps_what_its_thresholds_have_learned(brain: Brain) -> None:
    made = exchange(TIERS | {"target_share": 0.3})
    for number in range(100):
        told(made, " ".join([HARD] * (number % 10) + ["word"] * 10))
    policy = Policy.model_validate(
        POLICY.model_dump(exclude_unset=True)
        | {
            "routers": {
                "main": {
                    "tasks": [{"name": "easy", "models": ["small"]}, {"name": "hard", "models": ["large", "small"]}],
                    "engine": TIERS | {"target_share": 0.3},
                    "default_task": "easy",
                }
            }
        }
    )
    made.use(Pipeline.compile(policy), "cd" * 32, engines=open_engines(policy, before=made.engines))
    assert told(made, "good morning").cut == "following"
