from __future__ import annotations

import pytest

from signalbox.core import HARD, NEGATION, Surface
from signalbox.features.complexity import complexity
from signalbox.features.vocabulary import (
    CONDITIONALS,
    ENGINEERING,
    HARD_KEYWORDS,
    NEGATIONS,
    NEGATIONS_AND_CONDITIONALS,
    PROFESSIONAL,
    QUANTITATIVE,
    REASONING,
    WORD_CLASSES,
)

NOTHING = Surface(0, 0, 0, 0, False, False, 0)


def test_an_empty_turn_has_no_complexity():
    assert complexity(NOTHING) == 0


@pytest.mark.parametrize(
    ("counts", "score"),
    [
        ({"words": 100}, 0.15),
        ({"words": 200}, 0.30),
        ({"words": 90_000}, 0.30),
        ({"hard_keywords": 1}, 0.04),
        ({"hard_keywords": 50}, 0.20),
        ({"numbers": 4}, 0.075),
        ({"numbers": 80}, 0.15),
        ({"negations": 2}, 0.0375),
        ({"negations": 80}, 0.15),
        ({"code": True}, 0.10),
        ({"maths": True}, 0.10),
        ({"questions": 9}, 0),
    ],
)
def test_each_count_adds_its_share_up_to_a_cap(counts, score):
    assert complexity(NOTHING._replace(**counts)) == pytest.approx(score)


def test_everything_at_its_cap_adds_up_to_one():
    assert complexity(Surface(10**9, 10**9, 10**9, 10**9, True, True, 10**9)) == pytest.approx(1)


def test_no_word_is_hard_and_a_negation_at_once():
    assert HARD_KEYWORDS.isdisjoint(NEGATIONS_AND_CONDITIONALS)
    assert {bits & (HARD | NEGATION) for bits in WORD_CLASSES.values()} == {0, HARD, NEGATION}


def test_no_word_is_listed_twice():
    scored = [bits for bits in WORD_CLASSES.values() if bits & (HARD | NEGATION)]
    groups = [REASONING, ENGINEERING, QUANTITATIVE, PROFESSIONAL, NEGATIONS, CONDITIONALS]
    assert sum(map(len, groups)) == len(scored)
