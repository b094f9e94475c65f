"""What an engine said of a request nobody waited for: one line of JSON, to train cheaper engines on."""

from __future__ import annotations

import msgspec

VERSION = 1


class Label(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind", tag="label"):
    """One engine's judgement of one request. Names of the policy, counts and scores; never content.

    at_seconds: since the epoch. id: of the request, if it has one. line: of the file it came from, from 1; 0: of none.
    outcome, detail: the engine's, or why its answer stands for no task. task: that the router makes of it.
    score, threshold: of a label, or of the strong tier and what that was held against. scores: (label, probability),
    best first.
    """

    v: int
    at_seconds: float
    id: str = ""
    line: int = 0
    router: str = ""
    engine: str = ""
    outcome: str = ""
    detail: str = ""
    task: str = ""
    score: float | None = None
    threshold: float | None = None
    scores: tuple[tuple[str, float], ...] = ()
    engine_us: int = 0


def encode(label: Label) -> bytes:
    """Return the line of a label, newline included."""
    return _ENCODER.encode(label) + b"\n"


def decode(line: bytes) -> Label:
    """Return the label of a line. Raises msgspec.MsgspecError (a ValueError) for anything else."""
    return _DECODER.decode(line)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Label)
