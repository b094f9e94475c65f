"""Sessions: which requests belong together, and when one of them may leave its model.

A session's key is a hash: of what its header says, or of the bytes every request of a conversation begins with, and of
the tenant and the router. What a client wrote is never kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from signalbox.decide.rank import Measures
from signalbox.decide.worth import cached_share, usd
from signalbox.policy.schema import Policy, Router
from signalbox.types import Candidate, Case, ParsedRequest
from signalbox.world import Pin

KEY_BYTES = 16
MAX_OPENING_BYTES = 32 * 1024  # of the conversation's beginning: enough for what tells two of them apart


@dataclass(frozen=True, slots=True)
class Session:
    """A session as a store knows it."""

    key: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """A router's affinity, compiled."""

    router: str
    mode: Literal["strict", "budgeted"]
    ttl_seconds: int
    headers: tuple[str, ...]
    implicit: bool
    tenant_headers: tuple[str, ...]
    expected_turns: int
    begun: blake2b  # what every key of this router begins with

    def of(self, request: ParsedRequest) -> Session | None:
        """Return the session a request belongs to; None when nothing names one."""
        headers = request.headers
        named = None
        for name in self.headers:
            if named := headers.get(name):
                break
        if not named and not self.implicit:
            return None
        digest = self.begun.copy()
        for name in self.tenant_headers:
            digest.update(_framed(headers.get(name, "")))
        if named:
            digest.update(b"n" + named.encode("utf-8", "surrogatepass"))
        else:
            opening = request.scan.opening(MAX_OPENING_BYTES)
            if not opening:
                return None
            digest.update(b"i" + opening)
        return Session(digest.hexdigest(), self.ttl_seconds)


def compile_sessions(name: str, router: Router, policy: Policy) -> Sessions | None:
    """Return a router's affinity: its own, else the policy's; None when there is none."""
    section = router.affinity or policy.affinity
    if section is None or section.mode == "off":
        return None
    return Sessions(
        name,
        section.mode,
        section.ttl_seconds,
        section.headers,
        section.implicit,
        section.tenant_headers,
        section.expected_turns,
        blake2b(_framed(name), digest_size=KEY_BYTES, person=b"session"),
    )


def _framed(part: str) -> bytes:
    """Return a part with its length before it, so that no two sequences of parts look alike."""
    text = part.encode("utf-8", "surrogatepass")
    return len(text).to_bytes(4, "big") + text


def is_bound(request: ParsedRequest) -> bool:
    """Whether the history holds content that only the model or provider which made it can take back."""
    return request.scan.bound > 0 or "previous_response_id" in request.scan.members


def is_tool_loop(case: Case) -> bool:
    """Whether the request brings the results of calls that the last answer asked for."""
    return case.request.scan.ends_with_tool


def pays_to_leave(pin: Pin, pinned: Candidate, other: Candidate, measures: Measures, expected_turns: int) -> bool:
    """Whether moving a session to another model is expected to save money over what remains of it.

    Staying keeps the cached prefix on every remaining turn. Moving reads the whole prompt once at full price, and has a
    cache of the same share from then on. Prices that are not known never pay.
    """
    stay_price, move_price = measures.prices[pinned.model], measures.prices[other.model]
    if stay_price is None or move_price is None:
        return False
    for candidate in (pinned, other):
        measures.counts.settle(candidate)
    share = cached_share(pin, pinned.model)
    stay_tokens = measures.counts.count(pinned).tokens
    move_tokens = measures.counts.count(other).tokens
    turns = max(1, expected_turns - pin.turns)
    stay_output, move_output = measures.outputs[pinned.model], measures.outputs[other.model]
    stay = turns * usd(stay_price, stay_tokens, stay_output, stay_tokens * share)
    later = usd(move_price, move_tokens, move_output, move_tokens * share)
    return usd(move_price, move_tokens, move_output) + (turns - 1) * later < stay
