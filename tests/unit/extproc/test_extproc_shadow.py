"""Engines that judge a sample of the traffic once it was answered for."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.engines.base import Answer, Outcome, Question
from signalbox.engines.cuts import Cuts
from signalbox.engines.desk import Desk
from signalbox.engines.open import Engines
from signalbox.extproc.exchange import Exchange
from signalbox.extproc.shadow import DAY_SECONDS, Allowance, Shadows, compile_shadows
from signalbox.label import Label, encode
from signalbox.policy.schema import Policy

from .conftest import Served
from .decisions import POLICY, POLICY_SHA256
from .envoy_messages import body_message, chat, metadata, record
from .envoy_peer import connected

HARD = Answer(Outcome.RESULT, "hard", (("hard", 0.9), ("easy", 0.1)))


def policy(location: str = "local", **shadow: Any) -> Policy:
    engine = {"kind": "preference", "endpoint": "http://arch.test/v1", "model": "arch", "location": location}
    router = {
        "tasks": [{"name": "easy", "models": ["small"]}, {"name": "hard", "models": ["large"]}],
        "default_task": "easy",
        "shadow_engine": {"name": "arch", "share": 1.0, "per_day": 10_000_000, **shadow},
    }
    privacy = {"local_only": {"headers": {"x-data-class": "restricted"}}}
    return Policy.model_validate(
        POLICY.model_dump(exclude_unset=True)
        | {"engines": {"arch": engine}, "routers": {"main": router}, "privacy": privacy}
    )


class Scripted:
    def __init__(self, say: Callable[[Question], Answer]) -> None:
        self.say = say
        self.asked: list[Question] = []

    def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.say(question)

    def close(self) -> None:
        return


@contextmanager
def shadowed(
    using: Policy, say: Callable[[Question], Answer] = lambda _: HARD, *, dice: float = 0.0
) -> Iterator[tuple[Exchange, Scripted, list[Label]]]:
    """An exchange whose router has a shadow engine of one thread, and the labels it told."""
    engine, told = Scripted(say), []
    desk = Desk("arch", engine, deadline_seconds=5.0, max_concurrent=1, max_queued=9)
    engines = Engines({"arch": desk}, Cuts({}, {}))
    pipeline = Pipeline.compile(using)
    found = compile_shadows(using, pipeline, engines, told.append, workers=1, before=None)
    assert found is not None
    exchange = Exchange()
    exchange.use(
        pipeline,
        POLICY_SHA256,
        engines=engines,
        shadows=Shadows(found.shadows, engines, told.append, dice=lambda: dice),
    )
    yield exchange, engine, told
    engines.close()


def until(ready: Callable[[], object]) -> None:
    limit = time.monotonic() + 5
    while not ready():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.002)


def test_a_label_is_told_of_the_decision_and_nothing_of_the_request() -> None:
    with shadowed(policy()) as (exchange, engine, told):
        reply = exchange.answer(body_message(chat()))
        assert metadata(reply.message)["route"] == "easy"
        assert not engine.asked
        assert reply.after is not None
        reply.after()
        until(lambda: told)
    [label] = told
    assert (label.id, label.router, label.engine) == (record(reply.message).id, "main", "arch")
    assert (label.outcome, label.task, label.score, label.scores) == ("result", "hard", 0.9, HARD.scores)
    assert [route.name for route in engine.asked[0].routes] == ["easy", "hard"]
    assert engine.asked[0].request.scan.text() not in encode(label)


def test_the_decision_waits_for_no_shadow_engine() -> None:
    using = policy()
    assert Pipeline.compile(using).has_engines is False
    with shadowed(using) as (exchange, _, _):
        assert exchange.answer(body_message(chat())).waiting is None


@pytest.mark.parametrize(("dice", "asked"), [(0.0, True), (0.29, True), (0.3, False), (0.99, False)])
def test_only_the_share_is_asked_about(dice: float, asked: bool) -> None:
    with shadowed(policy(share=0.3), dice=dice) as (exchange, _, _):
        assert (exchange.answer(body_message(chat())).after is not None) is asked


@pytest.mark.parametrize(("location", "asked"), [("local", True), ("cloud", False)])
def test_a_local_only_request_is_not_shown_to_an_engine_outside_the_site(location: str, asked: bool) -> None:
    with shadowed(policy(location)) as (exchange, _, _):
        restricted = exchange.answer(body_message(chat(), headers={"x-data-class": "restricted"}))
        assert record(restricted.message).privacy == "local"
        assert (restricted.after is not None) is asked
        assert exchange.answer(body_message(chat())).after is not None


def test_it_is_asked_with_spare_threads_only() -> None:
    go = threading.Event()

    def say(_: Question) -> Answer:
        go.wait(5)
        return HARD

    with shadowed(policy(), say) as (exchange, engine, told):
        for _ in range(5):
            after = exchange.answer(body_message(chat())).after
            assert after is not None
            after()
        until(lambda: engine.asked)
        go.set()
        until(lambda: told)
        assert len(engine.asked) == 1
        until(lambda: exchange.engines is not None and exchange.engines.is_free("arch"))


def test_a_label_that_cannot_be_told_costs_no_thread_of_the_engine() -> None:
    using = policy()
    with shadowed(using) as (exchange, engine, _):
        assert exchange.shadows is not None
        assert exchange.engines is not None
        engines = exchange.engines

        def tell(_: Label) -> None:
            raise OSError("the pipe is gone")

        broken = Shadows(exchange.shadows.shadows, engines, tell, dice=lambda: 0.0)
        exchange.use(Pipeline.compile(using), POLICY_SHA256, engines=engines, shadows=broken)
        for number in (1, 2):
            after = exchange.answer(body_message(chat())).after
            assert after is not None
            after()
            until(lambda number=number: len(engine.asked) == number and engines.is_free("arch"))


def test_the_request_is_let_go_with_its_label() -> None:
    with shadowed(policy()) as (exchange, engine, told):
        after = exchange.answer(body_message(chat())).after
        assert after is not None
        after()
        until(lambda: told)
        engine.asked.clear()
        del after
        until(lambda: not [each for each in gc.get_objects() if isinstance(each, Question)])


def test_both_servers_ask_after_the_answer_was_sent(served: Served) -> None:
    with shadowed(policy()) as (exchange, _, told):
        shadows, engines = exchange.shadows, exchange.engines
        served.exchange.use(Pipeline.compile(policy()), POLICY_SHA256, engines=engines, shadows=shadows)
        with connected(served.address) as peer:
            first = record(peer.ask(body_message(chat())))
            until(lambda: told)
    assert [label.id for label in told] == [first.id]


# ---------------------------------------------------------------- what a day allows


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("per_day", [1, 24, 100, 5_000])
def test_a_day_brings_what_it_allows_and_an_hours_worth_to_begin_with(per_day: int) -> None:
    clock = Clock()
    allowance = Allowance(per_day, clock)
    taken = 0
    for _ in range(int(DAY_SECONDS)):
        clock.now += 1.0
        taken += allowance.take()
    assert per_day - 1 <= taken <= per_day * 25 / 24 + 1


def test_what_a_quiet_day_left_is_not_saved_up() -> None:
    clock = Clock()
    allowance = Allowance(2400, clock)
    clock.now += 10 * DAY_SECONDS
    assert sum(allowance.take() for _ in range(1000)) == 100


def test_workers_share_the_allowance_and_a_reload_does_not_renew_it() -> None:
    using = policy(per_day=2400)
    with shadowed(using) as (exchange, _, _):

        def compiled(before: Shadows | None, of: Policy = using) -> Shadows:
            made = compile_shadows(of, Pipeline.compile(of), exchange.engines, print, workers=10, before=before)
            assert made is not None
            return made

        first = compiled(None)
        allowance = first.shadows["main"].allowance
        assert sum(allowance.take() for _ in range(100)) == 10
        assert compiled(first).shadows["main"].allowance is allowance
        assert compiled(first, policy(per_day=4800)).shadows["main"].allowance is not allowance


@pytest.mark.parametrize(("location", "asked"), [("local", True), ("cloud", False)])
def test_what_a_rule_keeps_on_the_site_is_not_shown_to_an_engine_outside_it(location: str, *, asked: bool) -> None:
    document = policy(location).model_dump(exclude_unset=True)
    document["routers"]["main"]["rules"] = [{"when": {"keywords": ["capital"]}, "models": ["small"]}]
    with shadowed(Policy.model_validate(document)) as (exchange, _, _):
        kept = exchange.answer(body_message(chat()))
        assert record(kept.message).reason == "rule"
        assert (kept.after is not None) is asked
        assert exchange.answer(body_message(chat(content="hello"))).after is not None
