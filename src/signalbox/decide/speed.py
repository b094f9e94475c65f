"""How long an answer is expected to take: by what was measured of a model."""

from __future__ import annotations

from signalbox.world import ModelState

OLD_SAMPLES = 1.0
"""Timings on fewer decayed samples than this are old: taken only where there is nothing newer of their kind."""


def expected_seconds(state: ModelState, output_tokens: float, *, stream: bool) -> float | None:
    """Return the seconds until the last token of an answer; None when nothing was measured.

    output_tokens: expected length of the answer. stream: whether the client asked for one.

    A stream takes its time to first token, and the time per token for each token after it; an answer in one piece
    takes what such answers took. The one stands in for the other where that was not measured, or too long ago: both
    end with the last token. Where usage is not reported there is no time per token, and the time to first token
    is all that is known of a stream; it is then taken alone.
    """
    ttft, per_token, whole = state.ttft, state.per_token, state.whole
    streamed = None
    if ttft is not None:
        streamed = ttft.p50 + (0.0 if per_token is None else per_token.p50 * max(0.0, output_tokens - 1))
    if streamed is None or whole is None or ttft is None:
        return streamed if whole is None else whole.p50
    mine, other = (ttft, whole) if stream else (whole, ttft)
    takes_whole = stream == (mine.samples < OLD_SAMPLES <= other.samples)
    return whole.p50 if takes_whole else streamed


def samples_behind(state: ModelState) -> float:
    """Return how many decayed samples `expected_seconds` can rest on."""
    return max(state.ttft.samples if state.ttft else 0.0, state.whole.samples if state.whole else 0.0)
