"""Counts equal those of the packages that publish a vocabulary, and lie within the bounds."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import tokenizers as library
from hypothesis import given
from hypothesis import strategies as st

from signalbox.features.tokens import estimate_prompt_tokens
from signalbox.tokens.tokenizer import LONGEST_SPACE_RUN_BYTES, NFC_FACTOR, Bounds, Tokenizer, UncountableError
from signalbox.tokens.vocabulary import VocabularyError, huggingface_bounds, load_tokenizer
from tests.published import deepseek_tokenizer, folder, module, qwen_tokenizer, tiktoken_encoding
from tests.unit.tokens.bodies import make_request, openai
from tests.unit.tokens.texts import SCRIPTS, TEXTS, mixtures

EVERY = [*TEXTS.values(), *mixtures(300)]


def check(tokenizer: Tokenizer, reference: Any, texts: list[str] = EVERY) -> None:
    """Same counts as `reference(text)`, all of them inside the bounds."""
    bounds = tokenizer.bounds
    for text in texts:
        raw = text.encode()
        count = tokenizer.count(raw)
        assert count == reference(text), text
        assert bounds.lower(len(raw)) <= count, text
        if bounds.has_upper:
            assert count <= bounds.upper(len(raw)), text


@pytest.mark.parametrize("name", ["o200k", "cl100k"])
def test_openai_counts_equal_those_of_tiktokens_own_encodings(name: str) -> None:
    published = tiktoken_encoding(name)
    check(openai(name), lambda text: len(published.encode(text, disallowed_special=())))


@pytest.mark.parametrize("name", ["llama3", "llama4"])
def test_llama_counts_equal_those_of_metas_package(name: str) -> None:
    published = module(f"llama_models.{name}.tokenizer").Tokenizer.get_instance()
    tokenizer = load_tokenizer(folder("llama_models") / name / "tokenizer.model", pattern=name)
    check(tokenizer, lambda text: len(published.encode(text, bos=False, eos=False)))


def test_qwen_counts_equal_those_of_alibabas_package() -> None:
    file = folder("dashscope") / "resources/qwen.tiktoken"
    published = qwen_tokenizer()
    check(load_tokenizer(file, pattern="qwen2"), lambda text: len(published.encode(text, allowed_special=set())))


@pytest.mark.parametrize("name", ["tekken_240718.json", "tekken_240911.json"])
def test_tekken_counts_equal_those_of_mistral_common(name: str) -> None:
    file = folder("mistral_common") / "data" / name
    published = module("mistral_common.tokens.tokenizers.tekken").Tekkenizer.from_file(file)
    check(load_tokenizer(file), lambda text: len(published.encode(text, bos=False, eos=False)))


@pytest.mark.parametrize("name", ["tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3"])
def test_sentencepiece_counts_equal_those_of_mistral_common(name: str) -> None:
    file = folder("mistral_common") / "data" / name
    published = module("mistral_common.tokens.tokenizers.sentencepiece").SentencePieceTokenizer(file)
    tokenizer = load_tokenizer(file)
    assert tokenizer.bounds.has_upper
    check(tokenizer, lambda text: len(published.encode(text, bos=False, eos=False)))


def test_tokenizer_json_counts_equal_those_of_the_tokenizers_library() -> None:
    file = folder("litellm") / "litellm_core_utils/tokenizers/deepseek_tokenizer.json"
    published = deepseek_tokenizer()
    tokenizer = load_tokenizer(file)
    assert tokenizer.bounds.has_upper
    check(tokenizer, lambda text: len(published.encode(text, add_special_tokens=False).ids))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small byte-level tokenizer.json that truncates and pads, as some published ones do."""
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.normalizer = library.normalizers.NFC()
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = library.trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|end|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS.values(), trainer)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    file = tmp_path_factory.mktemp("trained") / "tokenizer.json"
    tokenizer.save(str(file))
    return file


def test_truncation_and_padding_of_a_tokenizer_json_do_not_change_counts(trained: Path) -> None:
    published = library.Tokenizer.from_file(str(trained))
    published.no_truncation()
    published.no_padding()
    tokenizer = load_tokenizer(trained)
    assert tokenizer.bounds == Bounds(tokenizer.bounds.longest_token_bytes, NFC_FACTOR, 1)
    check(tokenizer, lambda text: len(published.encode(text, add_special_tokens=False).ids))


@given(st.text(max_size=400))
def test_any_text_counts_within_the_bounds(text: str) -> None:
    tokenizer = openai("o200k")
    raw = text.encode("utf-8", "replace")
    assert tokenizer.bounds.lower(len(raw)) <= tokenizer.count(raw) <= tokenizer.bounds.upper(len(raw))


def test_composing_a_character_changes_its_size_by_no_more_than_the_factor() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x110000)):
        source = chr(code)
        composed = unicodedata.normalize("NFC", source)
        size, composed_size = len(source.encode()), len(composed.encode())
        assert size <= NFC_FACTOR * composed_size
        assert composed_size <= NFC_FACTOR * size
        if composed == source:  # the longest text that composes to it
            assert len(unicodedata.normalize("NFD", source).encode()) <= NFC_FACTOR * size


@pytest.mark.parametrize("character", [" ", "\n", "\u3000", "\u2003"])
def test_a_run_of_white_space_is_counted_or_refused_but_never_a_panic(trained: Path, character: str) -> None:
    tokenizer = load_tokenizer(trained)
    size = len(character.encode())
    assert tokenizer.count(character.encode() * ((LONGEST_SPACE_RUN_BYTES - 1) // size)) > 0
    with pytest.raises(UncountableError):
        tokenizer.count(b"x" + character.encode() * (LONGEST_SPACE_RUN_BYTES // size + 1) + b"x")


@pytest.mark.parametrize("character", [" ", "\n", "\u3000"])
def test_the_compiled_encoder_counts_a_run_of_white_space_of_any_length(character: str) -> None:
    tokenizer = openai("o200k")
    assert 0 < tokenizer.count(b"x" + character.encode() * 1_000_000 + b"x") < 1_000_002


BYTES = [chr(0x100 + byte) for byte in range(256)]
BYTE_LEVEL: dict[str, Any] = {
    "model": {"type": "BPE", "vocab": {token: number for number, token in enumerate([*BYTES, "abcde"])}},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
}
FALLBACK: dict[str, Any] = {
    "model": {
        "type": "BPE",
        "byte_fallback": True,
        "vocab": {t: n for n, t in enumerate([*(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁▁▁▁▁▁▁▁"])},
    },
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    },
}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (BYTE_LEVEL, Bounds(5, 1, 0)),
        ({**BYTE_LEVEL, "normalizer": {"type": "NFC"}}, Bounds(5, NFC_FACTOR, 0)),
        ({**BYTE_LEVEL, "added_tokens": [{"content": "<|longer|>"}]}, Bounds(10, 1, 0)),
        ({**BYTE_LEVEL, "added_tokens": [{"content": "<|x|>", "lstrip": True}]}, Bounds(0, 1, 0)),
        (FALLBACK, Bounds(8, 1, 1)),
        ({**BYTE_LEVEL, "normalizer": {"type": "NFKC"}}, Bounds()),
        ({**BYTE_LEVEL, "normalizer": {"type": "Strip"}}, Bounds()),
        ({**FALLBACK, "model": {**FALLBACK["model"], "byte_fallback": False}}, Bounds()),
        ({"model": {"type": "WordPiece", "vocab": {}}}, Bounds()),
        ({"model": {"type": "Unigram", "vocab": []}}, Bounds()),
    ],
)
def test_only_shapes_with_a_proof_get_bounds(data: dict[str, Any], expected: Bounds) -> None:
    assert huggingface_bounds(data) == expected


@pytest.mark.parametrize(
    ("content", "pattern", "words"),
    [
        (b"", "o200k", "no known vocabulary format"),
        (b"<html>not found</html>", "o200k", "no known vocabulary format"),
        (b"version https://git-lfs.github.com/spec/v1\noid 1\n", "o200k", "no known vocabulary format"),
        (b"AA== 0\nnot a line\n", "o200k", "TOKEN RANK"),
        (b"AA== 0\nAQ== 1\n", "o200k", "lacks 254 of the 256"),
        (b"AA== 0\nAQ== 1\n", None, "`pattern`"),
        (b"{}", None, "huggingface"),
        (b'{"config": {"default_vocab_size": 3}}', None, "tekken"),
        (b"\n\x03abc", None, "sentencepiece"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_named_as_such(
    tmp_path: Path, content: bytes, pattern: str | None, words: str
) -> None:
    file = tmp_path / "vocabulary"
    file.write_bytes(content)
    with pytest.raises(VocabularyError, match=words):
        load_tokenizer(file, pattern=pattern)


def test_a_missing_library_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(BYTE_LEVEL))
    with pytest.raises(VocabularyError, match=r"signalbox\[tokens\]"):
        load_tokenizer(file)


def test_a_missing_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="No such file"):
        load_tokenizer(tmp_path / "nowhere")


def test_a_file_is_read_again_only_when_it_changed(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tokenizer.json"
    copy.write_bytes(trained.read_bytes())
    first = load_tokenizer(copy)
    assert load_tokenizer(copy) is first
    copy.write_bytes(trained.read_bytes() + b"\n")
    assert load_tokenizer(copy) is not first


@pytest.mark.parametrize("name", ["o200k", "cl100k"])
@pytest.mark.parametrize("text", [*SCRIPTS, "code", "data"])
def test_the_estimate_is_within_its_stated_bound_of_the_true_count(name: str, text: str) -> None:
    tokenizer = openai(name)
    raw = TEXTS[text].encode() * 40
    estimate = estimate_prompt_tokens(make_request([{"role": "user", "content": TEXTS[text] * 40}]).scan)
    assert estimate / 3 <= tokenizer.count(raw) <= estimate * 2


def test_a_text_that_a_vocabulary_has_no_token_for_is_uncountable_and_not_a_fault(tmp_path: Path) -> None:
    library = pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    library.Tokenizer(library.models.WordPiece({"a": 0}, unk_token="[UNK]")).save(str(path))
    tokenizer = load_tokenizer(path)
    assert tokenizer.count(b"a") == 1
    with pytest.raises(UncountableError, match="no token for a part of this text"):
        tokenizer.count(b"secret")
