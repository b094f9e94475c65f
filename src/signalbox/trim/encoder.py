"""What trimming asks of a tokenizer; the compiled WordPiece and the `tokenizers` library behind that interface."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from signalbox import core
from signalbox.errors import RouterError, SetupError


class Encoder(Protocol):
    """A tokenizer without its special tokens. Text is valid UTF-8; the same text always gives the same tokens."""

    def count(self, text: bytes) -> int:
        """Number of tokens."""

    def ends(self, text: bytes) -> Sequence[int]:
        """For each token in order, the byte of `text` at which what it stands for ends.

        Never decreasing, at most len(text). May point inside a character, as byte-level tokens do, and skip
        text that gives no token, as white space does in BERT.
        """


class HuggingFaceEncoder:
    """An `Encoder` over a tokenizer.json, read by the `tokenizers` library.

    The file's truncation, padding and template are switched off: they would count what is not in the text.
    Special tokens spelled out in the text count as the library reads them, as one token each.
    """

    def __init__(self, tokenizer_json: str) -> None:
        """Raises SetupError if `tokenizers` is not installed, RouterError if it cannot read the JSON."""
        try:
            from tokenizers import Tokenizer
        except ImportError as problem:
            raise SetupError("the Python package `tokenizers` is missing; fix: pip install tokenizers") from problem
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
        except Exception as problem:  # the library raises Exception itself
            raise RouterError(f"not a tokenizer.json that `tokenizers` can read: {problem}") from problem
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @classmethod
    def open(cls, path: Path) -> HuggingFaceEncoder:
        """Read a tokenizer.json. Raises as the constructor does, and RouterError if the file cannot be read."""
        return cls._of(path, _read(path))

    @classmethod
    def _of(cls, path: Path, tokenizer_json: str) -> HuggingFaceEncoder:
        try:
            return cls(tokenizer_json)
        except RouterError as problem:
            raise RouterError(f"{path}: {problem}") from problem

    def count(self, text: bytes) -> int:
        """As the interface says. Raises RouterError for a text that the vocabulary has no tokens for."""
        return len(_encoded(self._tokenizer.encode_batch_fast, text.decode()))

    def ends(self, text: bytes) -> Sequence[int]:
        """As the interface says. Raises RouterError for a text that the vocabulary has no tokens for."""
        string = text.decode()
        encoding = _encoded(self._tokenizer.encode_batch, string)
        characters = accumulate((end for _, end in encoding.offsets), max)
        if len(string) == len(text):
            return list(characters)
        at_byte = reached = 0
        ends = []
        for end in characters:
            if end > reached:
                at_byte += len(string[reached:end].encode())
                reached = end
            ends.append(at_byte)
        return ends


def _encoded(encode: Callable[..., list[Any]], text: str) -> Any:
    """Encode a batch of one: unlike `encode`, batches give the GIL away while they work."""
    try:
        [encoding] = encode([text], add_special_tokens=False)
    except Exception as problem:  # the library raises Exception itself, and what it says may quote the text
        raise RouterError(
            "the vocabulary has no token for a part of this text and none for the unknown; "
            "fix: the tokenizer.json that the model was published with"
        ) from problem
    return encoding


class WordPieceEncoder:
    """An `Encoder` over the compiled WordPiece: what `HuggingFaceEncoder` gives for BERT's files, sooner."""

    def __init__(self, wordpiece: core.WordPiece) -> None:
        self._wordpiece = wordpiece

    def count(self, text: bytes) -> int:
        return self._wordpiece.count(text)

    def ends(self, text: bytes) -> Sequence[int]:
        return self._wordpiece.ends(text)


def open_encoder(path: Path) -> Encoder:
    """Read a tokenizer.json: compiled if it is one of BERT's, else through the `tokenizers` library.

    Raises RouterError if the file cannot be used, SetupError if it needs `tokenizers` and that is not installed.
    """
    text = _read(path)
    try:
        wordpiece = core.wordpiece_of(json.loads(text))
    except (ValueError, RecursionError) as problem:
        raise RouterError(f"{path}: not a tokenizer.json: {problem}") from problem
    return HuggingFaceEncoder._of(path, text) if wordpiece is None else WordPieceEncoder(wordpiece)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise RouterError(f"{path}: cannot read the tokenizer: {problem}") from problem
