"""Shares of a text by regular expressions: the twin of csrc/sb_shares.c, whose header defines them."""

from __future__ import annotations

import re
from collections.abc import Callable

from signalbox.core.vocabulary import SCRIPTS

KEYWORDS = (
    "async|await|case|catch|class|const|def|elif|else|except|finally|fn|for|from|func|function|if|let|match|private|"
    "public|static|struct|switch|try|var|while|with|SELECT|INSERT|UPDATE|DELETE|WHERE|JOIN"
)
CODE_LINE = re.compile(
    rf"""(?xs) // .* | .* [;{{}}] | < .* > | (?:return|import|\#include|\#define)(?![A-Za-z0-9_]) .*
    | (?:{KEYWORDS})(?![A-Za-z0-9_]) .* (?<=[:(),\]])
    | [A-Za-z_][A-Za-z0-9_.\[\]"']* [ ]? [-+*/|&:]? = (?!=) .*
    | [A-Za-z_][A-Za-z0-9_.]* \( .* \)""".encode()
)

# csrc/sb_shares.c, RANGES: the same letters as members of character classes, and whatever is in none of them.
CLASSES = {
    "latin": "A-Za-zªºÀ-ÖØ-öø-ʯ\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\ufb00-\ufb06\uff21-\uff3a\uff41-\uff5a",
    "cyrillic": "\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "arabic": "\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc",
    "hebrew": "\u05d0-\u05f2\ufb1d-\ufb4f",
    "devanagari": "\u0900-\u0963\u0971-\u097f\ua8e0-\ua8ff",
    "cjk": "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "kana": "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d",
    "hangul": "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7af\uffa0-\uffdc",
    "thai": "\u0e01-\u0e3a\u0e40-\u0e4e",
}
NO_LETTERS = (
    "\x00-©«-¹»-¿×÷\u02b0-\u036f\u0591-\u05cf\u05f3-\u061f\u064b-\u066d\u06d4-\u06f9\u0964-\u0970\u0e3f\u0e4f-\u0e5b"
    "\u2000-\u2c5f\u2e00-\u3004\u3008-\u3040\u3097-\u309c\u30a0\u30fb\u3200-\u33ff\u4dc0-\u4dff\ud800-\uf8ff"
    "\ufe00-\ufe6f\ufefd-\uff20\uff3b-\uff40\uff5b-\uff65\uff9e-\uff9f\uffdd-\uffff\U0001d400-\U0001d7ff"
    "\U0001f000-\U0001faff\U00040000-\U0010ffff"
)
PATTERNS = [re.compile(f"[{CLASSES[name]}]") for name in SCRIPTS if name != "other"]
OTHER = re.compile(f"[^{NO_LETTERS}{''.join(CLASSES.values())}]")


def letters(text: str) -> tuple[int, ...]:
    """How many letters of each script, in the order of SCRIPTS."""
    return tuple(len(pattern.findall(text)) for pattern in [*PATTERNS, OTHER])


def line_bytes(text: bytes, has_code: bool, has_maths: Callable[[bytes], bool] | None) -> tuple[int, int]:
    """Bytes of the lines that are code, and of those that are maths; `has_maths` says it of one line."""
    code = maths = 0
    fenced = False
    for line in re.findall(rb"[^\n]*\n|[^\n]+\Z", text):
        inside = line.removesuffix(b"\n").lstrip(b" \t").rstrip(b" \t\r")
        fence = inside.startswith(b"```")
        if has_code and (fence or fenced or CODE_LINE.fullmatch(inside)):
            code += len(line)
        elif has_maths is not None and has_maths(line):
            maths += len(line)
        fenced ^= fence
    return code, maths
