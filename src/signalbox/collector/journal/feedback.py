"""Marks that clients give to answers, brought together with the models that gave those answers.

A mark names a decision. Which model that was is remembered for the newest decisions; a mark that comes before its
answer has ended waits for it. Everything here is in memory and bounded, and starts anew with the process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from signalbox.telemetry import OTHER, FeedbackVerdict

MAX_DECISIONS = 50_000  # 12 MB; ten minutes of marks at 80 requests a second
MAX_EARLY = 10_000  # the API has no password, so what waits for a decision is bounded too
EARLY_SECONDS = 3600.0  # as long as an answer may stream
HALF_LIFE_SECONDS = 6 * 3600.0  # marks are rare: enough of them to mean something, few from yesterday's trouble
GOOD_SCORE = 0.5

Counted = Callable[[str, str, FeedbackVerdict], None]


def verdict_of(score: float | None) -> FeedbackVerdict:
    """Return what a score says: good from 0.5 on; none when there is only a label."""
    if score is None:
        return FeedbackVerdict.NONE
    return FeedbackVerdict.GOOD if score >= GOOD_SCORE else FeedbackVerdict.BAD


@dataclass(slots=True)
class _Decided:
    router: str
    model: str
    verdict: FeedbackVerdict | None = None  # of its last mark
    marked_seconds: float = 0.0


@dataclass(slots=True)
class _Tally:
    """Marks of one model in one router, each worth half after the half-life."""

    good: float = 0.0
    total: float = 0.0
    at_seconds: float = 0.0


class Feedback:
    """Remembers who answered, and counts what was thought of it.

    count: called with router, model and verdict, once for each decision that is marked; its later marks replace
    the first in `acceptance` only, since counters do not go back. clock: seconds that never go back.
    """

    def __init__(
        self, count: Counted, clock: Callable[[], float], *, half_life_seconds: float = HALF_LIFE_SECONDS
    ) -> None:
        self._count = count
        self._clock = clock
        self._half_life_seconds = half_life_seconds
        self._decided: OrderedDict[str, _Decided] = OrderedDict()
        self._early: OrderedDict[str, tuple[FeedbackVerdict, float]] = OrderedDict()
        self._tallies: dict[tuple[str, str], _Tally] = {}

    def __len__(self) -> int:
        return len(self._decided) + len(self._early)

    def decided(self, decision_id: str, router: str, model: str) -> bool:
        """Remember who answered, by names of the policy. Returns False for a decision that is known already.

        router: empty when the client named a model.
        """
        if decision_id in self._decided:
            return False
        decided = self._decided[decision_id] = _Decided(router, model)
        if len(self._decided) > MAX_DECISIONS:
            self._decided.popitem(last=False)
        early = self._early.pop(decision_id, None)
        if early is not None:
            self._apply(decided, early[0])
        return True

    def mark(self, decision_id: str, score: float | None) -> bool:
        """Take a mark, 0 to 1. Returns whether its decision is known; if not, it may still become so."""
        verdict = verdict_of(score)
        decided = self._decided.get(decision_id)
        if decided is not None:
            self._apply(decided, verdict)
            return True
        self._early.pop(decision_id, None)  # the last one counts, and goes to the end of the queue
        self._early[decision_id] = verdict, self._clock()
        if len(self._early) > MAX_EARLY:
            self._give_up_oldest()
        return False

    def expire(self) -> None:
        """Count marks whose decision never came; to be called now and then."""
        limit_seconds = self._clock() - EARLY_SECONDS
        while self._early and next(iter(self._early.values()))[1] < limit_seconds:
            self._give_up_oldest()

    def acceptance(self, router: str, model: str) -> tuple[float, float]:
        """Return the good marks and all marks of a model's answers in a router, both decayed; labels alone are none."""
        tally = self._tallies.get((router, model))
        if tally is None:
            return 0.0, 0.0
        self._decay(tally)
        return tally.good, tally.total

    def keep(self, models: frozenset[str]) -> None:
        """Forget the marks of models a policy no longer has."""
        self._tallies = {key: tally for key, tally in self._tallies.items() if key[1] in models}

    def _apply(self, decided: _Decided, verdict: FeedbackVerdict) -> None:
        now_seconds = self._clock()
        tally = self._tallies.setdefault((decided.router, decided.model), _Tally(at_seconds=now_seconds))
        self._decay(tally)
        before = decided.verdict
        if before is None:
            self._count(decided.router, decided.model, verdict)
        else:
            self._add(tally, before, -self._weight(now_seconds - decided.marked_seconds))
        self._add(tally, verdict, 1.0)
        decided.verdict, decided.marked_seconds = verdict, now_seconds

    @staticmethod
    def _add(tally: _Tally, verdict: FeedbackVerdict, weight: float) -> None:
        if verdict is not FeedbackVerdict.NONE:
            # Subtracting what has decayed leaves a rounding error, which must not make a share negative.
            tally.total = max(0.0, tally.total + weight)
            if verdict is FeedbackVerdict.GOOD:
                tally.good = tally.good + weight
            tally.good = min(max(0.0, tally.good), tally.total)

    def _decay(self, tally: _Tally) -> None:
        now_seconds = self._clock()
        weight = self._weight(now_seconds - tally.at_seconds)
        tally.good, tally.total, tally.at_seconds = tally.good * weight, tally.total * weight, now_seconds

    def _weight(self, age_seconds: float) -> float:
        return float(0.5 ** (max(0.0, age_seconds) / self._half_life_seconds))

    def _give_up_oldest(self) -> None:
        _, (verdict, _) = self._early.popitem(last=False)
        self._count(OTHER, OTHER, verdict)
