"""Hashed features of words: the twin of csrc/sb_words.c, whose header defines them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalbox.core.word_buckets import WORD_BUCKETS, WORD_COLUMNS

TOKEN = re.compile(rb"[0-9A-Za-z\x80-\xff]+|[^ \t\r]", re.DOTALL)
CAPITAL = re.compile(rb"[A-Z]|\xc3[\x80-\x9e]")
SMALL, CAPITAL_FIRST, CAPITALS, DIGITS, MIXED, NEWLINE, OTHER, CAPITALS_AMID = range(8)


def _hash(data: bytes) -> int:
    found = 2166136261
    for byte in data:
        found = (found ^ byte) * 16777619 & 0xFFFFFFFF
    return found


def _plain(text: bytes) -> bytes:
    text = re.sub(rb"[0-9]", b"0", text)
    text = re.sub(rb"[A-Z]", lambda letter: letter[0].lower(), text)
    return re.sub(rb"(?<=\xc3)[\x80-\x9e]", lambda byte: bytes([byte[0][0] | 0x20]), text)


@dataclass(frozen=True)
class Token:
    word: int
    first: int
    last3: int
    last2: int
    shape: int
    ends_sentence: bool


NOTHING = Token(_hash(b""), _hash(b""), _hash(b""), _hash(b""), 31, True)


def _kind(token: bytes) -> int:
    if not re.match(rb"[0-9A-Za-z\x80-\xff]", token):
        return NEWLINE if token == b"\n" else OTHER
    capitals = len(CAPITAL.findall(token))
    digits = len(re.findall(rb"[0-9]", token))
    letters = len(re.findall(rb"[A-Za-z\xc0-\xff]", token))
    if digits:
        return MIXED if letters else DIGITS
    if not capitals:
        return SMALL
    if capitals == letters:
        return CAPITALS if letters > 1 else CAPITAL_FIRST
    return CAPITAL_FIRST if capitals == 1 and CAPITAL.match(token) else CAPITALS_AMID


def _token(text: bytes, found: re.Match[bytes]) -> Token:
    plain = _plain(text)[found.start() : found.end()]
    return Token(
        _hash(plain),
        _hash(plain[:3]),
        _hash(plain[-3:]),
        _hash(plain[-2:]),
        _kind(found[0]) * 4 + min(len(plain), 4) - 1,
        plain in (b"\n", b".", b"!", b"?", b":"),
    )


def _bucket(feature: int, one: int, two: int = 0, three: int = 0) -> int:
    found = _hash(bytes([feature]) + b"".join(number.to_bytes(4, "little") for number in (one, two, three)))
    return (found ^ found >> 16) % WORD_BUCKETS


def word_features(text: bytes) -> NDArray[np.int32]:
    tokens = [NOTHING, NOTHING, *(_token(text, found) for found in TOKEN.finditer(text)), NOTHING, NOTHING]
    rows = [
        [
            _bucket(0, own.word),
            _bucket(1, own.first),
            _bucket(2, own.last3),
            _bucket(3, own.last2),
            _bucket(4, own.shape, before.ends_sentence),
            _bucket(5, before.word),
            _bucket(6, behind.word),
            _bucket(7, before.shape, own.shape, behind.shape),
            _bucket(8, first.word, before.word),
            _bucket(9, before.word, own.shape),
            _bucket(10, own.shape, behind.word),
            _bucket(11, last.word),
            own.word - (own.word >> 31 << 32),  # the same bits, with a sign
            own.shape,
        ]
        for first, before, own, behind, last in zip(
            tokens, tokens[1:], tokens[2:], tokens[3:], tokens[4:], strict=False
        )
    ]
    return np.array(rows, dtype=np.int32).reshape(len(rows), WORD_COLUMNS)
