"""What goes into a lexicon and what a surface count gives back, for the kernel and its reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

HARD = 1  # the word says that the work is hard
NEGATION = 2  # the word negates or sets a condition

MAX_WORD_BYTES = 30  # SB_LEXICON_WORD_BYTES: a slot of the table is 32 bytes
WORD = re.compile(rf"(?!')(?=_*[a-z0-9])[a-z0-9_']{{1,{MAX_WORD_BYTES}}}(?<!')")


class Surface(NamedTuple):
    """Counts over a text. csrc/sb_surface.h defines each of them."""

    words: int
    hard_keywords: int
    numbers: int
    negations: int
    code: bool
    maths: bool
    questions: int


def check_words(words: Mapping[str, int]) -> None:
    """Raise ValueError for the first entry that no text could match or whose class is unknown."""
    for word, classes in words.items():
        if not WORD.fullmatch(word):
            raise ValueError(
                f"lexicon word {word!r} can never match: expected 1 to {MAX_WORD_BYTES} lower-case ASCII letters, "
                "digits, underscores or inner apostrophes; split phrases into words"
            )
        if classes not in (HARD, NEGATION, HARD | NEGATION):
            raise ValueError(f"lexicon word {word!r} has class {classes}; expected HARD, NEGATION or both")
