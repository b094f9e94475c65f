"""Cutting one text in the middle, at token boundaries, without encoding more of it than the cut needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signalbox.trim.encoder import Encoder

ELLIPSIS = "\n…\n".encode()
"""Stands for what was cut out. On a line of its own, so that it cannot complete a marker or a word."""

HEAD_SHARE = 0.6  # a question is asked at either end of what it is about; more often what comes first says what it is

MAX_BYTES_PER_TOKEN = 16
"""A token of budget pays for this many bytes at most: runs that hardly cost tokens (blanks, one unknown word of a
megabyte) would else be read without end. Of ten scripts in nine published vocabularies, the densest has 6 (Hindi)."""

# Prose has 4 to 5 bytes a token, code 3 to 4: a window this wide usually holds enough tokens at once.
FIRST_BYTES_PER_TOKEN = 8
# A window ends inside a word, so its last tokens are not the text's. These many are read and not used.
EDGE_TOKENS = 16
EDGE_BYTES = 512  # how far back to look for a blank to end the window at


@dataclass(frozen=True, slots=True)
class Cutter:
    """The places at which a text can be cut: `heads[i]` ends its first i+1 tokens, `tails[i]` starts its last i+1.

    Offsets are bytes of `text`. When the text was too long to be encoded whole, only its outer tokens are known.
    """

    text: bytes
    heads: Sequence[int]
    tails: Sequence[int]

    @classmethod
    def of(cls, text: bytes, encoder: Encoder, tokens: int) -> Cutter:
        """Find the places needed to keep up to `tokens` tokens. Encodes at most 16 bytes per token, often 8."""
        head_tokens = _head(tokens) + EDGE_TOKENS
        tail_tokens = tokens - _head(tokens) + EDGE_TOKENS
        if len(text) > FIRST_BYTES_PER_TOKEN * (head_tokens + tail_tokens):
            head_bytes, heads = _window(encoder, head_tokens, lambda size: text[: window_end(text, size)])
            tail_bytes, ends = _window(encoder, tail_tokens, lambda size: text[_window_start(text, size) :])
            if head_bytes + tail_bytes < len(text):
                return cls(text, heads, _starts(ends, len(text) - tail_bytes))
        ends = encoder.ends(text)
        return cls(text, ends, _starts(ends, 0))

    def keep(self, tokens: int) -> tuple[int, int]:
        """Return where the middle starts and ends that goes so that about `tokens` tokens stay.

        Both ends keep at least one character, and at most 16 bytes a token: a longer token is cut in two. Start and
        end are equal when nothing needs to go, or no more than the ellipsis would take.
        """
        head = max(1, _head(tokens))
        tail = max(1, tokens - head)
        size = len(self.text)
        start = min(self.heads[head - 1] if head <= len(self.heads) else size, MAX_BYTES_PER_TOKEN * head)
        end = max(self.tails[tail - 1] if tail <= len(self.tails) else 0, size - MAX_BYTES_PER_TOKEN * tail)
        start = max(_character_start(self.text, start), _character_end(self.text, 1))
        end = min(_character_end(self.text, end), _character_start(self.text, size - 1))
        return (start, end) if end - start > len(ELLIPSIS) else (size, size)


def cut_middle(text: bytes, start: int, end: int) -> bytes:
    """Return `text` with the ellipsis in place of bytes [start, end); all of it if they are none."""
    return text[:start] + ELLIPSIS + text[end:] if start < end else text


def window_end(text: bytes, at: int) -> int:
    """Where to stop reading text at `at` or a little before: behind a blank if there is one, never in a character."""
    if at >= len(text):
        return len(text)
    low = max(0, at - EDGE_BYTES)
    blank = max(text.rfind(b" ", low, at), text.rfind(b"\n", low, at))
    return blank + 1 if blank >= 0 else _character_start(text, at)


def _head(tokens: int) -> int:
    return math.ceil(HEAD_SHARE * tokens)


def _window(encoder: Encoder, tokens: int, window: Callable[[int], bytes]) -> tuple[int, Sequence[int]]:
    """Encode a window that holds `tokens` tokens, or as many bytes as so many tokens may have."""
    piece = window(FIRST_BYTES_PER_TOKEN * tokens)
    ends = encoder.ends(piece)
    if len(ends) < tokens:
        piece = window(MAX_BYTES_PER_TOKEN * tokens)
        ends = encoder.ends(piece)
    return len(piece), ends


def _starts(ends: Sequence[int], offset: int) -> list[int]:
    """Where the last token starts, the one before it, and so on: each where its predecessor ends."""
    return [end + offset for end in [0, *ends[:-1]][::-1]] if ends else []


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
