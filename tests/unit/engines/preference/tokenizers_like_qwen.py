"""A small byte-level tokenizer with ChatML's special tokens, as Qwen's."""

from __future__ import annotations

from functools import cache

from signalbox.engines.preference.budget import PromptTokenizer
from tests.unit.trim.encoders import byte_bpe


@cache
def tokenizer_json() -> str:
    tokenizer = byte_bpe()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return str(tokenizer.to_str())


@cache
def prompt_tokenizer() -> PromptTokenizer:
    return PromptTokenizer(tokenizer_json())
