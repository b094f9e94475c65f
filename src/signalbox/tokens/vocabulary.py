"""Vocabulary files in, tokenizers out: tiktoken, `tokenizer.json`, BERT's vocab.txt, Mistral's tekken, SentencePiece.

Everything is read from the named file. Nothing is downloaded, and the libraries' own downloaders are never called.
A file that cannot be used is a `VocabularyError` that says why; it never surfaces while a request is served.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from signalbox import core
from signalbox.errors import SignalboxError
from signalbox.tokens.patterns import BERT_PATTERNS, NFC_PATTERNS, PATTERNS
from signalbox.tokens.tokenizer import (
    NFC_FACTOR,
    Bounds,
    CompiledTokenizer,
    HuggingFaceTokenizer,
    SentencePieceTokenizer,
    TiktokenTokenizer,
    Tokenizer,
    WordPieceTokenizer,
)

Format = Literal["huggingface", "tiktoken", "tekken", "sentencepiece", "wordpiece"]

MAX_VOCABULARY_BYTES = 128 * 1024 * 1024  # the largest published one, Gemma 3's tokenizer.json, has 33 MB
UNKNOWN_WORD = b"[UNK]"  # among the first hundred lines of every vocab.txt
BLANK = "▁"
"""What SentencePiece vocabularies write for a blank."""


class VocabularyError(SignalboxError):
    """A vocabulary file that cannot be used. `found` is what is wrong, `fix` what to do about it."""

    def __init__(self, found: str, fix: str = "") -> None:
        super().__init__(f"{found}; {fix}" if fix else found)
        self.found = found
        self.fix = fix


def load_tokenizer(path: Path, kind: Format | None = None, pattern: str | None = None) -> Tokenizer:
    """Return the tokenizer of a vocabulary file; the same one again while the file stays the same.

    kind: what is in the file; by default the file says. pattern: name of the split pattern, for tiktoken's format.
    Raises VocabularyError.
    """
    return _load(path, _identity(path), kind, pattern)


def check_vocabulary(path: Path, kind: Format | None = None, pattern: str | None = None) -> None:
    """Raise VocabularyError if the file cannot be used. Nothing is kept: the supervisor checks, workers load."""
    _load.__wrapped__(path, _identity(path), kind, pattern)


def _identity(path: Path) -> tuple[int, int, int]:
    """What changes when a file does. Raises VocabularyError for one that is missing or far too large."""
    try:
        status = path.stat()
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "no usable path"
        raise VocabularyError(f"cannot be read: {reason}", "mount the file, or correct the path") from problem
    if status.st_size > MAX_VOCABULARY_BYTES:
        raise VocabularyError(
            f"has {status.st_size} bytes", f"check which file this is: {MAX_VOCABULARY_BYTES} is most"
        )
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=16)  # a reload of the policy must not read 30 vocabularies again; the key changes with the file
def _load(path: Path, identity: tuple[int, int, int], kind: Format | None, pattern: str | None) -> Tokenizer:
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise VocabularyError(f"cannot be read: {problem.strerror}", "correct its owner or mode") from problem
    kind = kind or find_format(content)
    if kind not in _LOADERS or not (pattern is None or pattern in PATTERNS or pattern in BERT_PATTERNS):
        raise VocabularyError(f"has the format {kind!r} and the pattern {pattern!r}", f"known: {', '.join(_LOADERS)}")
    try:
        return _LOADERS[kind](content, pattern)
    except VocabularyError:
        raise
    except Exception as problem:  # the libraries raise whatever they like; none of it quotes more than the file
        raise VocabularyError(
            f"is no usable {kind} vocabulary ({type(problem).__name__})", "check the file"
        ) from problem


def find_format(content: bytes) -> Format:
    """Return what a vocabulary file holds, by its first bytes. Raises VocabularyError when it is none of ours."""
    start = content[:4096].lstrip()
    if start[:1] == b"{":
        return "tekken" if b'"default_vocab_size"' in content[:65536] or b'"vocab": [' in start else "huggingface"
    if content[:1] == b"\n":  # field 1 of a protobuf, length-delimited: the first piece of a SentencePiece model
        return "sentencepiece"
    fields = start.partition(b"\n")[0].split()
    if len(fields) == 2 and fields[1].isdigit():
        return "tiktoken"
    if UNKNOWN_WORD in content[:65536].split():
        return "wordpiece"
    raise VocabularyError(
        "is in no known vocabulary format", "expected tokenizer.json, tiktoken, tekken, vocab.txt or a .model"
    )


def _library(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as problem:
        raise VocabularyError(
            f"needs the Python package {name}, which is not installed", "pip install 'signalbox[tokens]'"
        ) from problem


def _load_tiktoken(content: bytes, pattern: str | None) -> Tokenizer:
    if pattern not in PATTERNS:
        raise VocabularyError("holds tokens alone", f"say how text is cut with `pattern`: {', '.join(PATTERNS)}")
    try:
        ranks = {
            base64.b64decode(token, validate=True): int(rank)
            for token, rank in (line.split() for line in content.splitlines() if line.strip())
        }
    except (ValueError, binascii.Error) as problem:
        raise VocabularyError("has a line that is not TOKEN RANK, the token in base64", "check the file") from problem
    _require_bytes(ranks)
    return CompiledTokenizer(core.Bpe(ranks, pattern=PATTERNS[pattern]), nfc=pattern in NFC_PATTERNS)


def _load_tekken(content: bytes, pattern: str | None) -> Tokenizer:
    data = json.loads(content)
    config = data["config"]
    size = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in data["vocab"][:size]}
    _require_bytes(ranks)
    encoding = _library("tiktoken").Encoding(
        "signalbox", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens={}, explicit_n_vocab=None
    )
    return TiktokenTokenizer(encoding, max(map(len, ranks)))


def _require_bytes(ranks: dict[bytes, int]) -> None:
    if missing := sum(bytes([byte]) not in ranks for byte in range(256)):
        raise VocabularyError(f"lacks {missing} of the 256 single bytes", "the file seems to be cut off; copy it again")


def _load_huggingface(content: bytes, pattern: str | None) -> Tokenizer:
    data = json.loads(content)
    wordpiece = core.wordpiece_of(data)
    if wordpiece is not None:
        return WordPieceTokenizer(wordpiece)
    tokenizer = _library("tokenizers").Tokenizer.from_buffer(content)
    return HuggingFaceTokenizer(tokenizer, huggingface_bounds(data))


def _load_wordpiece(content: bytes, pattern: str | None) -> Tokenizer:
    if pattern not in BERT_PATTERNS:
        raise VocabularyError("holds tokens alone", f"say how text is read with `pattern`: {', '.join(BERT_PATTERNS)}")
    try:
        return WordPieceTokenizer(core.wordpiece_of_list(content, lowercase=BERT_PATTERNS[pattern]))
    except ValueError as problem:
        raise VocabularyError(f"is no usable vocab.txt ({problem})", "check the file") from problem


def huggingface_bounds(data: dict[str, Any]) -> Bounds:
    """Return the bounds of a tokenizer.json, given as plain data; empty ones for a shape without a proof.

    Proved are BPE models that cut bytes (ByteLevel) or fall back to them, with no normalizer but NFC and the blank
    written as ▁.
    """
    model = data.get("model") or {}
    normalizers = list(_steps(data.get("normalizer"), "normalizers"))
    cutters = list(_steps(data.get("pre_tokenizer"), "pretokenizers"))
    if model.get("type") != "BPE":
        return Bounds()
    factor, extra = 1, 0
    for step in [*normalizers, *cutters]:
        kind = step.get("type")
        if kind == "NFC":
            factor = NFC_FACTOR
        elif kind == "Prepend" or (kind == "Metaspace" and step.get("prepend_scheme") != "never"):
            extra += 1
        elif kind == "ByteLevel":
            extra += bool(step.get("add_prefix_space"))
        elif kind == "Replace":
            if step.get("pattern") != {"String": " "} or step.get("content") != BLANK:
                return Bounds()
        elif kind not in ("Split", "Digits", "Metaspace", "Punctuation") or step.get("behavior") == "Removed":
            return Bounds()  # unknown, or it drops text, and then no lower bound holds
    vocabulary: dict[str, int] = model.get("vocab") or {}
    if any(step.get("type") == "ByteLevel" for step in cutters):
        longest = max(map(len, vocabulary), default=0)  # one character stands for one byte
        if len({token for token in vocabulary if len(token) == 1}) < 256:
            return Bounds()
    elif (
        model.get("byte_fallback")
        and all(f"<0x{byte:02X}>" in vocabulary for byte in range(256))
        and BLANK in vocabulary
    ):
        longest = max(len(token.replace(BLANK, " ").encode()) for token in vocabulary)
    else:
        return Bounds()
    added = data.get("added_tokens") or ()
    if any(token.get("lstrip") or token.get("rstrip") for token in added):
        longest = 0  # such a token takes all the white space beside it
    elif longest:
        longest = max([longest, *(len(token["content"].encode()) for token in added)])
    return Bounds(longest, factor, extra)


def _steps(step: Any, key: str) -> Iterator[dict[str, Any]]:
    """The steps of a normalizer or pre-tokenizer, sequences taken apart."""
    if isinstance(step, dict):
        if step.get("type") == "Sequence":
            for inner in step.get(key) or ():
                yield from _steps(inner, key)
        else:
            yield step


def _load_sentencepiece(content: bytes, pattern: str | None) -> Tokenizer:
    processor = _library("sentencepiece").SentencePieceProcessor(model_proto=content)
    size = processor.get_piece_size()
    pieces = [processor.id_to_piece(index) for index in range(size)]
    longest = max(len(piece.replace(BLANK, " ").encode()) for piece in pieces)
    # Only a model that falls back to bytes and changes no character has bounds: NFKC turns one into up to 18.
    falls_back = sum(processor.is_byte(index) for index in range(size)) == 256
    keeps_text = processor.normalize("ﷺ  ½ é") == f"{BLANK}ﷺ{BLANK}{BLANK}½{BLANK}é"
    return SentencePieceTokenizer(processor, Bounds(longest, 1, 1) if falls_back and keeps_text else Bounds())


_LOADERS: dict[Format, Callable[[bytes, str | None], Tokenizer]] = {
    "huggingface": _load_huggingface,
    "tiktoken": _load_tiktoken,
    "tekken": _load_tekken,
    "sentencepiece": _load_sentencepiece,
    "wordpiece": _load_wordpiece,
}
