"""What a worker says about a request, for the collector: one line of JSON in the decision's metadata.

Written by `extproc.mutate`, read by `collector.verdict`; it travels in Envoy's access log, so a worker does no I/O
for it. Names of the policy, counts, scores and hashes; never content.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from signalbox.types import Spent


class Target(NamedTuple):
    """A model at a provider, by the policy's names. `model` None: nobody says."""

    provider: str
    model: str | None


class Asked(NamedTuple):
    """An engine that was asked, and how it went. microseconds: until its answer was there, or was given up."""

    engine: str
    outcome: str
    detail: str
    microseconds: int


class Record(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A decision, or a refusal if `error` is set.

    policy: first 12 digits of its hash. decide_us: the worker's own time, microseconds.
    chain: candidates, best first. tokens: of the prompt, for each of them; negative where it
    is an estimate. estimate: tokens by the rule of thumb alone, before any tokenizer or learned scale.
    expected_usd: of the first candidate; None when its price is unknown. expected_output: tokens, as ranked with.
    session: hash of the session, empty when the request belongs to none. pin: what affinity did, see `PinOutcome`.
    holds: (budget, amount) of each claim. spent: the budget found spent. rollout: "in" or "out" of the router's
    rollout. shadow: route and model that the router's shadow would have taken. explored: the first candidate is there
    to be measured.
    goal: router that was taken among the router's goals.
    local_by: what made it local-only; personal: the kinds of personal data, if that did.
    image_asked: how it asks for an image; image_served: whether the first candidate makes some.
    engine: that was asked; how it went, as `EngineOutcome` and a detail, the microseconds until then, the score it gave
    and the threshold that was held against. first_score: of the router's first engine, where a second one decided.
    cut: how its running threshold stands, as `ThresholdState`; empty without one.
    asked: engines asked beside that one, those of rules for example: name, outcome, detail and microseconds.
    store: what was wrong with the store, if it was asked in vain. world: generation of the snapshot.
    features: what the journal keeps of the request, in the order of `features.journal.FIELDS`.
    spent_on_answer: tokens by model, where the engine answered the request itself; the chain was not asked then.
    """

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
    chain: tuple[Target, ...] = ()
    tokens: tuple[int, ...] = ()
    estimate: int = 0
    complexity: float | None = None
    decide_us: int = 0
    expected_usd: float | None = None
    expected_output: int = 0
    session: str = ""
    pin: str = ""
    holds: tuple[tuple[str, int], ...] = ()
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
    features: tuple[float, ...] = ()
    goal: str = ""
    spent_on_answer: tuple[Spent, ...] = ()
    asked: tuple[Asked, ...] = ()
    local_by: str = ""
    personal: tuple[str, ...] = ()
    image_asked: str = ""
    image_served: bool = False
    first_score: float | None = None
    cut: str = ""

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of the prompt, as the first candidate counts them; None in a refusal."""
        return abs(self.tokens[0]) if self.tokens else None


def encode(record: Record) -> bytes:
    """Return the record as JSON."""
    return _ENCODER.encode(record)


def decode(text: str | bytes) -> Record:
    """Return the record a worker wrote. Raises msgspec.MsgspecError (a ValueError) for anything else."""
    return _DECODER.decode(text)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Record)
