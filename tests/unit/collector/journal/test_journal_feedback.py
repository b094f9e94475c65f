"""Marks, the models they are for, and what becomes of them."""

from __future__ import annotations

from collections import Counter

import pytest
from access_log_entries import decision, unrouted_entry
from hypothesis import given
from hypothesis import strategies as st
from journal_records import one_request

from signalbox.collector.journal import feedback as feedback_module
from signalbox.collector.journal.feedback import EARLY_SECONDS, Feedback, verdict_of
from signalbox.telemetry import FeedbackVerdict


class Book:
    """Feedback with a clock the test turns."""

    def __init__(self, half_life_seconds: float = 100.0) -> None:
        self.now_seconds = 0.0
        self.counted: Counter[tuple[str, str, str]] = Counter()
        self.feedback = Feedback(self.count, lambda: self.now_seconds, half_life_seconds=half_life_seconds)

    def count(self, router: str, model: str, verdict: FeedbackVerdict) -> None:
        self.counted[router, model, verdict.value] += 1


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.mark.parametrize(("score", "verdict"), [(1, "good"), (0.5, "good"), (0.49, "bad"), (0, "bad"), (None, "none")])
def test_a_score_is_good_from_a_half_on(score, verdict):
    assert verdict_of(score) == verdict


def test_a_mark_is_for_the_model_that_answered(book):
    book.feedback.decided("sb-1", "coding", "qwen")
    assert book.feedback.mark("sb-1", 1.0) is True
    assert book.counted == {("coding", "qwen", "good"): 1}
    assert book.feedback.acceptance("coding", "qwen") == (1.0, 1.0)
    assert book.feedback.acceptance("coding", "gpt-large") == (0.0, 0.0)


def test_the_last_mark_of_a_decision_counts_and_it_counts_once(book):
    book.feedback.decided("sb-1", "coding", "qwen")
    for score in (1.0, 1.0, 0.0, None, 0.0):
        book.feedback.mark("sb-1", score)

    assert book.feedback.acceptance("coding", "qwen") == (0.0, 1.0)
    assert book.counted == {("coding", "qwen", "good"): 1}


def test_a_label_alone_is_no_mark_for_or_against(book):
    book.feedback.decided("sb-1", "coding", "qwen")
    book.feedback.mark("sb-1", None)

    assert book.feedback.acceptance("coding", "qwen") == (0.0, 0.0)
    assert book.counted == {("coding", "qwen", "none"): 1}


def test_a_mark_loses_half_its_weight_in_each_half_life(book):
    book.feedback.decided("sb-1", "coding", "qwen")
    book.feedback.decided("sb-2", "coding", "qwen")
    book.feedback.mark("sb-1", 1.0)
    book.now_seconds = 100
    book.feedback.mark("sb-2", 0.0)
    assert book.feedback.acceptance("coding", "qwen") == pytest.approx((0.5, 1.5))
    book.now_seconds = 200
    assert book.feedback.acceptance("coding", "qwen") == pytest.approx((0.25, 0.75))
    book.feedback.mark("sb-1", 0.0)  # what is left of the good mark goes
    assert book.feedback.acceptance("coding", "qwen") == pytest.approx((0.0, 1.5))


def test_a_mark_that_comes_before_the_answer_has_ended_waits_for_it(book):
    assert book.feedback.mark("sb-1", 1.0) is False
    assert book.feedback.mark("sb-1", 0.0) is False
    assert book.counted == {}
    book.feedback.decided("sb-1", "coding", "qwen")

    assert book.counted == {("coding", "qwen", "bad"): 1}
    assert book.feedback.acceptance("coding", "qwen") == (0.0, 1.0)


def test_a_mark_for_nothing_is_counted_as_that_in_the_end(book):
    book.feedback.mark("sb-1", 1.0)
    book.now_seconds = EARLY_SECONDS
    book.feedback.expire()
    assert book.counted == {}
    book.now_seconds += 1
    book.feedback.expire()

    assert book.counted == {("other", "other", "good"): 1}
    assert len(book.feedback) == 0


def test_memory_is_bounded_and_the_newest_stay(book, monkeypatch):
    monkeypatch.setattr(feedback_module, "MAX_DECISIONS", 100)
    monkeypatch.setattr(feedback_module, "MAX_EARLY", 10)
    for number in range(1000):
        book.feedback.decided(f"sb-{number}", "coding", "qwen")
        book.feedback.mark(f"no-{number}", 0.0)

    assert len(book.feedback) == 110
    assert book.feedback.mark("sb-999", 1.0)
    assert not book.feedback.mark("sb-899", 1.0)
    assert book.counted["other", "other", "bad"] == 991


def test_a_decision_is_new_once(book):
    assert book.feedback.decided("sb-1", "coding", "qwen") is True
    assert book.feedback.decided("sb-1", "coding", "gpt-large") is False
    book.feedback.mark("sb-1", 1.0)
    assert book.feedback.acceptance("coding", "qwen") == (1.0, 1.0)


def test_models_a_policy_no_longer_has_are_forgotten(book):
    for model in ("old", "new"):
        book.feedback.decided(f"sb-{model}", "coding", model)
        book.feedback.mark(f"sb-{model}", 1.0)
    book.feedback.keep(frozenset({"new"}))

    assert book.feedback.acceptance("coding", "old") == (0.0, 0.0)
    assert book.feedback.acceptance("coding", "new") == (1.0, 1.0)


steps = st.lists(
    st.tuples(
        st.sampled_from(["decided", "mark"]),
        st.integers(0, 5),
        st.sampled_from([None, 0.0, 0.3, 0.5, 1.0]),
        st.floats(0, 500),
    ),
    max_size=40,
)


@given(steps)
def test_in_any_order_acceptance_is_the_sum_of_last_marks_by_their_age(steps):
    book = Book()
    decided: set[int] = set()
    marks: dict[int, tuple[float | None, float]] = {}
    for what, number, score, wait_seconds in steps:
        book.now_seconds += wait_seconds
        if what == "decided":
            if number not in decided and number in marks:
                marks[number] = marks[number][0], book.now_seconds  # an early mark counts from here
            decided.add(number)
            book.feedback.decided(f"sb-{number}", "coding", "qwen")
        else:
            marks[number] = score, book.now_seconds
            assert book.feedback.mark(f"sb-{number}", score) is (number in decided)
    weights = [
        (score, 0.5 ** ((book.now_seconds - at) / 100))
        for number, (score, at) in marks.items()
        if number in decided and score is not None
    ]
    good, total = book.feedback.acceptance("coding", "qwen")
    assert total == pytest.approx(sum(weight for _, weight in weights), abs=1e-9)
    assert good == pytest.approx(sum(weight for score, weight in weights if score >= 0.5), abs=1e-9)
    assert 0 <= good <= total
    assert sum(book.counted.values()) == len(decided & marks.keys())


def test_the_collector_knows_a_decision_once_its_request_has_ended(bench):
    assert bench.collector.journal.mark("sb-1", 0.0, "") is False
    one_request(bench, id="sb-1")
    assert bench.collector.journal.mark("sb-1", 1.0, "") is True
    one_request(bench, number=1, id="sb-2", router="", route="gpt-large")
    assert bench.collector.journal.mark("sb-2", 1.0, "fine") is True

    assert bench.value("signalbox_feedback_total", router="coding", model="gpt-large", verdict="bad") == 1
    assert bench.value("signalbox_feedback_total", router="", model="gpt-large", verdict="good") == 1
    assert bench.collector.journal.feedback.acceptance("coding", "gpt-large") == (1.0, 1.0)


def test_a_mark_for_an_engines_own_answer_is_the_engines(bench):
    spent = [["router-r1", 900, 60, False]]
    metadata = decision(id="sb-1", engine="judge", reason="answered", spent_on_answer=spent)
    bench.requests(unrouted_entry(200, "signalbox_answered", metadata=metadata))

    assert bench.collector.journal.mark("sb-1", 0.0, "") is True
    assert bench.value("signalbox_feedback_total", router="coding", model="judge", verdict="bad") == 1


def test_a_mark_for_a_decision_without_an_answer_is_for_nobody(bench):
    one_request(bench, id="sb-1", error="no_candidate", chain=())
    bench.collector.journal.mark("sb-unheard-of", 1.0, "")
    bench.later(EARLY_SECONDS + 1)

    assert bench.value("signalbox_feedback_total", router="other", model="other", verdict="good") == 1
