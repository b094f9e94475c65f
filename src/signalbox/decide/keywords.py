"""Which of many keywords a text contains: whole words, case ignored, linear time whatever the text.

A set of plain literals is searched once for all keywords; only those it finds are checked for word
boundaries, because RE2's own `\\b` knows ASCII alone and a longer spelling would fill the set.
"""

from __future__ import annotations

from collections.abc import Sequence

import re2

SET_BYTES = 8 * 1024
"""Keyword bytes per RE2 set. Five times as much still fits RE2's default memory; more sets cost more passes."""

BREAKS = (
    r"\x00-/:-@\[-\^`{-\x{a9}\x{ab}-\x{b4}\x{b6}-\x{b9}\x{bb}-\x{bf}\x{d7}\x{f7}"  # ASCII and Latin-1
    r"\x{37e}\x{387}\x{55a}-\x{55f}\x{589}\x{58a}\x{5be}\x{5c0}\x{5c3}\x{5f3}\x{5f4}"  # Greek, Armenian, Hebrew
    r"\x{60c}\x{61b}\x{61f}\x{66a}-\x{66d}\x{6d4}\x{964}\x{965}"  # Arabic, Devanagari
    r"\x{2000}-\x{2bff}"  # punctuation, currency, arrows, mathematical operators, dingbats
    r"\x{e00}-\x{eff}\x{1000}-\x{109f}\x{1780}-\x{17ff}"  # Thai, Lao, Burmese, Khmer: no spaces
    r"\x{2e00}-\x{a4cf}\x{f900}-\x{faff}"  # Chinese, Japanese: no spaces; and their punctuation
    r"\x{ac00}-\x{d7ff}"  # Korean: particles are written onto the word
    r"\x{fe10}-\x{fe6f}\x{ff00}-\x{ff0f}\x{ff1a}-\x{ff20}\x{ff5b}-\x{ffef}"  # wide and narrow forms
    r"\x{1f000}-\x{10ffff}"  # emoji, further ideographs
)
"""Characters next to which a word ends. Blocks, because the class \\p{L} takes twenty times as long to compile."""

BEFORE = rf"(?:\A|[{BREAKS}])"
AFTER = rf"(?:\z|[{BREAKS}])"
IS_BREAK = re2.compile(rf"[{BREAKS}]")


class Keywords:
    """Keywords of one router and scope, compiled. The order given is the numbering `find` uses."""

    __slots__ = ("_bounded", "_sets")

    def __init__(self, words: Sequence[str]) -> None:
        """words: phrases; a run of white space in one stands for any run of white space in the text."""
        options = _options()
        literals = [_literal(word) for word in words]
        self._bounded = [re2.compile(_bounded(word, text), options) for word, text in zip(words, literals, strict=True)]
        self._sets: list[tuple[int, re2.Set]] = []
        for first, last in _chunks(literals):
            group = re2.Set.SearchSet(options)
            for literal in literals[first:last]:
                group.Add(literal)
            group.Compile()  # raises re2.error when out of memory; searching such a set would crash
            self._sets.append((first, group))

    def find(self, text: bytes) -> frozenset[int]:
        """Return the numbers of the keywords in `text`, which is UTF-8."""
        # Match returns None, not an empty list, when nothing was found.
        found = [first + at for first, group in self._sets for at in group.Match(text) or ()]
        if not found:
            return NOTHING
        return frozenset(number for number in found if self._bounded[number].search(text) is not None)


NOTHING: frozenset[int] = frozenset()


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False  # RE2 would print the pattern to stderr
    return options


def _literal(word: str) -> str:
    return r"\s+".join(re2.escape(part) for part in word.split()) or r"\s+"


def _bounded(word: str, literal: str) -> str:
    """The literal with a word boundary on each side where the keyword itself ends in a letter or digit.

    `C++` needs none after it, and a Chinese keyword none at all: its neighbours are letters too.
    """
    stripped = word.strip()
    before = BEFORE if _needs_boundary(stripped[:1]) else ""
    after = AFTER if _needs_boundary(stripped[-1:]) else ""
    return before + literal + after


def _needs_boundary(character: str) -> bool:
    return bool(character) and IS_BREAK.search(character) is None


def _chunks(literals: Sequence[str]) -> list[tuple[int, int]]:
    """Split into runs [first, last) of at most `SET_BYTES`; a longer keyword gets a set of its own."""
    bounds: list[tuple[int, int]] = []
    first = size = 0
    for at, literal in enumerate(literals):
        length = len(literal.encode())
        if at > first and size + length > SET_BYTES:
            bounds.append((first, at))
            first, size = at, 0
        size += length
    if literals:
        bounds.append((first, len(literals)))
    return bounds
