"""BERT's vocabularies count as `tokenizers` counts them, and need no `tokenizers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from signalbox.tokens.tokenizer import Bounds, HuggingFaceTokenizer, Tokenizer, WordPieceTokenizer
from signalbox.tokens.vocabulary import VocabularyError, load_tokenizer
from tests.core.word_vocabulary import as_text, small_tokens, tokenizer_json
from tests.unit.tokens.texts import TEXTS, mixtures

EVERY = [*TEXTS.values(), *mixtures(300), "[CLS] what is [MASK]? [SEP]", " " * 300_000 + "x"]


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokenizer.json"
    file.write_text(as_text(tokenizer_json(small_tokens())))
    return file


@pytest.fixture
def list_file(tmp_path: Path) -> Path:
    file = tmp_path / "vocab.txt"
    file.write_bytes(b"\n".join(small_tokens()) + b"\n")
    return file


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)


def check(tokenizer: Tokenizer, published: Any) -> None:
    assert tokenizer.bounds == Bounds(0, 1)
    for text in EVERY:
        raw = text.encode()
        count = tokenizer.count(raw)
        assert count == len(published.encode(text, add_special_tokens=False).ids), text
        assert tokenizer.bounds.lower(len(raw)) <= count <= tokenizer.bounds.upper(len(raw))


def test_a_tokenizer_json_of_bert_counts_as_the_tokenizers_library_counts(tokenizer_file: Path) -> None:
    published = pytest.importorskip("tokenizers").Tokenizer.from_file(str(tokenizer_file))
    published.no_truncation()
    check(load_tokenizer(tokenizer_file), published)


@pytest.mark.parametrize(("pattern", "lowercase"), [("bert-uncased", True), ("bert-cased", False)])
def test_a_vocab_txt_counts_as_berts_own_tokenizer_counts(list_file: Path, pattern: str, lowercase: bool) -> None:
    library = pytest.importorskip("tokenizers")
    tokens = library.models.WordPiece.read_file(str(list_file))
    check(load_tokenizer(list_file, pattern=pattern), library.BertWordPieceTokenizer(tokens, lowercase=lowercase))


@pytest.mark.usefixtures("no_library")
def test_they_are_read_without_the_tokenizers_library(tokenizer_file: Path, list_file: Path) -> None:
    assert isinstance(load_tokenizer(tokenizer_file), WordPieceTokenizer)
    assert isinstance(load_tokenizer(list_file, pattern="bert-cased"), WordPieceTokenizer)


def test_a_wordpiece_model_behind_other_steps_stays_with_the_library(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    file = tmp_path / "tokenizer.json"
    file.write_text(as_text(tokenizer_json(small_tokens()) | {"pre_tokenizer": {"type": "Whitespace"}}))
    tokenizer = load_tokenizer(file)
    assert isinstance(tokenizer, HuggingFaceTokenizer)
    assert tokenizer.bounds == Bounds()


@pytest.mark.parametrize(
    ("content", "pattern", "words"),
    [
        (b"[UNK]\nthe\n", None, "`pattern`: bert-uncased, bert-cased"),
        (b"[UNK]\nthe\n", "o200k", "`pattern`: bert-uncased, bert-cased"),
        (b"[UNK]\nthe\nthe\n", "bert-cased", "line 3: its token is also on line 2"),
        (b"AA== 0\n", "bert-cased", "`pattern`: gpt2"),
    ],
)
def test_a_vocab_txt_that_cannot_be_used_says_why(
    tmp_path: Path, content: bytes, pattern: str | None, words: str
) -> None:
    file = tmp_path / "vocab.txt"
    file.write_bytes(content)
    with pytest.raises(VocabularyError, match=words):
        load_tokenizer(file, pattern=pattern)
