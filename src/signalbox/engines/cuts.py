"""Running thresholds: which score divides the strongest share of what came lately from the rest.

Scores of routers have scales of their own, and they move with the traffic; a share, or what requests may cost, is what
an operator can mean. The threshold is an order statistic of the last scores, exact for those, and follows a shift
within as many requests.

It is learned from scores that were like those it started with. When they no longer are (`drift`), what the threshold
would do is nobody's intention: it stays where it was while nothing had happened, and says so, until the scores are
back or the policy's section about it changes.
"""

from __future__ import annotations

import contextlib
import math
import time
from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from signalbox.engines.drift import CALM, CHECK_EVERY, DRIFTED, LATELY, REFERENCE, Drift
from signalbox.policy.engines import Judge
from signalbox.store.base import Store, StoreError
from signalbox.types import Threshold, ThresholdState

WINDOW = 2000  # a share of 0.3 among so many is off by 0.01, one standard error
MIN_SCORES = 50  # fewer say nothing: the policy's threshold holds until then
MIN_PRICED = 20  # requests of a tier, for its mean cost
PRICED = 200  # requests after which a cost counts a third
UNPRICED_SHARE = 0.1  # of requests for a tier whose cost nobody knows
SAVE_SECONDS = 30.0
_FACT = "engine-cuts/"
_TYPE = "f"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a running threshold is for: a share of requests for the strong tier, or USD for 1,000 requests.

    bounds: least and greatest threshold. freezes: it stays where it is when the scores drift.
    """

    share: float | None = None
    usd_per_1000: float | None = None
    bounds: tuple[float, float] = (0.0, math.inf)
    freezes: bool = True

    @classmethod
    def of(cls, judge: Judge) -> Aim:
        """Return the aim of a router's `engine`."""
        limits = judge.threshold_bounds
        bounds = (0.0, math.inf) if limits is None else (limits.min, limits.max)
        return cls(judge.target_share, judge.usd_per_1000, bounds, judge.drift == "freeze")


class Cost(msgspec.Struct):
    """What requests of one tier cost lately, USD."""

    mean: float = 0.0
    seen: int = 0

    def saw(self, usd: float) -> None:
        self.seen += 1
        self.mean += (usd - self.mean) / min(self.seen, PRICED)


class Kept(msgspec.Struct, array_like=True):
    """What survives a restart. recent, reference: scores, float32. calm: the threshold while nothing had happened."""

    recent: bytes = b""
    reference: bytes = b""
    calm: float | None = None
    strong: Cost = msgspec.field(default_factory=Cost)
    weak: Cost = msgspec.field(default_factory=Cost)


class Cut:
    """The running threshold of one router, and the scores behind it."""

    def __init__(self, aim: Aim, kept: Kept | None = None) -> None:
        kept = kept or Kept()
        self.aim = aim
        self._recent = deque(_scores(kept.recent)[-WINDOW:], maxlen=WINDOW)
        self._sorted = sorted(self._recent)
        self._reference = _scores(kept.reference)[:REFERENCE]
        self._drift = Drift(self._reference) if len(self._reference) == REFERENCE else None
        self._doubtful: deque[float] = deque()  # scores that may turn out to be the first of a drift
        self._calm = kept.calm
        self._frozen = False
        self._seen = 0
        self._strong, self._weak = kept.strong, kept.weak

    def saw(self, score: float, usd: float | None = None, *, strong: bool = False) -> None:
        """Take in the score of a request; the oldest goes. usd: what it is expected to cost. strong: its tier."""
        if not math.isfinite(score):
            return
        if usd is not None:
            (self._strong if strong else self._weak).saw(usd)
        for each in self._cleared(score) if self.aim.freezes else (score,):
            self._take(each)

    def _take(self, score: float) -> None:
        if len(self._recent) == WINDOW:
            del self._sorted[bisect_left(self._sorted, self._recent[0])]
        self._recent.append(score)
        insort(self._sorted, score)

    def with_aim(self, aim: Aim) -> Cut:
        """Return the same scores for another aim; that one has a reference of its own if it is not the same."""
        if aim == self.aim:
            return self
        kept = self._kept()
        return Cut(aim, Kept(kept.recent, b"", None, kept.strong, kept.weak))

    @property
    def threshold(self) -> Threshold | None:
        """The threshold as it stands; None while too little is known."""
        return self.at(None)

    def at(self, share: float | None) -> Threshold | None:
        """Return the threshold of the aim, or of a share that a request named itself; None while too few are known.

        It is the least score of the share's; above every score if the share is 0.
        """
        if self._frozen and share is None and self._calm is not None:
            return Threshold(self._calm, ThresholdState.FROZEN)
        share = self._share() if share is None else share
        if share is None or len(self._sorted) < MIN_SCORES:
            return None
        free = self._quantile(share)
        least, greatest = self.aim.bounds
        held = min(max(free, least), greatest)
        if self._frozen:
            return Threshold(held, ThresholdState.FROZEN)
        return Threshold(held, ThresholdState.FOLLOWING if held == free else ThresholdState.BOUNDED)

    def as_bytes(self) -> bytes:
        """Return what `of_bytes` reads."""
        return msgspec.msgpack.encode(self._kept())

    @classmethod
    def of_bytes(cls, aim: Aim, kept: bytes | None) -> Cut:
        """Return what `as_bytes` wrote. Anything else is nothing known."""
        try:
            return cls(aim, None if kept is None else msgspec.msgpack.decode(kept, type=Kept))
        except msgspec.MsgspecError:
            return cls(aim)

    def _kept(self) -> Kept:
        recent, reference = (array(_TYPE, scores).tobytes() for scores in (self._recent, self._reference))
        return Kept(recent, reference, self._calm, self._strong, self._weak)

    def _quantile(self, share: float) -> float:
        count = len(self._sorted)
        strong = round(share * count)
        return math.inf if strong == 0 else self._sorted[count - strong]

    def _share(self) -> float | None:
        budget = self.aim.usd_per_1000
        if budget is None:
            return self.aim.share
        strong, weak = self._strong, self._weak
        if min(strong.seen, weak.seen) < MIN_PRICED:
            if max(strong.seen, weak.seen) < MIN_PRICED:
                return None
            return UNPRICED_SHARE if strong.seen < weak.seen else 1.0 - UNPRICED_SHARE
        if strong.mean <= weak.mean:
            return 1.0 if budget / 1000 >= strong.mean else 0.0
        return min(1.0, max(0.0, (budget / 1000 - weak.mean) / (strong.mean - weak.mean)))

    def _cleared(self, score: float) -> list[float]:
        """Return the scores that may be learned from, now that this one has come; none of a drift ever is."""
        if self._drift is None:
            self._reference.append(score)
            if len(self._reference) == REFERENCE:
                self._drift = Drift(self._reference)
            return [score]
        self._drift.saw(score)
        self._doubtful.append(score)
        self._seen += 1
        if self._seen % CHECK_EVERY == 0:
            index = self._drift.index
            # After a restart nobody knows at first; what is doubtful then waits until somebody does.
            if self._calm is None if index is None else index < CALM:
                cleared = list(self._doubtful)
                self._doubtful.clear()
                self._frozen = False
                now = self.threshold
                self._calm = None if now is None else now.value
                return cleared
            self._frozen = self._frozen or (index is not None and index > DRIFTED)
        if self._frozen:
            self._doubtful.clear()
        return [self._doubtful.popleft()] if len(self._doubtful) > LATELY else []


class Cuts:
    """The running thresholds of all routers that have one. For one thread; a store that fails costs a restart's memory.

    aims: by router. keys: router -> what its scores are kept under; another model's scores are others.
    clock: seconds. Scores are read from the store when they are first wanted.
    """

    def __init__(
        self,
        aims: Mapping[str, Aim],
        keys: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        *,
        before: Cuts | None = None,
    ) -> None:
        """before: those of the policy before, whose scores go on counting where the key is the same."""
        self._aims = aims
        self._keys = keys
        self._clock = clock
        self._store: Store | None = None
        self._saved = clock()
        self._cuts: dict[str, Cut] = {}
        if before is not None:
            for router, cut in dict(before._cuts).items():
                if keys.get(router) == before._keys[router]:
                    self._cuts[router] = cut.with_aim(aims[router])

    def use(self, store: Store | None) -> None:
        """Keep scores there from now on."""
        self._store = store

    def of(self, shares: Iterable[tuple[str, float | None]]) -> dict[str, Threshold]:
        """Return the thresholds of routers, where there is one and enough is known.

        shares: router -> share that the request named itself, if it did.
        """
        found = {}
        for router, share in shares:
            cut = self._of(router)
            threshold = None if cut is None else cut.at(share)
            if threshold is not None:
                found[router] = threshold
        return found

    def saw(self, router: str, score: float, usd: float | None = None, *, at: float | None = None) -> None:
        """Take in the score of a request that was decided. Now and then the store is given all of them.

        usd: what it is expected to cost. at: the threshold that was held against it.
        """
        found = self._of(router)
        if found is None:
            return
        found.saw(score, usd, strong=at is not None and score >= at)
        now = self._clock()
        if self._store is not None and now - self._saved >= SAVE_SECONDS:
            self._saved = now
            with contextlib.suppress(StoreError):
                for each, cut in self._cuts.items():
                    self._store.put(_FACT + self._keys[each], cut.as_bytes())

    def _of(self, router: str) -> Cut | None:
        found = self._cuts.get(router)
        if found is None and router in self._aims:
            kept = None
            if self._store is not None:
                with contextlib.suppress(StoreError):
                    kept = self._store.get(_FACT + self._keys[router])
            found = self._cuts[router] = Cut.of_bytes(self._aims[router], kept)
        return found


def _scores(kept: bytes) -> list[float]:
    scores = array(_TYPE)
    with contextlib.suppress(ValueError):
        scores.frombytes(kept)
    return [score for score in scores if 0.0 <= score <= 1.0]
