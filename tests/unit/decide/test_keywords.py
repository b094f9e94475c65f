from __future__ import annotations

import random

from signalbox.decide.keywords import SET_BYTES, Keywords


def test_each_keyword_is_reported_by_its_number():
    assert Keywords(["one", "two", "three"]).find(b"three, then one") == {0, 2}


def test_nothing_is_found_in_nothing():
    assert Keywords(["one"]).find(b"") == frozenset()
    assert Keywords([]).find(b"one") == frozenset()


def test_a_keyword_is_text_not_a_pattern():
    words = Keywords(["a.*b", "(x)", "$5"])
    assert words.find(b"axxb x 5") == frozenset()
    assert words.find(b"a.*b and (x) for $5") == {0, 1, 2}


def test_more_keywords_than_one_set_holds_are_all_found():
    dice = random.Random(7)
    words = ["".join(dice.choices("abcdefghij", k=40)) for _ in range(3 * SET_BYTES // 40)]
    keywords = Keywords(words)
    assert keywords.find(" ".join(words).upper().encode()) == set(range(len(words)))


def test_the_hardest_letters_to_fold_still_fit_one_set():
    # Each of these folds to two or three others, so it takes several times the memory of an ASCII letter.
    words = ["kKſsåÅθϑΘϴεϵΕµμΜ"[shift:] * 8 for shift in range(8)]
    keywords = Keywords(words)
    assert keywords.find(words[3].encode()) >= {3}
