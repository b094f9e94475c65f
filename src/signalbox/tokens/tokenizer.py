"""What a tokenizer is to Signalbox: a count for a text, and bounds on that count that need no tokenizing.

`count` is all that callers use, so a compiled encoder can stand behind the same interface.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from signalbox import core
from signalbox.errors import SignalboxError

LONGEST_SPACE_RUN_BYTES = 200_000
"""Longer runs of white space are not tokenized: the backtracking in `\\s+(?!\\S)` makes tiktoken 0.14 panic from some
six hundred thousand characters on, and a panic writes to stderr before anybody can catch it."""

_SPACE_LIKE = bytes(
    0x20
    if byte in b"\t\n\x0b\x0c\r \x1c\x1d\x1e\x1f\x81\x85\x9a\x9f\xa0\xa8\xa9\xaf\xc2\xe1\xe2\xe3"
    or 0x80 <= byte <= 0x8A
    else 0
    for byte in range(256)
)
"""Every byte that occurs in some white-space character becomes a blank. Too many do (the Japanese あ, for one), which
costs an exact count of that many of them in a row and nothing else."""

NFC_FACTOR = 3
"""Unicode's composed form is at most 3 times as long in UTF-8 as its source, and at least a third (UAX 15, FAQ)."""


class UncountableError(SignalboxError):
    """A text this tokenizer cannot count. The prompt is then estimated; no request fails over it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of a count before anything is tokenized; docs/tokens.md has the proofs.

    longest_token_bytes: of any token, added ones included; 0 when a token may swallow any number of bytes.
    tokens_per_byte: most tokens one byte of text can become; 0 when there is no such number.
    extra_tokens: most tokens that come with a text whatever its length (a leading blank, for one).
    """

    longest_token_bytes: int = 0
    tokens_per_byte: int = 0
    extra_tokens: int = 0

    @property
    def has_upper(self) -> bool:
        """Whether `upper` is a bound at all."""
        return self.tokens_per_byte > 0

    def upper(self, size_bytes: int) -> int:
        """Most tokens a text of that many bytes can have. Only meaningful if `has_upper`."""
        return size_bytes * self.tokens_per_byte + self.extra_tokens

    def lower(self, size_bytes: int) -> int:
        """Fewest tokens a text of that many bytes can have; 0 when nothing is known."""
        if not self.longest_token_bytes or not self.tokens_per_byte:
            return 0
        return -(-size_bytes // (self.longest_token_bytes * self.tokens_per_byte))


class Tokenizer(Protocol):
    """One vocabulary, ready to count. Immutable, so threads may share it."""

    @property
    def bounds(self) -> Bounds: ...

    def count(self, text: bytes) -> int:
        """Return how many tokens UTF-8 text has, special tokens not among them.

        Raises UncountableError for a text that must not be given to the library behind it.
        """


class CompiledTokenizer:
    """Byte-level BPE with a published split pattern, in the compiled core. Special tokens in a text are text."""

    def __init__(self, bpe: core.Bpe, *, nfc: bool = False) -> None:
        self.bounds = Bounds(bpe.longest_token_bytes, NFC_FACTOR if nfc else 1)
        self._bpe = bpe
        self._nfc = nfc

    def count(self, text: bytes) -> int:
        if self._nfc and not text.isascii():
            text = unicodedata.normalize("NFC", text.decode("utf-8", "replace")).encode()
        return self._bpe.count(text)


class WordPieceTokenizer:
    """BERT's WordPiece in the compiled core. Special tokens written out in a text are special, as in servers."""

    def __init__(self, wordpiece: core.WordPiece) -> None:
        self.bounds = Bounds(0, 1)  # white space costs nothing, and a long word is one token
        self._wordpiece = wordpiece

    def count(self, text: bytes) -> int:
        return self._wordpiece.count(text)


class TiktokenTokenizer:
    """Byte-level BPE with a pattern of its own (tekken) through `tiktoken`. Special tokens in a text are text."""

    def __init__(self, encoding: Any, longest_token_bytes: int) -> None:
        self.bounds = Bounds(longest_token_bytes, 1)
        self._encode: Callable[[str], list[int]] = encoding.encode_ordinary

    def count(self, text: bytes) -> int:
        if len(text) >= LONGEST_SPACE_RUN_BYTES:
            _refuse_long_space(text)
        return len(self._encode(text.decode("utf-8", "replace")))


class HuggingFaceTokenizer:
    """A `tokenizer.json` through `tokenizers`. Special tokens written out in a text are special, as in servers."""

    def __init__(self, tokenizer: Any, bounds: Bounds) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.bounds = bounds
        # encode() keeps the interpreter's lock, encode_batch_fast does not.
        self._encode_batch: Callable[..., list[Any]] = tokenizer.encode_batch_fast

    def count(self, text: bytes) -> int:
        if len(text) >= LONGEST_SPACE_RUN_BYTES:
            _refuse_long_space(text)
        try:
            [encoding] = self._encode_batch([text.decode("utf-8", "replace")], add_special_tokens=False)
        except Exception as problem:  # the library raises Exception itself, over a word that has no unknown token
            raise UncountableError("the vocabulary has no token for a part of this text") from problem
        return len(encoding)


class SentencePieceTokenizer:
    """A SentencePiece model through `sentencepiece`."""

    def __init__(self, processor: Any, bounds: Bounds) -> None:
        self.bounds = bounds
        self._encode: Callable[[str], list[int]] = processor.encode

    def count(self, text: bytes) -> int:
        return len(self._encode(text.decode("utf-8", "replace")))


def _refuse_long_space(text: bytes) -> None:
    if b" " * LONGEST_SPACE_RUN_BYTES in text.translate(_SPACE_LIKE):
        raise UncountableError(f"more than {LONGEST_SPACE_RUN_BYTES} bytes of white space in a row")
