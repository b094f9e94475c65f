"""How much of a turn is code, maths or one script; where its instructions stand; what may be asked of the answer."""

from __future__ import annotations

import json
import unicodedata
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox import core
from signalbox.core import ASKING, INSTRUCTION, SCRIPTS, Surface, reference
from signalbox.core.vocabulary import ASKED_BYTES

WORDS = {"write": INSTRUCTION, "fix": INSTRUCTION, "words": ASKING, "draw": INSTRUCTION | ASKING}


def surface(twin: ModuleType, text: str) -> Surface:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}, ensure_ascii=False).encode()
    found = twin.surface(twin.scan(body), twin.Lexicon(WORDS))
    assert isinstance(found, Surface)
    return found


def scripts(found: Surface) -> dict[str, int]:
    return {name: count for name, count in zip(SCRIPTS, found.letters, strict=True) if count}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello, 1 World!", {"latin": 10}),
        ("Größe naïve", {"latin": 10}),
        ("Привет", {"cyrillic": 6}),
        ("Καλημέρα", {"greek": 8}),
        ("مرحبا", {"arabic": 5}),
        ("שלום", {"hebrew": 4}),
        ("नमस्ते", {"devanagari": 6}),
        ("我们 、。", {"cjk": 2}),
        ("これはカタカナ", {"kana": 7}),
        ("漢字かな", {"cjk": 2, "kana": 2}),
        ("안녕하세요", {"hangul": 5}),
        ("สวัสดี", {"thai": 6}),
        ("ሰላም", {"other": 3}),
        ("গান ગીત", {"other": 6}),
        ("👍 1 + 1 = 2 …", {}),
        ("x" * 200 + "я" * 200, {"latin": 200, "cyrillic": 200}),
    ],
)
def test_letters_are_counted_by_script(twin: ModuleType, text: str, found: dict[str, int]) -> None:
    assert scripts(surface(twin, text)) == found


@pytest.mark.parametrize(
    ("script", "first", "last", "name"),
    [
        ("latin", 0x41, 0x24F, "LATIN"),
        ("greek", 0x386, 0x3FF, "GREEK"),
        ("cyrillic", 0x400, 0x52F, "CYRILLIC"),
        ("hebrew", 0x5D0, 0x5EA, "HEBREW"),
        ("arabic", 0x620, 0x64A, "ARABIC"),
        ("devanagari", 0x904, 0x939, "DEVANAGARI"),
        ("thai", 0xE01, 0xE30, "THAI"),
        ("kana", 0x3041, 0x3096, "HIRAGANA"),
        ("kana", 0x30A1, 0x30FA, "KATAKANA"),
        ("cjk", 0x4E00, 0x9FFF, "CJK"),
        ("hangul", 0xAC00, 0xD7A3, "HANGUL"),
    ],
)
def test_scripts_are_what_unicode_calls_them(script: str, first: int, last: int, name: str) -> None:
    letters = [
        chr(code)
        for code in range(first, last + 1)
        if unicodedata.category(chr(code)).startswith("L") and unicodedata.name(chr(code), "").startswith(name)
    ]
    assert len(letters) > 20
    assert scripts(surface(core, "".join(letters))) == {script: len(letters)}


CODE = "def total(rows):\n    return sum(rows)\n"


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("Please look at this long line of prose.", 0),
        (CODE, 1),
        ("```python\nx\ny z\n```\n", 1),
        ("Why?\n```\nanything at all\n```\n", 24 / 29),
        ("```\nnever closed\nat all", 1),
        ("xs = [1]\nself.rows[0] += 2\nprint(xs);\n#include <a.h>\n", 1),
        ("<div>\n  <p>hello</p>\n</div>\n", 1),
        (CODE + "Why does this not return anything when I call it?\n", len(CODE) / (len(CODE) + 50)),
        ("Call f(); now", 0),
        ("f();\nif this is so, tell me\nfor a start\nx == y\nreturned home\n", 5 / 61),
        ("while (true) {\r\n}\r\n", 1),
    ],
)
def test_the_code_share_is_that_of_the_lines_that_are_code(twin: ModuleType, text: str, share: float) -> None:
    found = surface(twin, text)
    assert found.code_bytes / found.text_bytes == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "maths_bytes"),
    [
        ("one and two", 0),
        ("Solve\n3 + 4 = 7\n", 10),
        ("$x^2$ is even\nand so on", 14),
        ("∀ x\n", 6),
        ("```\n\\frac 1 2\n```\n\\frac 1 2\n", 10),
    ],
)
def test_maths_is_the_lines_with_a_formula_that_are_no_code(twin: ModuleType, text: str, maths_bytes: int) -> None:
    assert surface(twin, text).maths_bytes == maths_bytes


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        ("Write a poem. Fix it. write more", 3),
        ("I write and you fix", 0),
        ("- write\n* fix\n1. draw\n> 'Write'", 4),
        ("Do this: write it; fix it", 2),
        ("e.g.write no.fix", 0),
        ("hm\n\n   Fix", 1),
        ("“Write”", 0),
        ("’fix’", 1),
        ("writes rewrite fix_it", 0),
        (" " * 16 + "fix", 1),
        (" " * 17 + "fix", 0),
        ("a." + " " * 16 + "fix", 1),
    ],
)
def test_instructions_are_words_of_the_list_that_begin_a_sentence(
    twin: ModuleType, text: str, instructions: int
) -> None:
    assert surface(twin, text).instructions == instructions


def test_what_may_be_asked_is_handed_out_only_when_a_word_of_the_list_is_there(twin: ModuleType) -> None:
    assert surface(twin, "at most 20 words").asked == b"at most 20 words"
    assert surface(twin, "at most 20 lines").asked == b""


def test_of_a_long_turn_only_the_ends_are_handed_out(twin: ModuleType) -> None:
    long = "é" * 5000
    for shift in range(3):
        asked = surface(twin, "x" * shift + "a draw " + long + " in 20 words").asked
        head, _, tail = asked.decode().partition("\n")
        assert head.startswith("x" * shift + "a draw éé")
        assert tail.endswith("éé in 20 words")
        assert 2 * ASKED_BYTES - 2 <= len(asked) <= 2 * ASKED_BYTES + 1


def test_text_in_one_piece_and_text_with_escapes_measure_alike() -> None:
    lexicon = core.Lexicon(WORDS)
    plain = core.scan('{"model":"m","prompt":"Write «x» 3 + 4 = 7 before noon, in 9 words"}'.encode())
    spelled = core.scan(rb'{"model":"m","prompt":"Write \u00abx\u00bb 3 + 4 = 7 before noon, in 9 words"}')
    pieces = core.scan('{"model":"m","prompt":["Write «x» 3 + 4 = 7","before noon, in 9 words"]}'.encode())
    assert core.surface(plain, lexicon) == core.surface(spelled, lexicon)
    assert core.surface(pieces, lexicon).text_bytes == core.surface(plain, lexicon).text_bytes


lines = st.sampled_from(
    [
        "```", "```py", "x = 1", "x == 1", "a.b['c'] += d", "f(x)", "f(x) y", "f x)", "if a:", "if a", "for a, b in c:",
        "fore:", "return", "returns", "<p>", "<>", "<", ">", "//", "/", "};", "}", "{", ";", ")", "SELECT a,", "def f(",
        "a[", "a]=", "3 + 4", "$x$", "\\frac", "∑", "write", ". fix", "- draw", "10 words", "я", "日本", "", " ", "\t",
        "\r", "a" * 60,
    ]
)  # fmt: skip


@given(st.lists(st.builds(str.__add__, lines, st.sampled_from(["", " ", "\r"])), max_size=12).map("\n".join))
@settings(max_examples=1500, deadline=None)
def test_surface_agrees_with_the_reference_line_by_line(text: str) -> None:
    assert surface(core, text) == surface(reference, text)
