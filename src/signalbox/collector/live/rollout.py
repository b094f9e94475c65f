"""How far a router's rollout has come, and whether it is taken back.

A rollout gives a share of the sessions to the new side, step by step. Its requests are compared with limits and with
those of the others; what is proven worse is rolled back, and stays so until the section of the policy changes. The
proof is a sequential test (`betting`), so it may be looked at after every request: with the policy's confidence, a new
side that keeps its limits is never rolled back, however long it runs.

Progress is time that somebody watched: it adds up between ticks, so neither a clock that jumps nor a night without a
collector skips a step. `to_bytes` and `load` carry progress and rollback through restarts, and to other sidecars.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from math import isfinite
from typing import NamedTuple

import msgspec

from signalbox.collector.live.betting import RateTest, RatioTest
from signalbox.policy import world as settings
from signalbox.policy.schema import Policy
from signalbox.world import RolloutState

FACT = "rollout:"  # name of the fact in the store, before the router's
MAX_TICK_SECONDS = 60.0  # a longer pause was not watched
SAVE_SECONDS = 15.0  # what a restart may lose of a step


class RollbackReason(StrEnum):
    """Which limit the new side broke."""

    ERRORS = "errors"
    TTFT = "ttft"
    COST = "cost"


class RolledBack(NamedTuple):
    """The end of a rollout, with the numbers of its log line.

    value, others: what was measured of the new side and of the others: share, mean seconds, mean USD. others is None
    where nothing is known. limit: of the policy. requests: of the new side. evidence: what was reached; `needed` was
    enough.
    """

    router: str
    reason: RollbackReason
    value: float
    others: float | None
    limit: float
    requests: int
    evidence: float
    needed: float


class Stepped(NamedTuple):
    """A rollout that reached its next step. share: of the sessions, 0 to 1."""

    router: str
    step: int
    share: float


class _Kept(msgspec.Struct, frozen=True):
    """What the store keeps. Version 1."""

    version: int
    identity: str
    step: int
    step_seconds: float
    rolled_back: str


class _Mean:
    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.sum += value

    @property
    def value(self) -> float | None:
        return self.sum / self.count if self.count else None


class _Side:
    """What was seen of one side, for the log line; the tests keep their own."""

    def __init__(self) -> None:
        self.means = {reason: _Mean() for reason in RollbackReason}


class _Watch:
    """The tests of one rollout."""

    def __init__(self, limits: settings.Rollback) -> None:
        self.limits = limits
        self.new, self.others = _Side(), _Side()
        self.requests = 0
        self._rate = None if limits.error_rate is None else RateTest(limits.error_rate)
        ratios = {RollbackReason.TTFT: limits.ttft_ratio, RollbackReason.COST: limits.cost_ratio}
        self._ratios = {reason: RatioTest(ratio) for reason, ratio in ratios.items() if ratio is not None}
        # Each test gets its part of the risk.
        self.needed = (len(self._ratios) + (self._rate is not None)) / (1 - limits.confidence)

    def add(self, is_new: bool, values: dict[RollbackReason, float | None]) -> None:
        side = self.new if is_new else self.others
        self.requests += is_new
        for reason, value in values.items():
            if value is None or value < 0 or not isfinite(value):
                continue
            side.means[reason].add(value)
            if reason in self._ratios:
                test = self._ratios[reason]
                (test.add if is_new else test.add_other)(value)
            elif reason is RollbackReason.ERRORS and self._rate is not None and is_new:
                self._rate.add(value > 0)

    def proven(self) -> tuple[RollbackReason, float] | None:
        """Return the limit that is broken, and the evidence."""
        if self.requests < self.limits.min_requests:
            return None
        evidence = {reason: test.evidence for reason, test in self._ratios.items()}
        if self._rate is not None:
            evidence[RollbackReason.ERRORS] = self._rate.evidence
        reason = max(evidence, key=lambda each: evidence[each])
        return (reason, evidence[reason]) if evidence[reason] >= self.needed else None

    def limit(self, reason: RollbackReason) -> float:
        limits = self.limits
        by_reason = {
            RollbackReason.ERRORS: limits.error_rate,
            RollbackReason.TTFT: limits.ttft_ratio,
            RollbackReason.COST: limits.cost_ratio,
        }
        return by_reason[reason] or 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One request of a router with a rollout, when it has ended.

    failed: its first candidate did not answer it; None when nobody can tell, as when the client left. ttft_seconds: of
    a stream that succeeded. usd: what it cost, if that is known.
    """

    is_new: bool
    failed: bool | None = None
    ttft_seconds: float | None = None
    usd: float | None = None


class Rollout:
    """The rollout of one router. Times are seconds of a clock that never goes back."""

    def __init__(self, router: str, section: settings.Rollout) -> None:
        self.router = router
        self.identity = identity(section)
        self._shares = [percent / 100 for percent in section.steps or (section.percent or 0.0,)]
        self._step_seconds = section.step_minutes * 60
        self._step = 0
        self._passed = 0.0  # of the step
        self._rolled_back = ""
        self._watch = None if section.rollback is None else _Watch(section.rollback)
        self._now: float | None = None
        self._saved: _Kept | None = None

    # ---------------------------------------------------------------- what happens

    def observe(self, seen: Seen) -> RolledBack | None:
        """Take a request that ended; return the rollback it proves necessary."""
        watch = self._watch
        if watch is None or self._rolled_back:
            return None
        failed = None if seen.failed is None else float(seen.failed)
        values = {
            RollbackReason.ERRORS: failed,
            RollbackReason.TTFT: seen.ttft_seconds,
            RollbackReason.COST: seen.usd,
        }
        watch.add(seen.is_new, values)
        if not seen.is_new or (proven := watch.proven()) is None:
            return None
        reason, evidence = proven
        self._rolled_back = reason
        value, others = watch.new.means[reason].value, watch.others.means[reason].value
        limit = watch.limit(reason)
        return RolledBack(self.router, reason, value or 0.0, others, limit, watch.requests, evidence, watch.needed)

    def tick(self, now_seconds: float) -> Stepped | None:
        """Let time pass; return the step it brought."""
        passed = 0.0 if self._now is None else min(MAX_TICK_SECONDS, max(0.0, now_seconds - self._now))
        self._now = now_seconds if self._now is None else max(self._now, now_seconds)
        if self._rolled_back or self._step == len(self._shares) - 1:
            return None
        self._passed += passed
        if self._passed < self._step_seconds:
            return None
        self._step += 1
        self._passed = 0.0
        return Stepped(self.router, self._step, self._shares[self._step])

    @property
    def state(self) -> RolloutState:
        """What the snapshot says."""
        return RolloutState(0.0 if self._rolled_back else self._shares[self._step], self._rolled_back)

    # ---------------------------------------------------------------- what stays

    def to_bytes(self) -> bytes:
        return msgspec.json.encode(self._kept())

    def load(self, kept: bytes | None) -> bool:
        """Take what the store has: whoever came further is right, and a rollback holds for all.

        Returns whether it was about this section; what is not, or cannot be read, is replaced at the next save.
        """
        self._saved = None
        try:
            fact = msgspec.json.decode(kept or b"", type=_Kept)
        except msgspec.MsgspecError:
            return False
        if fact.version != 1 or fact.identity != self.identity:
            return False
        self._saved = fact
        step = min(max(0, fact.step), len(self._shares) - 1)
        if isfinite(fact.step_seconds):
            self._step, self._passed = max((self._step, self._passed), (step, fact.step_seconds))
        self._rolled_back = self._rolled_back or _reason(fact.rolled_back)
        return True

    @property
    def is_unsaved(self) -> bool:
        """Whether the store should be told."""
        saved, kept = self._saved, self._kept()
        if saved is None or (saved.step, saved.rolled_back) != (kept.step, kept.rolled_back):
            return True
        return kept.step_seconds - saved.step_seconds >= SAVE_SECONDS

    def saved(self, kept: bytes) -> None:
        """Note what the store took."""
        self._saved = msgspec.json.decode(kept, type=_Kept)

    def _kept(self) -> _Kept:
        return _Kept(1, self.identity, self._step, round(self._passed, 3), self._rolled_back)


class Rollouts:
    """The rollouts of a policy's routers. Not safe for several threads."""

    def __init__(self, policy: Policy) -> None:
        self._rollouts: dict[str, Rollout] = {}
        self._waiting: set[str] = set()  # routers the store was not asked about yet
        self._gone: set[str] = set()  # routers that have no rollout any more
        self.apply(policy)
        self._waiting = set(self._rollouts)

    def apply(self, policy: Policy) -> None:
        """Take a new policy. A rollout whose section changed begins anew, also one that was rolled back."""
        rollouts = {}
        for name, router in policy.routers.items():
            if router.rollout is None:
                continue
            mine = self._rollouts.get(name)
            same = mine is not None and mine.identity == identity(router.rollout)
            rollouts[name] = mine if mine is not None and same else Rollout(name, router.rollout)
        self._gone = (self._gone | set(self._rollouts)) - set(rollouts)
        self._rollouts = rollouts
        self._waiting &= set(rollouts)

    def observe(self, router: str, seen: Seen) -> RolledBack | None:
        """Take a request that ended; return the rollback it proves necessary."""
        rollout = self._rollouts.get(router)
        return None if rollout is None else rollout.observe(seen)

    def tick(self, now_seconds: float) -> list[Stepped]:
        """Let time pass; return the rollouts that reached their next step."""
        steps = [rollout.tick(now_seconds) for rollout in self._rollouts.values()]
        return [step for step in steps if step is not None]

    def states(self) -> dict[str, RolloutState]:
        """Return what the snapshot says, for the routers whose fact was loaded.

        The others are left out: whether one of them was rolled back is not known yet.
        """
        return {name: rollout.state for name, rollout in self._rollouts.items() if name not in self._waiting}

    # ---------------------------------------------------------------- the store

    @property
    def facts(self) -> list[str]:
        """Names of the facts to get and `load`, at the start and every now and then."""
        return [FACT + router for router in self._rollouts]

    def load(self, fact: str, value: bytes | None) -> None:
        """Take a fact of the store; None when there is none yet."""
        router = fact.removeprefix(FACT)
        if router in self._rollouts:
            self._rollouts[router].load(value)
            self._waiting.discard(router)

    def unsaved(self) -> list[tuple[str, bytes]]:
        """Return the facts the store should be told, and what they are."""
        told = [
            (FACT + name, rollout.to_bytes())
            for name, rollout in self._rollouts.items()
            if rollout.is_unsaved and name not in self._waiting
        ]
        return told + [(FACT + name, b"") for name in sorted(self._gone)]

    def saved(self, fact: str, value: bytes) -> None:
        """Note what the store took."""
        router = fact.removeprefix(FACT)
        if router in self._rollouts and value:
            self._rollouts[router].saved(value)
        else:
            self._gone.discard(router)


def identity(section: settings.Rollout) -> str:
    """Return what tells this section from a changed one: the first 16 digits of its SHA-256."""
    return sha256(section.model_dump_json().encode()).hexdigest()[:16]


def _reason(text: str) -> str:
    return text if text in set(RollbackReason) else ""
