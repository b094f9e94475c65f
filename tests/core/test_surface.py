"""What the surface counts see, and what they must not see."""

from __future__ import annotations

import json
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox import core
from signalbox.core import ASKING, HARD, INSTRUCTION, NEGATION, Surface, reference

WORDS = {
    "prove": HARD,
    "derive": HARD,
    "not": NEGATION,
    "don't": NEGATION,
    "unless": HARD | NEGATION,
    "write": INSTRUCTION | ASKING,
}


def surface(twin: ModuleType, text: str) -> Surface:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    found = twin.surface(twin.scan(body), twin.Lexicon(WORDS))
    assert isinstance(found, Surface)
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("one two  three\nfour", 4),
        ("don't stop snake_case", 3),
        ("'quoted' -- and, well... (done)", 4),
        ("Größe naïve café Привет", 4),
        ("“smart” don’t — dash", 3),
        ("''' ___ !!!", 0),
        ("step-by-step", 3),
        ("日本語", 2),
        ("日本語です。", 3),
        ("你好 world", 2),
        ("สวัสดี", 3),
        ("ok 👍 👍", 1),
    ],
)
def test_words_are_runs_of_letters_and_dense_scripts_count_half(twin: ModuleType, text: str, words: int) -> None:
    assert surface(twin, text).words == words


@pytest.mark.parametrize(
    ("text", "hard", "negations"),
    [
        ("Prove it, then PROVE it again", 2, 0),
        ("improve the proven approach", 0, 0),
        ("I don't; I don’t; do 'not' and ‘not’", 0, 4),
        ("unless you derive", 2, 1),
        ("prové prove_ prove2", 0, 0),
    ],
)
def test_keywords_are_whole_words_whatever_their_case(twin: ModuleType, text: str, hard: int, negations: int) -> None:
    found = surface(twin, text)
    assert (found.hard_keywords, found.negations) == (hard, negations)


@pytest.mark.parametrize(("text", "numbers"), [("1 22 a3b4", 4), ("3.14 on 2024-01-02", 5), ("none", 0), ("٣", 0)])
def test_numbers_are_runs_of_ascii_digits(twin: ModuleType, text: str, numbers: int) -> None:
    assert surface(twin, text).numbers == numbers


@pytest.mark.parametrize(
    ("text", "questions"),
    [("why? how?? really?!", 3), ("http://a/b?c=d", 0), ("是吗？对", 1), ("'who?' he said", 1), ("no", 0)],
)
def test_questions_are_marks_that_end_something(twin: ModuleType, text: str, questions: int) -> None:
    assert surface(twin, text).questions == questions


@pytest.mark.parametrize(
    "text",
    [
        "look:\n```\nx\n```",
        "call f();",
        "const f = x => y",
        "close the </div>",
        "make && make test",
        "if (x) {\r\n  y\n}",
        "#include <stdio.h>",
        "text\n    def solve(n):\n",
        "fn main() -> i32",
        "please run SELECT name FROM users",
    ],
)
def test_code_is_recognised(twin: ModuleType, text: str) -> None:
    assert surface(twin, text).code


@pytest.mark.parametrize(
    "text",
    [
        "the class starts at nine",
        "class notes (week 3)",
        "#hashtag and # heading",
        "I <3 you, he said {smiling}",
        "select one from the list",
        "SELECTED ITEMS FROM THE LIST",
        "the function f(x) is smooth",
        "use a `flag` here",
        "R&D & sales",
        "say def or fn",
    ],
)
def test_prose_is_not_code(twin: ModuleType, text: str) -> None:
    assert not surface(twin, text).code


@pytest.mark.parametrize(
    "text",
    [
        "solve $x^2 + 1 = 0$ for x",
        "let $n$ be prime",
        "$2x+3$",
        r"evaluate \frac{1}{2} + \int_0^1 x dx",
        "∀x ∈ A: x ≤ 5",
        "what is 12 + 30",
        "12*3",
        "3 × 4",
        "2^10",
        "10 / 4",
        "x = 5",
        "2x + 3 = 11",
        "f(x) = 2",
    ],
)
def test_maths_is_recognised(twin: ModuleType, text: str) -> None:
    assert surface(twin, text).maths


@pytest.mark.parametrize(
    "text",
    [
        "it costs $5 and $6",
        "between $5-$10 or $5/$10",
        "I paid $5, he paid 6$.",
        "on 2024-01-02 or 01/02/2024",
        "open 24/7, pages 3-4",
        "cd $HOME/$USER",
        "http://x/?q=5&v=2",
        "C:\\integration\\summary",
        "retries=3",
        "5 star hotel + breakfast",
        "a = apple",
    ],
)
def test_prices_dates_and_paths_are_not_maths(twin: ModuleType, text: str) -> None:
    assert not surface(twin, text).maths


def test_assignments_in_code_are_not_maths_but_formulas_beside_code_are(twin: ModuleType) -> None:
    assert not surface(twin, "for (;;) {\n i = 0\n}").maths
    assert surface(twin, "for (;;) {\n i = 0\n} // $O(n)$").maths


def test_only_the_last_user_turn_is_counted(twin: ModuleType) -> None:
    body = b'{"model":"m","system":"prove","input":[{"role":"user","content":"prove"},{"role":"user","content":"hi"}]}'
    assert twin.surface(twin.scan(body), twin.Lexicon(WORDS)) == Surface(
        1, 0, 0, 0, False, False, 0, text_bytes=2, letters=(2,) + (0,) * 10
    )


def test_no_user_turn_counts_nothing(twin: ModuleType) -> None:
    assert twin.surface(twin.scan(b'{"model":"m"}'), twin.Lexicon({})) == Surface(0, 0, 0, 0, False, False, 0)


@pytest.mark.parametrize("word", ["", "Prove", "two words", "naïve", "'tis", "x" * 31, "__", "a-b"])
def test_words_that_could_never_match_are_refused(twin: ModuleType, word: str) -> None:
    with pytest.raises(ValueError, match="can never match"):
        twin.Lexicon({word: HARD})


@pytest.mark.parametrize(
    ("text", "hard"),
    [
        ("counterexample-counterexamples", 1),
        ("x" * 30 + " " + "x" * 31, 1),
        ("X" * 30 + "'" * 5, 1),
        ("x" * 30 + "’’ ", 1),
        ("x" * 30 + "’x", 0),
        ("xxxxxxxxy", 0),
        ("\x7fa", 0),
    ],
)
def test_keywords_are_compared_to_their_last_letter(twin: ModuleType, text: str, hard: int) -> None:
    lexicon = twin.Lexicon({"counterexample": HARD, "x" * 30: HARD, "xxxxxxxxz": HARD, "_a": HARD})
    body = json.dumps({"model": "m", "prompt": text}).encode()
    assert twin.surface(twin.scan(body), lexicon).hard_keywords == hard


def test_unknown_classes_are_refused(twin: ModuleType) -> None:
    for classes in (0, 16, 256 + HARD):
        with pytest.raises(ValueError, match="expected HARD, NEGATION, INSTRUCTION, ASKING"):
            twin.Lexicon({"prove": classes})


def test_a_large_lexicon_finds_every_word_and_no_other(twin: ModuleType) -> None:
    lexicon = twin.Lexicon({f"word{i}": HARD for i in range(3000)})
    assert len(lexicon) == 3000
    text = " ".join(f"word{i}" for i in range(6000)).encode()
    assert twin.surface(twin.scan(b'{"model":"m","prompt":"' + text + b'"}'), lexicon).hard_keywords == 3000


PUNCTUATION = "?？؟'’_$=+-/<>{()^*;∑×÷👍 \n\t\x00\u00a0"
LETTERS = "xSß日かİſ"
fragments = st.sampled_from(
    [
        *PUNCTUATION,
        *LETTERS,
        "prove",
        "write",
        ". ",
        "Don’t",
        "don't",
        "unless",
        "12",
        "\r\n",
        "</",
        "();",
        "&&",
        "```",
        "x" * 29,
        "\\int",
        "\\sum",
        "#include",
        "#define",
        "def ",
        "class ",
        "SELECT",
        "FROM",
    ]
)


@given(st.lists(fragments, max_size=25).map("".join) | st.text(max_size=40))
@settings(max_examples=1000, deadline=None)
def test_surface_agrees_with_the_reference(text: str) -> None:
    assert surface(core, text) == surface(reference, text)


@given(
    st.integers(40, 70),
    st.sampled_from([" ", "x", "я", "日", "か"]),
    st.lists(fragments, min_size=1, max_size=6).map("".join),
)
@settings(max_examples=1000, deadline=None)
def test_surface_agrees_with_the_reference_where_its_blocks_of_64_bytes_meet(size: int, filler: str, text: str) -> None:
    for padded in (filler * (size // len(filler.encode())) + text, filler + " " * size + text):
        assert surface(core, padded) == surface(reference, padded)


def test_surface_agrees_with_the_reference_on_every_code_point() -> None:
    """As a word, in a word and behind a question mark. Beyond U+FFFF, where the ranges are few, at the ends of each."""
    ends = (0x10000, 0x1F000, 0x1FB00, 0x20000, 0x40000, 0x110000)
    codes = [
        *range(0x20, 0xD800),
        *range(0xE000, 0x10000),
        *(code for end in ends for code in range(end - 16, end + 16)),
    ]
    code_points = [chr(code) for code in codes if code < 0x110000]
    for first in range(0, len(code_points), 64):
        text = " ".join(f"{code} a{code}a ?{code}" for code in code_points[first : first + 64])
        assert surface(core, text) == surface(reference, text), f"from U+{ord(code_points[first]):04X}"


OUT_OF_REACH = ("SELECT {} FROM t", "SELECT {} SELECT y FROM t", "SELECT {} SELECT; SELECT y FROM t")


@given(st.lists(st.sampled_from(["SELECT", "FROM", "$", ";", "x", "\n"]), max_size=400), st.integers(380, 420))
@settings(max_examples=100, deadline=None)
def test_surface_agrees_with_the_reference_at_the_reach_of_its_rules(pieces: list[str], filler: int) -> None:
    for text in (" ".join(pieces), *(text.format("x" * filler) for text in OUT_OF_REACH), f"${'x' * (filler - 200)}$"):
        assert surface(core, text) == surface(reference, text)
