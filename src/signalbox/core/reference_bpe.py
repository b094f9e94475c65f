"""Byte-pair encoding in plain Python: the published expressions, and the merge rule as it is told."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

from signalbox.core.patterns import PATTERNS, pattern_number
from signalbox.core.ranks import check_ranks, parse_ranks

# Python's `re` knows no \p{...}. One character stands for all of a class beyond ASCII, and the expressions name it.
UPPER, LOWER, LETTER, MARK, NUMBER, SPACE, OTHER = "À", "ß", "ª", "\u0300", "²", "\u00a0", "¡"
STAND_INS = {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER, "Lm": LETTER, "Lo": LETTER, "M": MARK, "N": NUMBER}
SETS = {
    r"\p{L}": f"A-Za-z{UPPER}{LOWER}{LETTER}ſ",
    r"\p{Lu}": f"A-Z{UPPER}",
    r"\p{Lt}": "",
    r"\p{Ll}": f"a-z{LOWER}ſ",
    r"\p{Lm}": LETTER,
    r"\p{Lo}": "",
    r"\p{M}": MARK,
    r"\p{N}": f"0-9{NUMBER}",
    # Python's \s also has U+001C to U+001F, which are not White_Space.
    r"\s": f"\\t-\\r {SPACE}",
}


@cache
def stand_in(character: str) -> str:
    if character < "\x80" or character == "ſ":  # the long s is an s to contractions, so it stands for itself
        return character
    category = unicodedata.category(character)
    if character.isspace():
        return SPACE
    return STAND_INS.get(category) or STAND_INS.get(category[0]) or OTHER


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern for `re`, over stand-ins: classes spelled out, inside brackets or as brackets of their own."""
    text = PATTERNS[pattern].replace(r"(?!\S)", rf"(?![^{SETS[chr(92) + 's']}])").replace("$", r"\Z")
    out, inside, at = [], False, 0
    while at < len(text):
        name = next((name for name in sorted(SETS, key=len, reverse=True) if text.startswith(name, at)), None)
        if name is not None:
            out.append(SETS[name] if inside else f"[{SETS[name]}]")
            at += len(name)
            continue
        step = 2 if text[at] == "\\" else 1
        inside = (inside or text[at] == "[") and text[at] != "]"
        out.append(text[at : at + step])
        at += step
    return re.compile("".join(out))


class Bpe:
    """Same contract as `core.Bpe`."""

    def __init__(self, ranks: Mapping[bytes, int] | bytes, *, pattern: str) -> None:
        pattern_number(pattern)
        self.pattern = pattern
        self.ranks = parse_ranks(ranks) if isinstance(ranks, bytes) else dict(ranks)
        check_ranks(self.ranks)

    def __len__(self) -> int:
        return len(self.ranks)

    def __contains__(self, token: bytes) -> bool:
        return token in self.ranks

    @property
    def longest_token_bytes(self) -> int:
        return max(map(len, self.ranks))

    def split(self, text: bytes) -> list[bytes]:
        decoded = text.decode(errors="surrogateescape")
        matches = compiled(self.pattern).finditer("".join(map(stand_in, decoded)))
        return [decoded[match.start() : match.end()].encode(errors="surrogateescape") for match in matches]

    def merge(self, piece: bytes) -> list[int]:
        if piece in self.ranks:
            return [self.ranks[piece]]
        parts = [piece[i : i + 1] for i in range(len(piece))]
        while True:
            pairs = [(self.ranks[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in self.ranks]
            if not pairs:
                return [self.ranks[part] for part in parts]
            _, i = min(pairs)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]

    def encode(self, text: bytes) -> array[int]:
        return array("i", [rank for piece in self.split(text) for rank in self.merge(piece)])

    def count(self, text: bytes) -> int:
        return len(self.encode(text))
