"""Small tokenizers of the three families that router models use, trained on this repository's own documents."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from signalbox.trim import HuggingFaceEncoder

ROOT = Path(__file__).parents[3]
OTHER_LANGUAGES = (
    "Как мне исправить эту ошибку в моём коде?",
    "请帮我重构这个函数,不要改变它的行为。",
    "この関数をもっと速くしてください。",
    "كيف يمكنني إصلاح هذا الخطأ؟",
    "Größe, Länge und Übermut – naïve Beispiele.",
    "मुझे यह समझाओ।",
    "😀👩‍💻🚀",
)


def corpus() -> list[str]:
    lines = [line for path in sorted((ROOT / "docs").glob("*.md")) for line in path.read_text().splitlines()]
    return [*lines, *OTHER_LANGUAGES * 20]


def wordpiece() -> Tokenizer:
    """As BERT: lower-case, white space lost, unknown words one token."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=3000, special_tokens=["[UNK]", "[CLS]"], show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.enable_truncation(16)  # a file may have that on; an encoder must not
    tokenizer.enable_padding(length=16, pad_token="[CLS]")
    return tokenizer


def byte_bpe() -> Tokenizer:
    """As Qwen and Llama 3: bytes, split at words, so that tokens may end inside a character."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=3000, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def unigram() -> Tokenizer:
    """As XLM-R: a blank in front of every text, the most probable pieces of all of it."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=2000, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


FAMILIES = {"wordpiece": wordpiece, "byte_bpe": byte_bpe, "unigram": unigram}


@cache
def encoder(family: str) -> HuggingFaceEncoder:
    return HuggingFaceEncoder(FAMILIES[family]().to_str())


def body(*messages: tuple[str, object]) -> bytes:
    """A chat request of (role, content) pairs."""
    return json.dumps(
        {"model": "auto", "messages": [{"role": role, "content": content} for role, content in messages]},
        ensure_ascii=False,
    ).encode()
