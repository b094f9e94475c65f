"""The kernel against tiktoken: every code point, fuzzed texts, and the published vocabularies."""

from __future__ import annotations

import random
from typing import Any

import pytest
import tiktoken

from signalbox.core import PATTERNS, Bpe
from signalbox.core.ranks import parse_ranks
from tests.core.tokenizer_texts import ALL_CODES, TEXTS, fuzzed_text, small_ranks
from tests.published import OPENAI, openai_file


def theirs(ranks: dict[bytes, int], pattern: str) -> Any:
    return tiktoken.Encoding("tested", pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={})


def differing(ranks: dict[bytes, int], pattern: str, seed: int) -> list[str]:
    mine, other, dice = Bpe(ranks, pattern=pattern), theirs(ranks, pattern), random.Random(seed)
    texts = (fuzzed_text(dice) for _ in range(TEXTS))
    return [text for text in texts if mine.encode(text.encode()).tolist() != other.encode_ordinary(text)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_fuzzed_texts_have_the_ids_that_tiktoken_gives(pattern: str) -> None:
    assert differing(small_ranks(), pattern, seed=11) == []


@pytest.mark.parametrize("pattern", OPENAI)
def test_fuzzed_texts_have_the_published_ids(pattern: str) -> None:
    assert differing(parse_ranks(openai_file(pattern).read_bytes()), pattern, seed=12) == []


@pytest.mark.parametrize("pattern", ["cl100k", "o200k"])
def test_every_code_point_splits_as_in_tiktoken_also_those_new_in_its_unicode(pattern: str) -> None:
    """All that may merge is a neighbour of the code point with its first or last byte, so ids show where cuts are."""
    frames, neighbours = ("x{0}X ", "7{0}7 ", "\n {0}x", "\n{0}\n", "!{0}a"), b"xX7a! \n"
    pairs = {pair for a in neighbours for b in range(256) for pair in (bytes([a, b]), bytes([b, a]))}
    ranks = {token: rank for rank, token in enumerate([*(bytes([byte]) for byte in range(256)), *sorted(pairs)])}
    mine, other = Bpe(ranks, pattern=pattern), theirs(ranks, pattern)
    assigned = [code for code in ALL_CODES if code < 0x33500 or (code > 0xE0000 and code % 64 == 0)]
    for start in range(0, len(assigned), 256):
        text = "".join(frame.format(chr(code)) for code in assigned[start : start + 256] for frame in frames)
        assert mine.encode(text.encode()).tolist() == other.encode_ordinary(text), f"from U+{assigned[start]:04X}"
