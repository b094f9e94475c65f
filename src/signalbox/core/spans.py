"""The pieces of text in a body, as the scanner and its reference report them."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Role(IntEnum):
    """Who wrote a piece of text. Numbered as `sb_role` in csrc/sb_scan.h."""

    SYSTEM = 0  # system and developer messages, `system`, `instructions`
    USER = 1  # user messages, `prompt`, strings in `input`
    ASSISTANT = 2
    TOOL = 3  # tool and function messages, tool results whatever their dialect
    OTHER = 4  # no role, or one nobody knows


class Span(NamedTuple):
    """Text between the quotes of a JSON string, still escaped. Offsets are bytes, the end exclusive.

    turn: 1 for the first message (or `system`, `instructions`, `prompt`, string `input`) and so on, in document order.
    """

    start: int
    end: int
    turn: int
    role: Role


class Passage(NamedTuple):
    """What one role says in one turn: the spans [first, end) of a scan, which follow each other.

    text_bytes: length of their text once unescaped and joined by newlines, as `Scan.passage_text` returns it.
    """

    turn: int
    role: Role
    first: int
    end: int
    text_bytes: int
