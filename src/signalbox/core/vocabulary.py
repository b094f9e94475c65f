"""What goes into a lexicon and what a surface count gives back, for the kernel and its reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

HARD = 1  # the word says that the work is hard
NEGATION = 2  # the word negates or sets a condition
INSTRUCTION = 4  # at the start of a sentence, the word tells the reader to do something
ASKING = 8  # the word may be part of how an answer is asked for: its length, an image, more thought
CLASSES = HARD | NEGATION | INSTRUCTION | ASKING

MAX_WORD_BYTES = 30  # SB_LEXICON_WORD_BYTES: a slot of the table is 32 bytes
WORD = re.compile(rf"(?!')(?=_*[a-z0-9])[a-z0-9_']{{1,{MAX_WORD_BYTES}}}(?<!')")


ASKED_BYTES = 2048
"""Of either end of a turn: what is asked of an answer stands before the material or behind it."""

SCRIPTS = (
    "latin", "cyrillic", "greek", "arabic", "hebrew", "devanagari", "cjk", "kana", "hangul", "thai", "other",
)  # fmt: skip
"""In the order of `sb_script` in csrc/sb_shares.h."""


class Surface(NamedTuple):
    """Counts over a text. csrc/sb_surface.h defines each of them, sb_shares.h the bytes and letters.

    letters: by script, in the order of SCRIPTS; empty where there is no text. asked: UTF-8, empty if the text has
    no word of class ASKING, else the text, or its first and last ASKED_BYTES and a newline between.
    """

    words: int
    hard_keywords: int
    numbers: int
    negations: int
    code: bool
    maths: bool
    questions: int
    instructions: int = 0
    text_bytes: int = 0
    code_bytes: int = 0
    maths_bytes: int = 0
    letters: tuple[int, ...] = ()
    asked: bytes = b""


def ends_of(text: bytes) -> bytes:
    """Return the first and last ASKED_BYTES of a text too long to be read whole, cut between characters."""
    if len(text) <= 2 * ASKED_BYTES:
        return text
    head, tail = text[:ASKED_BYTES], text[-ASKED_BYTES:]
    return head.decode(errors="ignore").encode() + b"\n" + tail.decode(errors="ignore").encode()


def check_words(words: Mapping[str, int]) -> None:
    """Raise ValueError for the first entry that no text could match or whose class is unknown."""
    for word, classes in words.items():
        if not WORD.fullmatch(word):
            raise ValueError(
                f"lexicon word {word!r} can never match: expected 1 to {MAX_WORD_BYTES} lower-case ASCII letters, "
                "digits, underscores or inner apostrophes; split phrases into words"
            )
        if not 0 < classes <= CLASSES:
            raise ValueError(
                f"lexicon word {word!r} has class {classes}; expected HARD, NEGATION, INSTRUCTION, ASKING "
                "or several of them"
            )
