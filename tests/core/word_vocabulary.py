"""A WordPiece vocabulary small enough to be read, and the tokenizer.json that `tokenizers` reads it from."""

from __future__ import annotations

import json
import string
from typing import Any

LETTERS = string.ascii_lowercase + string.digits + "éßıſαςпривет" + "日本語の" + "한국어" + "नमस" + "\u1100\u1161\u11a8"
WORDS = "the word token router http server and tokenize don quick brown 42 2048 naïve привет 你 world İ Å ÉCOLE DON"
PIECES = "ing s ize r er zation 48 вет ß ter http 語 \u0301 \u0307 é E A"
LONG = "a" * 70
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[MASK]2", "<s>")


def small_tokens() -> dict[bytes, int]:
    """Every kind of token: letters and pieces of one to four bytes, words, punctuation and one of 70 bytes."""
    words = [*LETTERS, *string.ascii_uppercase, *WORDS.split(), LONG, *string.punctuation, "。", "«", "\u3000x"]
    pieces = [*LETTERS, *PIECES.split(), LONG[:66]]
    every = [*SPECIALS, *words, *(f"##{piece}" for piece in pieces)]
    return {token.encode(): number for number, token in enumerate(dict.fromkeys(every))}


def specials() -> dict[bytes, int]:
    return {spelling.encode(): small_tokens()[spelling.encode()] for spelling in SPECIALS}


def tokenizer_json(
    vocabulary: dict[bytes, int], *, max_input_chars_per_word: int = 100, **normalizer: bool | None
) -> dict[str, Any]:
    """What BERT's tokenizer.json files look like, over a vocabulary that has the special tokens."""
    return {
        "version": "1.0",
        "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": None,
        "added_tokens": [
            {"id": vocabulary[spelling.encode()], "content": spelling, "special": True, "normalized": False}
            | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
            for spelling in SPECIALS
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        }
        | normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": max_input_chars_per_word,
            "vocab": {token.decode(): number for token, number in vocabulary.items()},
        },
    }


def as_text(data: dict[str, Any]) -> str:
    return json.dumps(data)
