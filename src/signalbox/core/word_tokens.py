"""WordPiece vocabularies as they come: a mapping, or the bytes of a vocab.txt. Checked and sorted for an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

CONTINUES = b"##"
"""In front of a token that goes on with a word."""

MAX_ID = 2**31 - 1
MAX_TOKEN_BYTES = 65535
MAX_CHARS = 256  # characters of the longest word that is looked at; BERT's own limit is 100
MAX_SPECIALS = 64


class Tokens(NamedTuple):
    """A vocabulary as encoders use it.

    first: tokens that begin a word. rest: those that go on with one, without ##. specials: longer ones first.
    """

    first: dict[bytes, int]
    rest: dict[bytes, int]
    specials: tuple[tuple[bytes, int], ...]


def parse_tokens(data: bytes) -> dict[bytes, int]:
    """Token -> id, from the bytes of a vocab.txt: a token a line, its id the number of the line from 0.

    Blank lines count. Raises ValueError for a token that is there twice.
    """
    tokens: dict[bytes, int] = {}
    for number, line in enumerate(data.split(b"\n")):
        token = line.rstrip()
        if token in tokens:
            raise ValueError(f"vocabulary, line {number + 1}: its token is also on line {tokens[token] + 1}")
        if token:
            tokens[token] = number
    return tokens


def check_tokens(
    vocabulary: Mapping[bytes, int], specials: Mapping[bytes, int], unknown: bytes, max_chars: int
) -> Tokens:
    """Return the vocabulary as encoders use it. Raises ValueError for one that cannot be used."""
    if not 1 <= max_chars <= MAX_CHARS:
        raise ValueError(f"max_input_chars_per_word is {max_chars}; expected 1 to {MAX_CHARS}")
    if unknown not in vocabulary:
        raise ValueError(f"vocabulary: the token of unknown words, {unknown!r}, is missing; name it with `unknown`")
    if len(specials) > MAX_SPECIALS:
        raise ValueError(f"{len(specials)} special tokens; expected at most {MAX_SPECIALS}")
    for token, number in [*vocabulary.items(), *specials.items()]:
        if not 1 <= len(token) <= MAX_TOKEN_BYTES:
            raise ValueError(
                f"vocabulary: id {number} has a token of {len(token)} bytes; expected 1 to {MAX_TOKEN_BYTES}"
            )
        if not 0 <= number <= MAX_ID:
            raise ValueError(f"vocabulary: id {number} is out of range; expected 0 to {MAX_ID}")
        try:
            token.decode()
        except UnicodeDecodeError:
            raise ValueError(f"vocabulary: id {number} has a token that is not UTF-8") from None
    rest = {token[2:]: number for token, number in vocabulary.items() if token.startswith(CONTINUES) and token[2:]}
    first = {token: number for token, number in vocabulary.items() if not token.startswith(CONTINUES)}
    return Tokens(first, rest, tuple(sorted(specials.items(), key=lambda entry: -len(entry[0]))))
