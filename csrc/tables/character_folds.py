"""Write csrc/sb_fold_table.c: what BERT's normalizer and pre-tokenizer make of every code point.

    pip install tokenizers && python csrc/tables/character_folds.py

Everything is asked of `tokenizers` itself, thousands of code points a call, because no one version of Unicode says it:
its categories, decompositions and lower case come from three libraries of different age. What it answers for one code
point holds in any text but for the order of combining characters, which is asked for as well.
tests/core/test_wordpiece_against_tokenizers.py compares every code point, and fails on the day `tokenizers` moves on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cmp_to_key
from pathlib import Path

import tokenizers
from tokenizers.normalizers import NFD, BertNormalizer, Normalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

BLOCK = 128  # code points in a row of a table
CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
BETWEEN = "\U0001f600"  # stands between two answers, and is the answer to itself
HANGUL = range(0xAC00, 0xD7A4)  # decomposed by arithmetic (Unicode, 3.12), here and there
HIGHEST = "\u0345"  # of combining class 240: everything that combines and stays goes in front of it
# As in csrc/sb_fold.h.
SPACE, DROPPED, PUNCTUATION, CHINESE, STRIPS, LOWERS, COMBINES = (1 << bit for bit in range(7))
COUNT_BITS = 2  # of a form's place: how many code points it has

Forms = dict[int, tuple[int, ...]]


def bert(**steps: bool) -> Normalizer:
    every = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return BertNormalizer(**(every | steps))


def ask(normalizer: Normalizer, before: str = "") -> dict[int, str]:
    """What becomes of each code point by itself, behind `before`."""
    answers: dict[int, str] = {}
    for chunk in chunks():
        known = [code for code in chunk if chr(code) != BETWEEN]
        answered = normalizer.normalize_str(BETWEEN.join(before + chr(code) for code in known)).split(BETWEEN)
        answers.update(zip(known, answered, strict=True))
    answers[ord(BETWEEN)] = normalizer.normalize_str(before + BETWEEN)
    return answers


def chunks() -> Iterator[list[int]]:
    for start in range(0, len(CODES), 4096):
        yield CODES[start : start + 4096]


def split() -> tuple[set[int], set[int]]:
    """The code points that the pre-tokenizer takes for white space, and those that it makes words of their own."""
    spaces, alone = set(), set()
    for chunk in chunks():
        words = BertPreTokenizer().pre_tokenize_str("a" + "".join(f"{chr(code)}a" for code in chunk))
        word_at = {place: (start, end) for _, (start, end) in words for place in range(start, end)}
        for place, code in enumerate(chunk):
            word = word_at.get(2 * place + 1)
            if word is None:
                spaces.add(code)
            elif word[1] - word[0] == 1:
                alone.add(code)
    return spaces, alone


def forms_of(answers: dict[int, str]) -> Forms:
    return {code: tuple(map(ord, text)) for code, text in answers.items() if text != chr(code)}


def orders(staying: list[int]) -> dict[int, int]:
    """For the combining characters that stay: from 1 on, where each goes among the others."""

    def swaps(left: int, right: int) -> bool:
        return bool(NFD().normalize_str(f"a{chr(left)}{chr(right)}") == f"a{chr(right)}{chr(left)}")

    ordered = sorted(staying, key=cmp_to_key(lambda a, b: swaps(a, b) - swaps(b, a)))
    order, found = 1, {}
    for place, code in enumerate(ordered):
        order += place > 0 and swaps(code, ordered[place - 1])
        found[code] = order
    return found


class Pool:
    """Forms one after the other; where one starts, shifted, and how many code points it has."""

    def __init__(self) -> None:
        self.codes = [0]
        self.places: dict[tuple[int, ...], int] = {}

    def place(self, form: tuple[int, ...]) -> int:
        if form not in self.places:
            self.places[form] = len(self.codes) << COUNT_BITS | len(form)
            self.codes += form
        return self.places[form]


def two_levels(name: str, kind: str, values: dict[int, int]) -> str:
    """Two arrays in C: the row of each block of code points, and the rows."""
    rows: dict[tuple[int, ...], int] = {}
    blocks = [
        rows.setdefault(tuple(values.get(code, 0) for code in range(start, start + BLOCK)), len(rows))
        for start in range(0, 0x110000, BLOCK)
    ]
    if len(rows) > 255:
        raise SystemExit(f"{name}: {len(rows)} different rows do not fit a byte")
    flat = [value for row in rows for value in row]
    return array(f"{name}_blocks", "uint8_t", blocks) + array(f"{name}_table", kind, flat)


def array(name: str, kind: str, values: list[int]) -> str:
    lines = (", ".join(map(str, values[at : at + 24])) for at in range(0, len(values), 24))
    return f"\nconst {kind} {name}[{len(values)}] = {{\n" + "".join(f"    {line},\n" for line in lines) + "};\n"


def require(holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"tokenizers {tokenizers.__version__} breaks what csrc/sb_wordpiece.c relies on: {what}")


def main() -> None:
    cleaned = ask(bert(clean_text=True))
    stripped, lowered = ask(bert(strip_accents=True)), ask(bert(lowercase=True))
    chinese = set(forms_of(ask(bert(handle_chinese_chars=True))))
    spaces, alone = split()
    dropped = {code for code, text in cleaned.items() if not text}
    spaces = (spaces | {code for code, text in cleaned.items() if text == " "}) - dropped  # cleaning comes first
    for code in dropped | spaces:  # nothing is left to change
        stripped[code] = lowered[code] = chr(code)
    strip, lower = forms_of(stripped), forms_of(lowered)
    decomposed = ask(NFD())
    behind = "a" + HIGHEST
    combining = {ord(HIGHEST)} | {code for code, text in ask(NFD(), behind).items() if not text.startswith(behind)}
    order = orders([code for code in sorted(combining) if code not in strip])
    bare = {code for form in strip.values() for code in form}
    final = {code for form in lower.values() for code in form}
    require(not (bare | final) & (dropped | spaces), "no form is dropped or a space")
    require(not bare & set(strip), "what is stripped has nothing left to strip")
    require(not combining & (alone | spaces | chinese | set(lower)), "what combines is within a word and has no case")
    require(not final & (set(lower) | alone), "lower case is final")
    require(all({ord(part) for part in decomposed[code]} <= combining for code in combining & set(strip)),
            "what combines in front combines whole")  # fmt: skip
    longest = max(map(len, [*strip.values(), *lower.values()]))
    require(longest < 1 << COUNT_BITS, f"a form of {longest} code points")
    for code in HANGUL:
        syllable, tail = divmod(code - HANGUL.start, 28)
        jamo = (0x1100 + syllable // 21, 0x1161 + syllable % 21, 0x11A7 + tail)
        require(strip[code] == jamo[: 2 + (tail > 0)], "Hangul is decomposed by arithmetic")
    for code in CODES:
        parts = strip.get(code, (code,))
        both = sum(len(lower.get(part, (part,))) for part in parts)
        most = max(both, len(parts), len(lower.get(code, (code,))))
        require(code in dropped or most <= len(chr(code).encode()), "no more characters come out than bytes go in")

    pool = Pool()
    properties = {
        code: SPACE * (code in spaces) | DROPPED * (code in dropped) | PUNCTUATION * (code in alone)
        | CHINESE * (code in chinese) | STRIPS * (code in strip) | LOWERS * (code in lower)
        | COMBINES * (code in combining)
        for code in CODES
    }  # fmt: skip
    stripped_at = {code: pool.place(form) for code, form in strip.items() if form and code not in HANGUL}
    lower_at = {code: pool.place(form) for code, form in lower.items()}
    require(len(pool.codes) << COUNT_BITS < 1 << 16, "places of forms do not fit 16 bits")
    text = (
        f"/* Made by csrc/tables/character_folds.py with tokenizers {tokenizers.__version__}; do not edit. */\n"
        '#include "sb_fold.h"\n'
        + two_levels("sb_fold_property", "uint8_t", properties)
        + two_levels("sb_fold_strip", "uint16_t", stripped_at | order)
        + two_levels("sb_fold_lower", "uint16_t", lower_at)
        + array("sb_fold_forms", "uint32_t", pool.codes)
    )
    (Path(__file__).parent.parent / "sb_fold_table.c").write_text(text)


if __name__ == "__main__":
    main()
