"""Any request is counted, under every template and every kind of tokenizer, and bounds never lie."""

from __future__ import annotations

import base64
import io
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import get_args

import sentencepiece
import tiktoken
import tokenizers
from hypothesis import assume, given
from hypothesis import strategies as st

from signalbox.core import PATTERNS as SPLITS
from signalbox.errors import RequestError
from signalbox.extproc.parse import parse_request
from signalbox.tokens.counter import CountCache, Counter, RequestCounts
from signalbox.tokens.images import ANTHROPIC, GEMINI, QWEN_VL, ImageFormula, openai_patches, openai_tiles
from signalbox.tokens.templates import TemplateName
from signalbox.tokens.tokenizer import Tokenizer, UncountableError
from signalbox.tokens.vocabulary import VocabularyError, load_tokenizer
from signalbox.types import Endpoint
from tests.fuzz.bodies import anything, encoded, mutated, requests, texts
from tests.unit.trim.encoders import FAMILIES

MERGES = (
    b"th",
    b"the",
    b" t",
    b" the",
    b"in",
    b"ing",
    b"\xe6\xbc",
    b"\xe6\xbc\xa2",
    b"  ",
    b"    ",
    b"\n\n",
    b"12",
    b"'s",
)
RANKS = {token: rank for rank, token in enumerate([*(bytes([byte]) for byte in range(256)), *MERGES])}
TIKTOKEN = b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in RANKS.items())
FORMULAS: tuple[ImageFormula | None, ...] = (
    *(None, ANTHROPIC, GEMINI, QWEN_VL),
    *(openai_tiles(85, 170), openai_patches(1.62)),
)

utf8 = texts.map(lambda text: text.encode("utf-8", "replace"))


def loaded(content: bytes, pattern: str | None = None) -> Tokenizer:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(content)
        return load_tokenizer(Path(file.name), pattern=pattern)


@cache
def tokenizer_json(family: str) -> bytes:
    written: str = FAMILIES[family]().to_str()
    return written.encode()


@cache
def tokenizer(name: str) -> Tokenizer:
    return loaded(tokenizer_json(name)) if name in FAMILIES else loaded(TIKTOKEN, name)


@cache
def published(pattern: str) -> tiktoken.Encoding:
    return tiktoken.Encoding("small", pat_str=SPLITS[pattern], mergeable_ranks=RANKS, special_tokens={})


def check_bounds(counting: Tokenizer, text: bytes) -> int | None:
    """The count of a text, inside its bounds; None if the tokenizer says that it cannot."""
    try:
        tokens = counting.count(text)
    except UncountableError:
        return None
    assert counting.bounds.lower(len(text)) <= tokens
    assert not counting.bounds.has_upper or tokens <= counting.bounds.upper(len(text))
    return tokens


names = st.sampled_from([*sorted(FAMILIES), *sorted(SPLITS)])


@given(requests, names, st.none() | st.sampled_from(get_args(TemplateName)), st.sampled_from(FORMULAS), st.data())
def test_any_request_is_counted_and_every_shortcut_gives_the_answer_of_the_count(
    request: tuple[Endpoint, bytes],
    name: str,
    template: TemplateName | None,
    images: ImageFormula | None,
    data: st.DataObject,
) -> None:
    try:
        parsed = parse_request(*request, {})
    except RequestError:
        assume(False)
    counter = Counter(CountCache(tokenizer(name)), template, images)
    counts = RequestCounts(parsed, estimate=7)
    bounds = counts.range(counter)
    counts.settle(counter)
    exact = counts.count(counter)
    assert exact.tokens >= 0
    if counts.fits(counter, exact.tokens) is None:
        return  # media, or too long: an estimate, and marked as one
    assert bounds is None or bounds[0] <= exact.tokens <= bounds[1]
    assert exact.estimated is not counts.is_exact(counter)
    for limit in (exact.tokens - 1, exact.tokens, data.draw(st.integers(0, 2 * exact.tokens))):
        assert RequestCounts(parsed, estimate=7).fits(counter, limit) is (exact.tokens <= limit)


@given(utf8, names)
def test_any_text_is_counted_within_its_bounds(text: bytes, name: str) -> None:
    counting = tokenizer(name)
    tokens = check_bounds(counting, text)
    assert tokens is None or CountCache(counting).count(text) == tokens
    if name in SPLITS and name != "qwen2":  # its tokenizers compose characters first
        assert tokens == len(published(name).encode_ordinary(text.decode()))


def small_files() -> list[bytes]:
    """A vocabulary of each format, as small as its library takes them."""
    byte_level = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    byte_level.normalizer = tokenizers.normalizers.NFC()
    byte_level.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    byte_level.add_special_tokens(["<|end|>"])
    words = tokenizers.Tokenizer(tokenizers.models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    words.normalizer = tokenizers.normalizers.BertNormalizer()
    without_unknown = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({"a": 0}, unk_token="[UNK]")
    )  # loads all the same
    pieces = tokenizers.Tokenizer(tokenizers.models.Unigram([("<unk>", 0.0), ("a", -1.0)], 0, False))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tekken = {
        "config": {"default_vocab_size": 257, "default_num_special_tokens": 1, "pattern": SPLITS["cl100k"]},
        "vocab": [{"rank": byte, "token_bytes": base64.b64encode(bytes([byte])).decode()} for byte in range(256)],
    }
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b ab ba"] * 9),
        model_writer=model,
        vocab_size=263,
        byte_fallback=True,
        minloglevel=2,
        normalization_rule_name="identity",
    )
    written = [tokenizer.to_str().encode() for tokenizer in (byte_level, words, without_unknown, pieces)]
    return [*written, json.dumps(tekken).encode(), model.getvalue(), TIKTOKEN]


FILES = small_files()
models = st.fixed_dictionaries(
    {"model": st.fixed_dictionaries({"type": st.sampled_from(["BPE", "WordPiece", "Unigram"]), "vocab": anything})},
    optional={"normalizer": anything, "pre_tokenizer": anything, "added_tokens": anything, "decoder": anything},
).map(lambda value: encoded(value, True))


@given(mutated(st.sampled_from(FILES) | models), st.none() | st.sampled_from(sorted(SPLITS)), utf8)
def test_a_vocabulary_is_refused_with_a_reason_or_counts_any_text_within_its_bounds(
    content: bytes, pattern: str | None, text: bytes
) -> None:
    try:
        counting = loaded(content, pattern)
    except VocabularyError:
        return
    check_bounds(counting, text)
