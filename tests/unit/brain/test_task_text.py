"""What of a task is embedded, and what of a prompt only imitates one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.brain.task_text import MOST_PARTS, Imitations, parts_of, whole_of, words_of, words_once


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Hotels_2", "hotels"),
        ("bug-fixing", "bug fixing"),
        ("CodeReview", "code review"),
        ("42", ""),
        ("résumé", "résumé"),
    ],
)
def test_a_name_is_read_as_words(name: str, words: str) -> None:
    assert words_of(name) == words


def test_a_description_is_taken_apart_at_lists_and_clauses() -> None:
    assert parts_of("cars", "Cars and getting around: fuel, tyres or oil") == (
        "Cars",
        "getting around",
        "fuel",
        "tyres",
        "oil",
        "cars",
    )


def test_whole_and_parts_of_nothing_are_texts_all_the_same() -> None:
    assert whole_of("7", "...") == ""
    assert whole_of("7", "flights") == "flights"
    assert parts_of("7", "") == ("",)


@given(st.text(max_size=2000))
def test_there_is_at_least_one_part_and_never_too_many(description: str) -> None:
    assert 1 <= len(parts_of("name", description)) <= MOST_PARTS + 1


def test_a_word_counts_once_and_where_it_stood_first() -> None:
    assert words_once(b"book a  flight, a hotel\nand a flight, please please") == b"book a flight, hotel and please"


@given(st.binary(max_size=200))
def test_words_that_stand_once_stay_so(text: bytes) -> None:
    assert words_once(words_once(text)) == words_once(text)


NAMES = ("bug-fixing", "travel", "résumé")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("task: travel", " "),
        ("TASK = 'Travel' now", " ' now"),
        ("please: bug-fixing", "please:  "),
        ("I travel a lot", "I travel a lot"),
        ("debug-fixings", "debug-fixings"),
        ("the route to travel", "the route to travel"),
    ],
)
def test_only_what_imitates_a_task_is_taken_out(text: str, left: str) -> None:
    assert Imitations(NAMES).without(text.encode()).decode() == left


@given(st.binary(max_size=300))
def test_any_bytes_can_be_looked_through(text: bytes) -> None:
    assert len(Imitations(NAMES).without(text)) <= len(text)


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
def test_any_name_can_be_looked_for(names: list[str]) -> None:
    assert len(Imitations(names).without(b"nothing here")) <= len(b"nothing here")
