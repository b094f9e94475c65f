"""Files of BERT's vocabularies in, `core.WordPiece` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signalbox.core.word_tokens import CONTINUES, MAX_CHARS, MAX_SPECIALS, parse_tokens
from signalbox.core.wordpiece import WordPiece

_BERT_SPECIALS = (b"[PAD]", b"[UNK]", b"[CLS]", b"[SEP]", b"[MASK]")
_WITHOUT_EFFECT = ("TemplateProcessing", "BertProcessing")
"""Post-processors that only put special tokens around a text."""


def wordpiece_of(data: Mapping[str, Any]) -> WordPiece | None:
    """Return the compiled encoder for a tokenizer.json, given as plain data, if it gives the same ids.

    That is one whose model is WordPiece, behind BertNormalizer with clean_text and BertPreTokenizer, whose added
    tokens are found as they are written. Truncation, padding and what is put around a text are not looked at: an
    encoder is asked about the text alone. None for anything else, which is up to the library `tokenizers`.
    """
    try:
        return _encoder(data)
    except (ValueError, TypeError, KeyError, AttributeError):  # broken, or out of bounds: the library says what it is
        return None


def _encoder(data: Mapping[str, Any]) -> WordPiece | None:
    model, normalizer = _section(data, "model"), _section(data, "normalizer")
    added = data.get("added_tokens") or []
    longest_word = model.get("max_input_chars_per_word", 100)
    if (
        model.get("type") != "WordPiece"
        or normalizer.get("type") != "BertNormalizer"
        or _section(data, "pre_tokenizer").get("type") != "BertPreTokenizer"
        or (data.get("post_processor") and _section(data, "post_processor").get("type") not in _WITHOUT_EFFECT)
        or not normalizer.get("clean_text", True)
        or model.get("continuing_subword_prefix", CONTINUES.decode()) != CONTINUES.decode()
        or not 1 <= longest_word <= MAX_CHARS
        or len(added) > MAX_SPECIALS
        or any(token.get(key) for token in added for key in ("single_word", "lstrip", "rstrip", "normalized"))
        or model.get("unk_token") not in model.get("vocab", {})
    ):
        return None
    return WordPiece(
        {token.encode(): number for token, number in model["vocab"].items() if token},
        specials={token["content"].encode(): token["id"] for token in added if token["content"]},
        unknown=model["unk_token"].encode(),
        lowercase=normalizer.get("lowercase", True),
        strip_accents=normalizer.get("strip_accents"),
        handle_chinese_chars=normalizer.get("handle_chinese_chars", True),
        max_input_chars_per_word=longest_word,
    )


def wordpiece_of_list(content: bytes, *, lowercase: bool) -> WordPiece:
    """Return the compiled encoder for a vocab.txt, as BERT's own tokenizer is with it.

    Raises ValueError for a vocabulary that cannot be used.
    """
    tokens = parse_tokens(content)
    specials = {token: tokens[token] for token in _BERT_SPECIALS if token in tokens}
    return WordPiece(tokens, specials=specials, lowercase=lowercase)


def _section(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = data.get(name)
    return section if isinstance(section, dict) else {}
