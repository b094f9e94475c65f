"""How long an answer is expected to take, by what was measured of a model."""

from __future__ import annotations

from signalbox.world import ModelState


def expected_seconds(state: ModelState, output_tokens: float, *, stream: bool) -> float | None:
    """Return the expected time of an answer; None when nothing was measured.

    Streams: time to the first token, then `output_tokens` at the measured pace. Otherwise the measured time of whole
    answers. Where one kind was never seen, what is known of the other stands in for it.
    """
    ttft, per_token, whole = state.ttft, state.per_token, state.whole
    streamed = None if ttft is None else ttft.p50 + output_tokens * (0.0 if per_token is None else per_token.p50)
    if whole is None:
        return streamed
    return streamed if stream and streamed is not None else whole.p50
