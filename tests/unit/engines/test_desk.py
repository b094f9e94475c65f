"""Asking an engine without waiting for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from signalbox.engines.base import Answer, Outcome, Question
from signalbox.engines.desk import Desk, Ticket
from signalbox.features.extract import extract
from tests.unit.decide.cases import make_request

YES = Answer(Outcome.RESULT, "yes", (("yes", 1.0),))


class Scripted:
    """An engine that does what a test tells it."""

    def __init__(self, say: Callable[[], Answer] = lambda: YES) -> None:
        self.say = say
        self.asked = 0
        self.closed = threading.Event()

    def ask(self, question: Question) -> Answer:
        self.asked += 1
        return self.say()

    def close(self) -> None:
        self.closed.set()


def after(go: threading.Event) -> Callable[[], Answer]:
    def say() -> Answer:
        go.wait(5)
        return YES

    return say


def question(seconds: float = 5.0) -> Question:
    request = make_request({"model": "auto", "messages": [{"role": "user", "content": "hello"}]})
    return Question(request, extract(request), (), time.monotonic() + seconds)


@pytest.fixture
def desk() -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(engine: Scripted, *, concurrent: int = 1, queued: int = 4, **options: object) -> Desk:
        made.append(
            Desk("e", engine, deadline_seconds=1, max_concurrent=concurrent, max_queued=queued, **options)  # type: ignore[arg-type]
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def wait_for(ticket: Ticket, seconds: float = 5.0) -> Answer:
    done = threading.Event()
    ticket.when_done(done.set)
    done.wait(seconds)
    return ticket.take()


def test_a_ticket_says_when_it_is_done_and_how_long_that_took(desk: Callable[..., Desk]) -> None:
    answer = wait_for(desk(Scripted()).ask(question()))
    assert (answer.outcome, answer.route) == (Outcome.RESULT, "yes")
    assert 0 <= answer.microseconds < 5_000_000


def test_asking_returns_at_once_and_an_answer_not_there_yet_is_late_for_good(desk: Callable[..., Desk]) -> None:
    go = threading.Event()
    engine = Scripted(after(go))
    began = time.monotonic()
    ticket = desk(engine).ask(question())
    assert time.monotonic() - began < 0.5
    assert (ticket.take().outcome, ticket.take().detail) == (Outcome.LATE, "deadline")
    go.set()
    time.sleep(0.05)
    assert ticket.take().outcome is Outcome.LATE


def test_an_engine_that_hangs_fills_its_queue_and_is_then_not_asked(desk: Callable[..., Desk]) -> None:
    go = threading.Event()
    engine = Scripted(after(go))
    asked = desk(engine, queued=2)
    tickets = [asked.ask(question()) for _ in range(5)]
    full = [ticket for ticket in tickets if ticket.done]
    assert len(full) == 2
    assert {(ticket.take().outcome, ticket.take().detail) for ticket in full} == {(Outcome.LATE, "queue_full")}
    go.set()
    assert wait_for(tickets[2]).outcome is Outcome.RESULT
    assert wait_for(asked.ask(question())).outcome is Outcome.RESULT


def test_a_question_whose_time_is_over_is_not_worth_a_run(desk: Callable[..., Desk]) -> None:
    go = threading.Event()
    engine = Scripted(after(go))
    asked = desk(engine)
    first, second = asked.ask(question()), asked.ask(question(seconds=0.01))
    time.sleep(0.05)
    go.set()
    assert wait_for(first).outcome is Outcome.RESULT
    assert wait_for(second).outcome is Outcome.LATE
    assert engine.asked == 1


def test_an_engine_that_raises_has_failed_and_its_thread_goes_on(desk: Callable[..., Desk]) -> None:
    def say() -> Answer:
        raise MemoryError

    heard: list[tuple[str, BaseException]] = []
    engine = Scripted(say)
    asked = desk(engine, failed=lambda name, problem: heard.append((name, problem)))
    answer = wait_for(asked.ask(question()))
    assert (answer.outcome, answer.detail) == (Outcome.FAILED, "defect")
    assert [(name, type(problem)) for name, problem in heard] == [("e", MemoryError)]
    engine.say = lambda: YES
    assert wait_for(asked.ask(question())).outcome is Outcome.RESULT


def test_as_many_run_at_once_as_are_allowed(desk: Callable[..., Desk]) -> None:
    together = threading.Barrier(3)

    def say() -> Answer:
        together.wait(5)
        return YES

    asked = desk(Scripted(say), concurrent=3)
    tickets = [asked.ask(question()) for _ in range(3)]
    assert [wait_for(ticket).outcome for ticket in tickets] == [Outcome.RESULT] * 3


def test_closing_answers_what_was_asked_and_then_lets_the_engine_go(desk: Callable[..., Desk]) -> None:
    engine = Scripted()
    asked = desk(engine)
    ticket = asked.ask(question())
    asked.close()
    assert wait_for(ticket).outcome is Outcome.RESULT
    assert engine.closed.wait(5)
