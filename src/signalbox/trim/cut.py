"""Cutting one text in the middle, at token boundaries, without encoding more of it than the cut needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signalbox.trim.encoder import Encoder

ELLIPSIS = "\n…\n".encode()
"""Stands for what was cut out. On a line of its own, so that it cannot complete a marker or a word."""

HEAD_SHARE = 0.6  # a question is asked at either end of what it is about; more often what comes first says what it is

# Prose has 4 to 5 bytes a token, code 3 to 4: a window this wide usually holds enough tokens at once.
FIRST_BYTES_PER_TOKEN = 8
# Beyond this, text is a run that hardly costs tokens at all (blanks, one unknown word). What is encoded is then
# bounded by the budget and not by the text, and the tokens such a run could still have added are given up.
MAX_BYTES_PER_TOKEN = 64
# A window ends inside a word, so its last tokens are not the text's. These many are read and not used.
EDGE_TOKENS = 16
EDGE_BYTES = 512  # how far back to look for a blank to end the window at


@dataclass(frozen=True, slots=True)
class Cutter:
    """The places at which a text can be cut: `heads[i]` ends its first i+1 tokens, `tails[i]` starts its last i+1.

    Offsets are bytes of `text`. When the text was too long to be encoded whole, only its outer tokens are known.
    """

    text: bytes
    tokens: int  # as many can be kept; a request for more needs a cutter of its own
    heads: Sequence[int]
    tails: Sequence[int]

    @classmethod
    def of(cls, text: bytes, encoder: Encoder, tokens: int) -> Cutter:
        """Find the places needed to keep up to `tokens` tokens. Encodes at most 64 bytes per token, often 8."""
        head_tokens = math.ceil(HEAD_SHARE * tokens) + EDGE_TOKENS
        tail_tokens = tokens - math.ceil(HEAD_SHARE * tokens) + EDGE_TOKENS
        if len(text) > FIRST_BYTES_PER_TOKEN * (head_tokens + tail_tokens):
            head_bytes, heads = _widen(len(text), encoder, head_tokens, lambda size: text[: _window_end(text, size)])
            tail_bytes, ends = _widen(len(text), encoder, tail_tokens, lambda size: text[_window_start(text, size) :])
            if head_bytes + tail_bytes < len(text):
                return cls(text, tokens, heads, _starts(ends, len(text) - tail_bytes))
        ends = encoder.ends(text)
        return cls(text, max(tokens, len(ends)), ends, _starts(ends, 0))

    def keep(self, tokens: int) -> tuple[int, int]:
        """Return where the middle starts and ends that goes so that about `tokens` tokens stay.

        Both ends keep at least one character. Start and end are equal when nothing needs to go.
        """
        head = max(1, math.ceil(HEAD_SHARE * tokens))
        tail = max(1, tokens - head)
        size = len(self.text)
        start = self.heads[min(head, len(self.heads)) - 1] if self.heads else 0
        end = self.tails[min(tail, len(self.tails)) - 1] if self.tails else size
        start = max(_character_start(self.text, start), _character_end(self.text, 1))
        end = min(_character_end(self.text, end), _character_start(self.text, size - 1))
        return (start, end) if start < end else (size, size)


def cut_middle(text: bytes, start: int, end: int) -> bytes:
    """Return `text` with the ellipsis in place of bytes [start, end); all of it if they are none."""
    return text[:start] + ELLIPSIS + text[end:] if start < end else text


def _widen(size: int, encoder: Encoder, tokens: int, window: Callable[[int], bytes]) -> tuple[int, Sequence[int]]:
    """Encode ever wider windows until one holds `tokens` tokens, or the text or the limit is reached."""
    width = FIRST_BYTES_PER_TOKEN * tokens
    while True:
        piece = window(width)
        ends = encoder.ends(piece)
        if len(ends) >= tokens or width >= min(size, MAX_BYTES_PER_TOKEN * tokens):
            return len(piece), ends
        width *= 2


def _starts(ends: Sequence[int], offset: int) -> list[int]:
    """Where the last token starts, the one before it, and so on: each where its predecessor ends."""
    return [end + offset for end in [0, *ends[:-1]][::-1]] if ends else []


def _window_end(text: bytes, width: int) -> int:
    """Where a window of the first `width` bytes ends: behind a blank if there is one near, never in a character."""
    if width >= len(text):
        return len(text)
    blank = max(
        text.rfind(b" ", max(0, width - EDGE_BYTES), width), text.rfind(b"\n", max(0, width - EDGE_BYTES), width)
    )
    return blank + 1 if blank >= 0 else _character_start(text, width)


def _window_start(text: bytes, width: int) -> int:
    """Where a window of the last `width` bytes starts: at a blank if there is one near, never in a character."""
    at = len(text) - width
    if at <= 0:
        return 0
    blanks = [
        place for place in (text.find(b" ", at, at + EDGE_BYTES), text.find(b"\n", at, at + EDGE_BYTES)) if place >= 0
    ]
    return min(blanks) if blanks else _character_end(text, at)


def _character_start(text: bytes, at: int) -> int:
    """`at`, or the start of the character it points into."""
    while 0 < at < len(text) and text[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _character_end(text: bytes, at: int) -> int:
    """`at`, or the end of the character it points into."""
    while 0 < at < len(text) and text[at] & 0xC0 == 0x80:
        at += 1
    return at
