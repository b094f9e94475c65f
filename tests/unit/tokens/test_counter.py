"""Counting stops as soon as the question is settled, and never changes an answer."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.core import scan
from signalbox.tokens import counter as counter_module
from signalbox.tokens.counter import MAX_COUNTED_BYTES, CountCache, Counter, RequestCounts
from signalbox.tokens.images import openai_tiles
from signalbox.tokens.templates import TemplateName
from signalbox.tokens.tokenizer import Bounds, UncountableError
from signalbox.types import Endpoint, ParsedRequest, TokenCount
from tests.unit.tokens.bodies import TOOL, image_part, make_request, png


class Words:
    """A tokenizer of four-byte pieces that remembers what it was asked. Bytes 0 to 3 of a piece cost one token."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds(longest_token_bytes=4, tokens_per_byte=1)
        self.asked: list[bytes] = []

    def count(self, text: bytes) -> int:
        self.asked.append(text)
        if b"uncountable" in text:
            raise UncountableError("cannot")
        return -(-len(text) // 2)


def counting(messages: Any, tokenizer: Words, **members: Any) -> tuple[RequestCounts, Counter]:
    counter = Counter(CountCache(tokenizer), "openai", openai_tiles(85, 170))
    return RequestCounts(make_request(messages, **members), estimate=1000), counter


def turn(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def test_bounds_that_settle_the_question_leave_the_tokenizer_alone() -> None:
    words = Words()
    counts, counter = counting(turn("x" * 400), words)
    assert counts.fits(counter, 1000) is True
    assert counts.fits(counter, 100) is False
    assert words.asked == []
    assert counts.range(counter) == (1 + 3 + 3 + 100, 4 + 3 + 3 + 400)
    assert counts.count(counter) == TokenCount(410, estimated=True)


def test_the_longest_text_is_counted_first_and_the_rest_only_if_needed() -> None:
    words = Words()
    counts, counter = counting([*turn("s" * 90), *turn("L" * 900)], words)
    assert counts.fits(counter, 600) is True
    assert words.asked == [b"L" * 900]
    assert counts.fits(counter, 495) is False
    assert len(words.asked) > 1


def test_a_count_is_exact_once_settled() -> None:
    counts, counter = counting(turn("x" * 401), Words())
    counts.settle(counter)
    assert counts.count(counter) == TokenCount(2 + 201 + 3 + 3, estimated=False)
    assert counts.is_exact(counter)


class Bytes(Words):
    """The finest tokenizer there can be: one token a byte."""

    def count(self, text: bytes) -> int:
        self.asked.append(text)
        return len(text)


@pytest.mark.parametrize("template", get_args(TemplateName))
@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool", ""]), st.text(max_size=9)), max_size=9)
)
def test_the_size_of_the_body_bounds_the_count_under_every_template(
    template: TemplateName, turns: list[tuple[str, str]]
) -> None:
    request = make_request([{"role": role, "content": text} for role, text in turns])
    counter = Counter(CountCache(Bytes()), template, None)
    counts = RequestCounts(request, 0)
    counts.settle(counter)
    exact = counts.count(counter).tokens
    for limit in (exact - 1, exact):
        # Whatever settles it, body size or bounds or tokens, the answer is that of the count.
        assert RequestCounts(request, 0).fits(counter, limit) is (exact <= limit)
    scale = RequestCounts(request, 0)
    assert scale.fits(Counter(CountCache(Bytes()), template, None), exact + len(request.body) + 64 * 12 + 512) is True


@given(st.lists(st.text(max_size=80), min_size=1, max_size=6), st.integers(0, 400))
def test_the_answer_of_fits_is_the_answer_of_the_exact_count(texts: list[str], limit: int) -> None:
    messages = [message for text in texts for message in turn(text)]
    lazy, counter = counting(messages, Words())
    exact, same = counting(messages, Words())
    exact.settle(same)
    assert lazy.fits(counter, limit) is (exact.count(same).tokens <= limit)


def test_a_history_that_comes_back_is_counted_once() -> None:
    words = Words(Bounds())
    cache = CountCache(words)
    history = [*turn("a" * 100), *turn("b" * 100)]
    for messages in (history, [*history, *turn("c" * 100)]):
        counts = RequestCounts(make_request(messages), 0)
        counts.settle(Counter(cache, "openai", None))
    assert [text for text in words.asked if len(text) >= 100] == [b"b" * 100, b"a" * 100, b"c" * 100]


def test_the_cache_forgets_the_oldest_and_holds_no_text() -> None:
    words = Words()
    cache = CountCache(words, most=3)
    for letter in b"abcd":
        cache.count(bytes([letter]) * 100)
    assert len(cache) == 3
    cache.count(b"d" * 100)
    assert len(words.asked) == 4
    cache.count(b"a" * 100)
    assert len(words.asked) == 5
    assert b"aaaa" not in repr(vars(cache)["_counts"]).encode()


def test_without_bounds_everything_is_counted() -> None:
    counts, counter = counting(turn("x" * 100), Words(Bounds()))
    assert counts.range(counter) is None
    assert counts.fits(counter, 1_000_000) is True
    assert counts.count(counter).estimated is False


def test_without_a_tokenizer_the_estimate_stands_and_is_marked() -> None:
    counts, _ = counting(turn("x"), Words())
    for counter in (None, Counter(None, "openai", None)):
        assert counts.fits(counter, 5) is None
        assert counts.count(counter) == TokenCount(1000, estimated=True)


@pytest.mark.parametrize(
    "members",
    [{"tools": [TOOL]}, {"messages": [{"role": "user", "content": [image_part(b"?")]}]}],
    ids=["tools", "image of unknown size"],
)
def test_a_count_in_doubt_is_marked_estimated(members: dict[str, Any]) -> None:
    counts, counter = counting(**{"messages": turn("x"), "tokenizer": Words(), **members})
    counts.settle(counter)
    assert counts.count(counter).estimated
    assert not counts.is_exact(counter)


def test_images_of_known_size_are_counted_exactly() -> None:
    counts, counter = counting([{"role": "user", "content": [image_part(png(1024, 1024))]}], Words())
    counts.settle(counter)
    assert counts.count(counter) == TokenCount(765 + 2 + 3 + 3, estimated=False)


@pytest.mark.parametrize("text", ["uncountable", "x" * (MAX_COUNTED_BYTES + 1)], ids=["refused", "too long"])
def test_a_text_that_cannot_be_counted_leaves_an_estimate(text: str) -> None:
    counts, counter = counting(turn(text), Words(Bounds()))
    counts.settle(counter)
    assert counts.fits(counter, 10_000_000) is None
    assert counts.count(counter) == TokenCount(1000, estimated=True)


def test_a_prompt_too_long_to_count_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_module, "read_conversation", lambda *_: pytest.fail("read"))
    counts, counter = counting(turn("x" * (MAX_COUNTED_BYTES + 1)), Words(Bounds()))
    assert counts.fits(counter, 10_000_000) is None
    assert counts.count(counter) == TokenCount(1000, estimated=True)


def from_body(body: bytes) -> RequestCounts:
    return RequestCounts(ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, scan(body), {}), estimate=7)


def test_lone_surrogates_and_endless_numbers_raise_nothing() -> None:
    counter = Counter(CountCache(Words()), "openai", None)
    body = make_request(turn("x")).body
    for text, tokens in ((b"\\ud800", 2), (b"\\ud800 " * 1000, 2000)):  # U+FFFD, three bytes, in each one's place
        counts = from_body(body.replace(b'"x"', b'"' + text + b'"'))
        counts.settle(counter)
        assert counts.count(counter) == TokenCount(tokens + 2 + 3 + 3, estimated=False)
    counts = from_body(body[:-1] + b',"tools":[{"n":' + b"9" * 5000 + b"}]}")
    assert counts.count(counter) == TokenCount(7, estimated=True)
