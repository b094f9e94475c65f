"""Byte-pair encoding: the kernel against its reference, and what holds of both."""

from __future__ import annotations

import base64
import random
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signalbox.core import PATTERNS, Bpe, reference
from tests.core.tokenizer_texts import PIECES, fuzzed_text, small_ranks

BYTES = {bytes([byte]): byte for byte in range(256)}
# The reference asks Python's unicodedata, which is older than the kernel's table: only what both know.
KNOWN = st.characters(exclude_categories=["Cs", "Cn"])
KNOWN_PIECES = [piece for piece in PIECES if all(unicodedata.category(character) != "Cn" for character in piece)]
texts = st.lists(st.sampled_from(KNOWN_PIECES) | st.text(KNOWN, max_size=3), max_size=30).map("".join)


def pieces(twin: ModuleType, text: str, pattern: str) -> list[str]:
    """How a pattern splits a text, seen from outside: with all substrings in it, pieces are tokens."""
    data = text.encode()
    spans = sorted({data[i:j] for i in range(len(data)) for j in range(i + 2, len(data) + 1)})
    ranks = BYTES | {span: 256 + i for i, span in enumerate(spans)}
    names = {rank: token for token, rank in ranks.items()}
    return [names[rank].decode() for rank in twin.Bpe(ranks, pattern=pattern).encode(data)]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=texts)
@example(text="\u0301ABC \u0301ABC\u0301DEF A\u0301B 日本Ab\u0301 ÉCOLE's")
@example(text="x \r\n \n  \n \t ")
@settings(max_examples=40, deadline=None)
def test_bpe_agrees_with_the_reference(pattern: str, text: str) -> None:
    kernel, twin = Bpe(small_ranks(), pattern=pattern), reference.Bpe(small_ranks(), pattern=pattern)
    ids = kernel.encode(text.encode())
    assert ids == twin.encode(text.encode())
    assert kernel.count(text.encode()) == len(ids)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(data=st.binary(max_size=60))
@example(data=b"a\xed\xa0\x80b \xf4\x90\x80\x80 \xc0\xaf \xe6\x97")
@settings(max_examples=40, deadline=None)
def test_bytes_that_are_not_utf8_are_encoded_as_the_reference_does(pattern: str, data: bytes) -> None:
    # Only bytes that any Unicode version reads alike: what decodes must be assigned.
    if all(unicodedata.category(c) != "Cn" for c in data.decode(errors="ignore")):
        assert Bpe(small_ranks(), pattern=pattern).encode(data) == reference.Bpe(small_ranks(), pattern=pattern).encode(
            data
        )


@pytest.mark.parametrize("pattern", PATTERNS)
def test_ids_spell_the_text_whatever_it_holds(pattern: str) -> None:
    encoder, dice = Bpe(small_ranks(), pattern=pattern), random.Random(3)
    names = {rank: token for token, rank in small_ranks().items()}
    for _ in range(500):
        text = fuzzed_text(dice).encode()
        assert b"".join(names[rank] for rank in encoder.encode(text)) == text


@pytest.mark.parametrize(
    ("pattern", "text", "split"),
    [
        ("gpt2", "I'll DON'T x2", ["I", "'ll", " DON", "'", "T", " x", "2"]),
        ("cl100k", "DON'T say'ſ 12345\n", ["DON", "'T", " say", "'ſ", " ", "123", "45", "\n"]),
        ("llama3", "a \n ", ["a", " \n", " "]),
        ("cl100k", "a \n ", ["a", " \n "]),
        ("qwen2", "123", ["1", "2", "3"]),
        ("o200k", "camelCaseHTTPServer's //\n", ["camel", "Case", "HTTPServer's", " //\n"]),
        ("o200k", "\u0301ABC", ["\u0301", "ABC"]),
        ("o200k", "/*\n/ x", ["/*\n/", " x"]),
    ],
)
def test_patterns_split_as_published(twin: ModuleType, pattern: str, text: str, split: list[str]) -> None:
    assert pieces(twin, text, pattern) == split


def test_the_lowest_rank_merges_first_and_the_leftmost_among_equals(twin: ModuleType) -> None:
    encoder = twin.Bpe(BYTES | {b"bc": 256, b"ab": 257, b"aa": 258}, pattern="gpt2")
    assert encoder.encode(b"abc").tolist() == [97, 256]
    assert encoder.encode(b"aaa").tolist() == [258, 97]


def test_a_piece_in_the_vocabulary_is_one_token_even_if_no_merge_leads_there(twin: ModuleType) -> None:
    assert twin.Bpe(BYTES | {b"xyz": 300}, pattern="gpt2").encode(b"xyz xyz").tolist() == [300, 32, 120, 121, 122]


@pytest.mark.parametrize("text", ["a" * 3000, "ab" * 1500, "日本" * 400, " " * 2000 + "x", "=-" * 900 + "!"])
def test_long_pieces_merge_as_short_ones_do(text: str) -> None:
    ranks = dict(small_ranks())
    for token in (b"a" * 2, b"a" * 4, b"a" * 8, b"aba", b"bab", b"abab", b"=-=", b"  " * 8, "日本日".encode()):
        ranks.setdefault(token, len(ranks) + 1000)
    data = text.encode()
    assert Bpe(ranks, pattern="cl100k").encode(data) == reference.Bpe(ranks, pattern="cl100k").encode(data)


@pytest.mark.parametrize("first", [2**24 - 3 - 556, 2**24, 2**31 - 1 - 556])
def test_ranks_may_be_of_any_size(first: int) -> None:
    ranks = {token: rank + first for token, rank in small_ranks().items()}
    kernel, twin, dice = Bpe(ranks, pattern="o200k"), reference.Bpe(ranks, pattern="o200k"), random.Random(2)
    for text in ["ab", "the quicker brown", *(fuzzed_text(dice) for _ in range(30))]:
        if all(unicodedata.category(character) != "Cn" for character in text):
            assert kernel.encode(text.encode()) == twin.encode(text.encode())


def test_a_tiktoken_file_is_read_as_its_mapping(twin: ModuleType) -> None:
    file = b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in small_ranks().items())
    encoder = twin.Bpe(file, pattern="o200k")
    assert len(encoder) == len(small_ranks())
    assert encoder.longest_token_bytes == max(map(len, small_ranks()))
    assert b"a" in encoder
    assert b"surely not a token" not in encoder
    assert encoder.encode(b"the quick brown") == twin.Bpe(small_ranks(), pattern="o200k").encode(b"the quick brown")


@pytest.mark.parametrize(
    ("ranks", "says"),
    [
        ({b"a": 0}, r"255 of the 256 single bytes are missing, the first is 0x00"),
        (BYTES | {b"": 256}, r"rank 256 has a token of 0 bytes; expected 1 to 65535"),
        (BYTES | {b"ab": -1}, r"rank -1 is out of range; expected 0 to 2147483647"),
        (BYTES | {b"ab": 2**31}, r"rank 2147483648 is out of range"),
        (BYTES | {b"ab": 7}, r"two tokens have one rank"),
        (b"IQ== 0\n{not base64} 1\n", r"line 2: expected a token in base64, a blank and its rank"),
        (b"IQ== 0\nIg==\n", r"line 2: .* is this a \.tiktoken file\?"),
        (b"IQ== 0\nIQ== 1\n", r"line 2: .*twice"),
    ],
)
def test_a_vocabulary_that_cannot_encode_is_refused(twin: ModuleType, ranks: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        twin.Bpe(ranks, pattern="gpt2")


def test_an_unknown_pattern_is_refused_with_those_there_are(twin: ModuleType) -> None:
    with pytest.raises(ValueError, match="unknown split pattern 'cl200k'; expected one of gpt2, cl100k, llama3"):
        twin.Bpe(BYTES, pattern="cl200k")


def test_many_threads_may_use_one_encoder() -> None:
    """Texts long enough for every call to give the GIL away, and to need scratch of its own."""
    encoder = Bpe(small_ranks(), pattern="o200k")
    text = ("the quick brown fox " * 200 + "日本" * 300 + "x" * 5000).encode()
    start = threading.Barrier(4)

    def use(_: int) -> tuple[object, ...]:
        start.wait()
        return encoder.encode(text), encoder.count(text)

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(use, range(4)))
    assert all(other == seen[0] for other in seen)
    assert seen[0][0] == reference.Bpe(small_ranks(), pattern="o200k").encode(text)
