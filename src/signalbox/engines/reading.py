"""What an engine reads of a request: its text as token ids, trimmed to a budget or cut into windows.

A prompt is trimmed as `signalbox.trim` does it, in the model's own tokens: the middle goes, never just the end. Windows
read everything, for models whose answer must not depend on where in a text something stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from signalbox.core import Passage, Role
from signalbox.errors import RouterError
from signalbox.trim import Encoder, Frame, Trimmer, open_encoder
from signalbox.trim.conversation import Passages
from signalbox.types import ParsedRequest

Scope = Literal["last_user", "conversation"]

BYTES_PER_TOKEN = 3
PIECE_CHARS = 16_384  # tokenized in a millisecond or two, and the list of their ids made in far less
_PLAIN = {Role.USER: b""}  # classifiers and encoders were trained on what people wrote, without any scaffold


class Reader:
    """A model's tokenizer with its budget. Threads share one.

    max_tokens: most that one run takes, special tokens included.
    """

    def __init__(self, tokenizer: Path, max_tokens: int, scope: Scope = "last_user") -> None:
        """Raises RouterError if the tokenizer cannot be read or the budget leaves no room."""
        self.max_tokens = max_tokens
        self._scope = scope
        self._tokenizer = _load(tokenizer)
        self._before, self._after = self._special_tokens()
        self._extra = len(self._before) + len(self._after)
        self._trimmer = Trimmer(open_encoder(tokenizer), max_tokens, Frame(labels=_PLAIN, extra_tokens=self._extra))

    @property
    def vocabulary(self) -> int:
        """How many tokens the model was trained with; added ones may lie behind what it knows."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=False))

    def prompt(self, request: ParsedRequest) -> str:
        """Return what is read of a request, within the budget; empty if no user says anything."""
        return _trimmed(self._trimmer, request, self._scope)

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text within the budget, special tokens around them. Raises RouterError if it is over."""
        found = [*self._before, *self._encode(text), *self._after]
        if len(found) > self.max_tokens:
            raise RouterError(f"{len(found)} tokens, more than the {self.max_tokens} of the model")
        return found

    def windows(self, request: ParsedRequest, tokens: int, stride: int) -> Iterator[list[int]]:
        """Yield all text in scope, window by window: `tokens` each, special tokens included, `stride` apart.

        The text is tokenized as windows are asked for, some pages at a time: what is given up half-way costs half.
        """
        room = tokens - self._extra
        step = min(stride, room)
        ids: list[int] = []
        for piece in _pieces(request.scan.text(last_user=self._scope == "last_user").decode("utf-8", "replace")):
            ids += self._encode(piece)
            while len(ids) > room:
                yield [*self._before, *ids[:room], *self._after]
                del ids[:step]
        if ids:
            yield [*self._before, *ids, *self._after]

    def _encode(self, text: str) -> list[int]:
        try:
            # A batch of one, and fast: the only call that gives the GIL away for as long as it works.
            [encoding] = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        except Exception as problem:  # the library raises Exception itself, and what it says may quote the text
            raise RouterError("the tokenizer has no tokens for a part of this text") from problem
        found: list[int] = encoding.ids
        return found

    def _special_tokens(self) -> tuple[list[int], list[int]]:
        """What the tokenizer puts before and after a text, by its template."""
        plain: list[int] = self._tokenizer.encode("a", add_special_tokens=False).ids
        full: list[int] = self._tokenizer.encode("a", add_special_tokens=True).ids
        for start in range(len(full) - len(plain) + 1):
            if full[start : start + len(plain)] == plain:
                return full[:start], full[start + len(plain) :]
        raise RouterError("the tokenizer's template does not leave a text as it is")


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of a few pages, cut before white space where there is some."""
    start = 0
    while len(text) - start > PIECE_CHARS:
        end = text.rfind(" ", start + PIECE_CHARS // 2, start + PIECE_CHARS)
        end = start + PIECE_CHARS if end < 0 else end
        yield text[start:end]
        start = end
    yield text[start:]


class _Bytes:
    """An encoder for texts whose tokens nobody here knows: a third of their bytes, which is more than they have.

    `features.tokens` has the measurements behind the rule.
    """

    def count(self, text: bytes) -> int:
        return -(-len(text) // BYTES_PER_TOKEN)

    def ends(self, text: bytes) -> Sequence[int]:
        return [*range(BYTES_PER_TOKEN, len(text), BYTES_PER_TOKEN), len(text)] if text else []


def plain_prompt(max_tokens: int, scope: Scope, encoder: Encoder | None = None) -> Callable[[ParsedRequest], str]:
    """Return what reads a request for a model without a template. encoder: its tokenizer, if that is here."""
    trimmer = Trimmer(encoder or _Bytes(), max_tokens, Frame(labels=_PLAIN))
    return lambda request: _trimmed(trimmer, request, scope)


def _trimmed(trimmer: Trimmer, request: ParsedRequest, scope: Scope) -> str:
    scan = cast("Passages", request.scan)
    if scope == "last_user":
        text = trimmer.trim(_LastUser(scan)).prompt
        if text:
            return text.decode()
    return trimmer.trim(scan).prompt.decode()


class _LastUser:
    """A request as if its last user turn were all there is."""

    def __init__(self, scan: Passages) -> None:
        self._scan = scan

    @property
    def passages(self) -> tuple[Passage, ...]:
        every = [passage for passage in self._scan.passages if passage.role == Role.USER]
        return tuple([passage for passage in every if passage.turn == every[-1].turn])

    def passage_text(self, first: int, end: int) -> bytes:
        return self._scan.passage_text(first, end)


def _load(path: Path) -> Any:
    from tokenizers import Tokenizer  # a process without engines does not wait for it

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as problem:  # the library raises Exception itself
        raise RouterError(f"{path}: not a tokenizer.json that `tokenizers` can read: {problem}") from problem
    # Published files carry truncation to 128 tokens, and padding up to it: everything after would be lost.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def lengths(max_tokens: int) -> Sequence[int]:
    """Return the lengths at which a model's pace is measured: powers of two up to its budget."""
    return [*(n for n in (64, 128, 256, 512, 1024) if n < max_tokens), min(max_tokens, 2048)]
