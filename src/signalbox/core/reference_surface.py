"""Surface counts by regular expressions: the twin of csrc/sb_surface.c, which defines each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from signalbox.core.reference_shares import letters, line_bytes
from signalbox.core.vocabulary import ASKING, HARD, INSTRUCTION, NEGATION, Surface, check_words, ends_of


class HasText(Protocol):
    """All that counting needs of a scan."""

    def text(self, *, last_user: bool = False) -> bytes: ...


class Lexicon(dict[str, int]):
    """Same contract as `core.Lexicon`."""

    def __init__(self, words: Mapping[str, int]) -> None:
        check_words(words)
        super().__init__(words)


# csrc/sb_surface.c, wide_kind: the same ranges as members of a character class.
SEPARATORS = (
    "\x80-\xbf×÷\u2000-\u2018\u201a-\u2bff\u3000-\u303f\ufe30-\ufe4f\uff00-\uff0f\uff1a-\uff20\ufffd"
    "\U0001f000-\U0001faff"
)
HALF_WORDS = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
QUESTION_MARKS = "?\uff1f\u061f"
LETTER = rf"(?:[A-Za-z0-9_]|[^\x00-\x7f\u2019{QUESTION_MARKS}{SEPARATORS}{HALF_WORDS}])"
HALF_WORD = re.compile(f"[{HALF_WORDS}]")
WORD_RUN = re.compile(rf"(?:{LETTER}|['\u2019])+")
QUESTION_RUN = re.compile(rf"[{QUESTION_MARKS}]+(?!{LETTER}|[{QUESTION_MARKS}])")
CODE = re.compile(
    rb"""(?mx) ``` | \(\); | => | && | </[A-Za-z] | \{[ \t]*\r?\n
    | ^[ \t]*\#(?:include|define)[ \t<"]
    | ^[ \t]*(?:def|fn|func|function|class)[ ][A-Za-z_][A-Za-z0-9_]*\(
    | (?<![A-Za-z0-9_]) SELECT [ \t\n] [^;]{1,399}? [ \t\n]FROM[ \t\n]"""
)
FORMULA = re.compile(rb"\\(?:frac|int|sum|prod|sqrt|lim|partial|infty)(?![A-Za-z])|\xe2[\x88-\x8b][\x80-\xbf]")
SENTENCE_START = re.compile(r"""(?:\n|[.!?:;](?=[ \t"'(\[*#>-]))[ \t"'(\[*#>-]{0,16}\Z""")
DOLLARS = re.compile(rb"\$(?=([^$\n]{1,200})\$(?![A-Za-z0-9]))")
WEAK_FORMULA = re.compile(
    rb"""(?x) [0-9][ ]?(?:[+*^<>]|\xc3\x97|\xc3\xb7)[ ]?[0-9] | [0-9][ ]/[ ][0-9]
    | (?:(?<![^ \t\n\r(^+*])(?:[0-9]*[A-Za-z]|[0-9]+)|\))[ ]?=[ ]?(?:[0-9(-]|[A-Za-z](?![A-Za-z0-9_]))"""
)


def surface(scan: HasText, lexicon: Lexicon) -> Surface:
    """Same contract as `core.surface`."""
    raw = scan.text(last_user=True)
    text = raw.decode()
    words = [word for word in WORD_RUN.finditer(text) if re.search(r"[^_'\u2019]", word[0])]
    classes = [lexicon.get(ascii_lower(word[0]).replace("\u2019", "'").strip("'"), 0) for word in words]
    code = CODE.search(raw) is not None
    maths = has_maths(raw, code=code)
    code_bytes, maths_bytes = line_bytes(raw, code, has_line_maths if maths else None)
    return Surface(
        words=len(words) + (len(HALF_WORD.findall(text)) + 1) // 2,
        hard_keywords=sum(bool(bits & HARD) for bits in classes),
        numbers=len(re.findall(r"[0-9]+", text)),
        negations=sum(bool(bits & NEGATION) for bits in classes),
        code=code,
        maths=maths,
        questions=len(QUESTION_RUN.findall(text)),
        instructions=sum(
            bool(bits & INSTRUCTION) and begins_sentence(text, word.start())
            for word, bits in zip(words, classes, strict=True)
        ),
        text_bytes=len(raw),
        code_bytes=code_bytes,
        maths_bytes=maths_bytes,
        letters=letters(text) if raw else (),
        asked=ends_of(raw) if any(bits & ASKING for bits in classes) else b"",
    )


def has_maths(raw: bytes, *, code: bool) -> bool:
    if FORMULA.search(raw) or any(is_formula(found[1]) for found in DOLLARS.finditer(raw)):
        return True
    return not code and WEAK_FORMULA.search(raw) is not None


def has_line_maths(line: bytes) -> bool:
    return has_maths(line, code=CODE.search(line) is not None)


def begins_sentence(text: str, at: int) -> bool:
    return SENTENCE_START.search("\n" + text[:at]) is not None


def ascii_lower(word: str) -> str:
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), word)


def is_formula(inside: bytes) -> bool:
    """Whether what stands between two dollars is a formula rather than the way from one price to the next."""
    if inside[:1] in b" \t" or inside[-1:] in b" \t":
        return False
    return not inside[:1].isdigit() or re.search(rb"[\\^_=+*<>]", inside) is not None
