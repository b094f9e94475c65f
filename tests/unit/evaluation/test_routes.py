"""Figures of task routing, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from signalbox.evaluation.metrics import Resamples, bootstrap
from signalbox.evaluation.routes import Outcome, Routes

A, B, NONE = frozenset({"a"}), frozenset({"b"}), frozenset[str]()

# Two conversations: a a | a b(wrong) none, and one that is out of scope altogether.
OUTCOMES = (
    Outcome(0, 0, A, "a", "a", 0.9),
    Outcome(0, 0, A, "a", "a", 0.8, stated=False),
    Outcome(1, 0, A, "a", "a", 0.7),
    Outcome(1, 1, B, "a", "a", 0.6),
    Outcome(1, 1, B, None, "b", 0.3, stated=False),
    Outcome(2, 0, NONE, None, "a", 0.2),
    Outcome(3, 0, NONE, "b", "b", 0.65),
)
ROUTES = Routes(OUTCOMES)


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("accuracy", 4 / 7),
        ("in_scope_accuracy", 3 / 5),
        ("best_accuracy", 4 / 5),
        ("stated_accuracy", 2 / 3),
        ("carried_accuracy", 1 / 2),
        ("span_accuracy", 3 / 5),
        ("conversation_accuracy", 2 / 4),
        ("out_of_scope_recall", 1 / 2),
        ("out_of_scope_precision", 1 / 2),
        ("match_rate", 5 / 7),
        ("fallback_rate", 2 / 7),
        ("scope_auroc", 8 / 10),
    ],
)
def test_each_figure_is_the_share_it_says(figure: str, value: float) -> None:
    assert getattr(ROUTES, figure)(np.ones((1, len(OUTCOMES))))[0] == pytest.approx(value)


def test_weights_count_turns_as_often_as_they_were_drawn() -> None:
    weights = np.array([[2.0, 2.0, 0.0, 0.0, 0.0, 1.0, 1.0]])
    assert ROUTES.accuracy(weights)[0] == pytest.approx(5 / 6)
    assert ROUTES.conversation_accuracy(weights)[0] == pytest.approx(3 / 4)


def test_draws_take_conversations_whole() -> None:
    draws = Resamples(len(OUTCOMES), units=ROUTES.units, resamples=50)
    for weights in draws.batches():
        assert (weights[:, 0] == weights[:, 1]).all()
        assert (weights[:, 2] == weights[:, 4]).all()
    found = bootstrap({"one": ROUTES.accuracy, "same": ROUTES.accuracy}, draws)
    difference = found["one"].minus(found["same"])
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_each_task_has_what_was_found_of_it_and_what_it_was_given() -> None:
    assert ROUTES.by_task() == [("a", 3, 1.0, 3 / 4), ("b", 2, 0.0, 0.0)]


def test_a_turn_of_two_tasks_is_right_with_either() -> None:
    both = Routes([Outcome(0, 0, A | B, "b", "b", 0.9)])
    assert both.accuracy(np.ones((1, 1)))[0] == 1.0
    assert both.by_task()[0][:3] == ("a", 1, 1.0)
    assert math.isnan(both.by_task()[0][3])


def test_confusions_are_counted_most_first_and_none_is_called_other() -> None:
    assert ROUTES.confusions(2) == [("b", "a", 1), ("b", "other", 1)]
    assert ROUTES.confusions(5)[2] == ("other", "b", 1)


def test_a_figure_of_nothing_is_not_a_number() -> None:
    assert math.isnan(Routes(OUTCOMES[:2]).out_of_scope_recall(np.ones((1, 2)))[0])
    with pytest.raises(ValueError, match="no outcomes"):
        Routes([])
