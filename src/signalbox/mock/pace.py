"""How large an answer is and how it is spread over time: read from request headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signalbox.mock.errors import ApiError

MAX_CHUNKS = 100_000
MAX_GAP_SECONDS = 3600.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """Shape of one answer.

    chunks: content events of a stream; None for one per word.
    gap_seconds: pause between two events of a stream.
    answer_bytes: exact size of the answer's text; None for the short default sentence.
    """

    chunks: int | None = None
    gap_seconds: float = 0.0
    answer_bytes: int | None = None


def read_pace(headers: Mapping[str, str], default: Pace) -> Pace:
    """`default` with what x-mock-chunks, x-mock-gap and x-mock-bytes change.

    Raises ApiError(400) at a value that is no number or out of bounds.
    """
    chunks = _number(headers, "x-mock-chunks", 1, MAX_CHUNKS)
    gap_seconds = _number(headers, "x-mock-gap", 0, MAX_GAP_SECONDS)
    answer_bytes = _number(headers, "x-mock-bytes", 0, MAX_ANSWER_BYTES)
    if chunks is None and gap_seconds is None and answer_bytes is None:
        return default
    return Pace(
        chunks=default.chunks if chunks is None else int(chunks),
        gap_seconds=default.gap_seconds if gap_seconds is None else gap_seconds,
        answer_bytes=default.answer_bytes if answer_bytes is None else int(answer_bytes),
    )


def _number(headers: Mapping[str, str], name: str, low: float, high: float) -> float | None:
    text = headers.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not low <= value <= high:
        raise ApiError(400, f"{name}: {text!r} is not usable; expected a number from {low:g} to {high:g}.")
    return value
