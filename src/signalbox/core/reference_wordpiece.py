"""WordPiece in plain Python, as the papers and the library `tokenizers` tell it, over Python's own Unicode.

Python's categories are newer than those of the library, which the kernel follows to the letter: the two agree on
characters that are old enough, and tests/core/test_wordpiece_against_tokenizers.py has all the others.
"""

from __future__ import annotations

import string
import unicodedata
from array import array
from collections.abc import Iterator, Mapping

from signalbox.core.word_tokens import check_tokens, parse_tokens

CHINESE = (
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    range(0xF900, 0xFB00),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2B820),
    range(0x2B920, 0x2CEB0),  # BERT's own list, with its slip: the block begins at U+2B820
    range(0x2F800, 0x2FA20),
)
Place = tuple[str, int]
"""A character, and the byte of the text at which what it was made of ends."""


def is_space(character: str) -> bool:
    return character in "\t\n\r" or (character.isspace() and unicodedata.category(character) != "Cc")


def is_dropped(character: str) -> bool:
    return character == "\ufffd" or (not is_space(character) and unicodedata.category(character) in ("Cc", "Cf", "Co"))


def is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def in_order(places: list[Place]) -> list[Place]:
    """Runs of combining characters by their class: the canonical order of Unicode, section 3.11."""
    out: list[Place] = []
    run: list[Place] = []
    for place in places:
        if unicodedata.combining(place[0]) == 0:
            out += [*sorted(run, key=lambda entry: unicodedata.combining(entry[0])), place]
            run = []
        else:
            run.append(place)
    return out + sorted(run, key=lambda entry: unicodedata.combining(entry[0]))


class WordPiece:
    """Same contract as `core.WordPiece`."""

    def __init__(
        self,
        vocabulary: Mapping[bytes, int] | bytes,
        *,
        specials: Mapping[bytes, int] | None = None,
        unknown: bytes = b"[UNK]",
        lowercase: bool = True,
        strip_accents: bool | None = None,
        handle_chinese_chars: bool = True,
        max_input_chars_per_word: int = 100,
    ) -> None:
        tokens = parse_tokens(vocabulary) if isinstance(vocabulary, bytes) else vocabulary
        checked = check_tokens(tokens, specials or {}, unknown, max_input_chars_per_word)
        self.size = len(tokens)
        self.first = {token.decode(): number for token, number in checked.first.items()}
        self.rest = {token.decode(): number for token, number in checked.rest.items()}
        self.specials = [(spelling.decode(), number) for spelling, number in checked.specials]
        self.unknown = tokens[unknown]
        self.lowercase = lowercase
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.handle_chinese_chars = handle_chinese_chars
        self.max_chars = max_input_chars_per_word

    def __len__(self) -> int:
        return self.size

    def normalize(self, places: list[Place]) -> list[Place]:
        places = [(" " if is_space(c) else c, end) for c, end in places if not is_dropped(c)]
        if self.handle_chinese_chars:
            spaced = ((f" {c} " if any(ord(c) in block for block in CHINESE) else c, end) for c, end in places)
            places = [(c, end) for text, end in spaced for c in text]
        if self.strip_accents:
            places = in_order([(part, end) for c, end in places for part in unicodedata.normalize("NFD", c)])
            places = [(c, end) for c, end in places if unicodedata.category(c) != "Mn"]
        if self.lowercase:
            places = [(low, end) for c, end in places for low in c.lower()]
        return places

    def words(self, places: list[Place]) -> Iterator[list[Place]]:
        word: list[Place] = []
        for place in [*places, (" ", 0)]:
            if place[0] != " " and not is_punctuation(place[0]):
                word.append(place)
                continue
            if word:
                yield word
                word = []
            if place[0] != " ":
                yield [place]

    def tokens(self, word: list[Place]) -> list[tuple[int, int]]:
        """Ids and ends: the longest token that fits, again and again; or one for a word that tokens do not cover."""
        text = "".join(c for c, _ in word)
        found, at = [], 0
        while at < len(text) <= self.max_chars:
            known = self.rest if at else self.first
            size = next((size for size in range(len(text) - at, 0, -1) if text[at : at + size] in known), 0)
            if size == 0:
                break
            at += size
            found.append((known[text[at - size : at]], word[at - 1][1]))
        return found if at == len(text) else [(self.unknown, max(end for _, end in word))]

    def segments(self, text: bytes) -> Iterator[list[Place] | tuple[int, int]]:
        """What lies between special tokens, and those, with their ids and ends."""
        decoded = text.decode(errors="surrogateescape")
        at = end = 0
        places: list[Place] = []
        while at < len(decoded):
            special = next((special for special in self.specials if decoded.startswith(special[0], at)), None)
            if special is not None:
                yield places
                places = []
                at += len(special[0])
                end += len(special[0].encode())
                yield special[1], end
                continue
            end += len(decoded[at].encode(errors="surrogateescape"))
            if not 0xDC80 <= ord(decoded[at]) <= 0xDCFF:
                places.append((decoded[at], end))
            at += 1
        yield places

    def pairs(self, text: bytes) -> Iterator[tuple[int, int]]:
        reached = 0
        for segment in self.segments(text):
            found = [segment] if isinstance(segment, tuple) else self.cover(segment)
            for number, end in found:
                reached = max(reached, end)
                yield number, reached

    def cover(self, places: list[Place]) -> list[tuple[int, int]]:
        return [token for word in self.words(self.normalize(places)) for token in self.tokens(word)]

    def encode(self, text: bytes) -> array[int]:
        return array("i", [number for number, _ in self.pairs(text)])

    def ends(self, text: bytes) -> array[int]:
        return array("i", [end for _, end in self.pairs(text)])

    def count(self, text: bytes) -> int:
        return len(self.encode(text))
