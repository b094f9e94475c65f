"""The lines of a journal: one JSON object for each request, mark of feedback, and label of a shadow engine.

docs/journal.md specifies every member. Members without a value are left out of a line. A journal is read by
releases that did not write it: members may be added, and features at their end, under the same VERSION; whatever
changes the meaning of a member is a new one. Nothing a client or a provider wrote is in a line, except the
label of a mark, which is short and from a closed alphabet.
"""

from __future__ import annotations

import re

import msgspec

from signalbox.label import Label

VERSION = 1

DECISION_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""What the id of a decision looks like, as a client gives it back."""


class RequestEntry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind", tag="request"):
    """One request that was decided or refused, when its answer had ended.

    The decision, from the worker's record: chain has provider and model of each candidate, best first, tokens what the
    prompt counts for each, negative where estimated. complexity: 0 to 1. features: in the order of
    `features.journal.FIELDS`.
    The outcome, from Envoy: ended_seconds is since the epoch; provider and model those of the last attempt; outcomes
    how each attempt ended, in order. usd: what the reported usage costs by the prices of then; None when either is
    unknown.
    Of an engine's own answer: spent_on_answer has model, tokens read and written, and whether the gateway counted them
    as a request with a line of its own; answer_usd all of it, usd what is on no other line.
    asked: engines asked beside `engine`: name, outcome, detail and microseconds.
    """

    v: int
    ended_seconds: float
    id: str
    endpoint: str = ""
    policy: str = ""
    error: str = ""
    router: str = ""
    route: str = ""
    reason: str = ""
    rule: str = ""
    privacy: str = ""
    stream: bool = False
    chain: tuple[tuple[str, str], ...] = ()
    tokens: tuple[int, ...] = ()
    estimate_tokens: int = 0
    complexity: float | None = None
    decide_us: int = 0
    expected_usd: float | None = None
    expected_output_tokens: int = 0
    session: str = ""
    pin: str = ""
    spent: str = ""
    rollout: str = ""
    shadow: tuple[str, str] | None = None
    explored: bool = False
    engine: str = ""
    engine_outcome: str = ""
    engine_detail: str = ""
    engine_us: int = 0
    score: float | None = None
    threshold: float | None = None
    store: str = ""
    world: int = 0
    provider: str = ""
    model: str = ""
    attempts: int = 0
    outcomes: tuple[str, ...] = ()
    status: int | None = None
    details: str = ""
    client_gone: bool = False
    ttft_ms: float | None = None
    duration_ms: float | None = None
    retry_after_seconds: float | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    usd: float | None = None
    features: tuple[float, ...] = ()
    goal: str = ""
    spent_on_answer: tuple[tuple[str, int, int, bool], ...] = ()
    answer_usd: float | None = None
    asked: tuple[tuple[str, str, str, int], ...] = ()
    local_by: str = ""
    personal: tuple[str, ...] = ()
    image_asked: str = ""
    image_served: bool = False
    first_score: float | None = None
    cut: str = ""


class FeedbackEntry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="kind", tag="feedback"):
    """A mark for one decision; of several for the same decision the last one counts.

    at_seconds: since the epoch. score: 0 is bad, 1 is good; None when there is only a label.
    """

    v: int
    at_seconds: float
    id: str
    score: float | None = None
    label: str = ""


Entry = RequestEntry | FeedbackEntry | Label

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """Return the line of an entry, newline included."""
    return _ENCODER.encode(entry) + b"\n"


def decode(line: bytes) -> Entry:
    """Return the entry of a line. Raises msgspec.MsgspecError (a ValueError) for anything else."""
    return _DECODER.decode(line)
