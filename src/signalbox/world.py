"""The picture of the world that decisions are made with: what was measured, published by the collector.

A `Snapshot` is immutable. The collector writes one several times a second, each worker holds the newest it
has read, and a decision only looks at it. What is not known is absent: a decision then does as if nothing were
special about a model, which is also what the empty snapshot says of all of them.

docs/world.md says how each figure comes about.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec


class CircuitState(StrEnum):
    """Whether a model is worth a request."""

    CLOSED = "closed"  # it is
    OPEN = "open"  # it failed too often, or asked to be left alone
    HALF_OPEN = "half_open"  # a share of the requests tries it again


class Timing(msgspec.Struct, frozen=True, gc=False):
    """Time-decayed quantiles of a duration, in seconds, over successes only.

    samples: how many it rests on, decayed; below 1 it is old.
    """

    p50: float
    p95: float
    samples: float


class ModelState(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is known of one model at its provider.

    ttft: of streams, request sent to first byte of the body. per_token: of streams, seconds for each token after the
    first. whole: of answers that were not streamed, from request sent to last byte.
    circuit: as the collector judges it. probe_share: of the requests, while it is half open.
    queue_depth: requests waiting at its server. kv_usage: used share of its cache, 0 to 1.
    token_scale: what the estimate of a prompt's tokens is to be multiplied with, learned from reported usage.
    price: USD per million tokens of input, output and cached input, where a price list on the web has it.
    """

    ttft: Timing | None = None
    per_token: Timing | None = None
    whole: Timing | None = None
    in_flight: int = 0
    error_rate: float = 0.0
    circuit: CircuitState = CircuitState.CLOSED
    probe_share: float = 1.0
    queue_depth: float | None = None
    kv_usage: float | None = None
    token_scale: float | None = None
    price: tuple[float, float, float] | None = None


class RolloutState(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Where a rollout stands. share: of the sessions, 0 to 1. rolled_back: the reason, if it was."""

    share: float
    rolled_back: str = ""


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One published picture.

    generation: counts up. published_seconds: since the epoch.
    models: by the policy's name. output_tokens: route -> model -> expected length of an answer, tokens.
    leaders: "ROUTER/ROUTE" of a pool ranked by speed or balance -> the model in front, which hysteresis favours.
    shifts: router -> model -> share of the sessions that take another model first, 0 to 1.
    """

    generation: int = 0
    published_seconds: float = 0.0
    models: Mapping[str, ModelState] = {}
    output_tokens: Mapping[str, Mapping[str, float]] = {}
    leaders: Mapping[str, str] = {}
    shifts: Mapping[str, Mapping[str, float]] = {}
    rollouts: Mapping[str, RolloutState] = {}


NOTHING_KNOWN = Snapshot()
"""Before anything was published, and when what was published is too old."""

UNKNOWN_MODEL = ModelState()


class Pin(NamedTuple):
    """A session's model, and what its last answer showed of the provider's cache.

    turns: requests of this session; one counts when it claims the session, any other once it was answered.
    input_tokens, cached_tokens: of the last answer; 0 while unknown.
    """

    model: str
    turns: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0


class Hold(NamedTuple):
    """A claim on a budget, made before a request is sent.

    budget: key of the budget and its period. amount, limit: in billionths of a dollar, or tokens.
    expires_seconds: since the epoch; a hold nobody settled is void then.
    """

    budget: str
    amount: int
    limit: int
    expires_seconds: float
