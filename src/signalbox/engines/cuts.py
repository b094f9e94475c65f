"""Thresholds that make a target share: which score divides the strongest share of what came lately from the rest.

Scores of routers have scales of their own, and they move with the traffic; a share is what an operator can mean. The
threshold is an order statistic of the last scores, exact for those, and follows a shift within as many requests.
"""

from __future__ import annotations

import contextlib
import math
import time
from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Mapping

from signalbox.store.base import Store, StoreError

WINDOW = 2000  # a share of 0.3 among so many is off by 0.01, one standard error
MIN_SCORES = 50  # fewer say nothing: the policy's threshold holds until then
SAVE_SECONDS = 30.0
_FACT = "engine-scores/"
_TYPE = "f"


class Cut:
    """The last scores of one router."""

    def __init__(self, target_share: float, scores: tuple[float, ...] = ()) -> None:
        self.target_share = target_share
        self._recent = deque(scores[-WINDOW:], maxlen=WINDOW)
        self._sorted = sorted(self._recent)

    def saw(self, score: float) -> None:
        """Take one score in; the oldest goes."""
        if not math.isfinite(score):
            return
        if len(self._recent) == WINDOW:
            del self._sorted[bisect_left(self._sorted, self._recent[0])]
        self._recent.append(score)
        insort(self._sorted, score)

    def with_share(self, target_share: float) -> Cut:
        """Return the same scores for another share."""
        return Cut(target_share, tuple(self._recent))

    @property
    def threshold(self) -> float | None:
        """The threshold of the target share; see `at`."""
        return self.at(self.target_share)

    def at(self, share: float) -> float | None:
        """Return the least score of a share's; above every score if it is 0; None while too few are known."""
        count = len(self._sorted)
        if count < MIN_SCORES:
            return None
        strong = round(share * count)
        return math.inf if strong == 0 else self._sorted[count - strong]

    def as_bytes(self) -> bytes:
        """Return the scores, oldest first, float32."""
        return array(_TYPE, self._recent).tobytes()

    @classmethod
    def of_bytes(cls, target_share: float, kept: bytes) -> Cut:
        """Return what `as_bytes` wrote. Anything else is nothing known."""
        scores = array(_TYPE)
        with contextlib.suppress(ValueError):
            scores.frombytes(kept)
        return cls(target_share, tuple(score for score in scores if 0.0 <= score <= 1.0))


class Cuts:
    """The thresholds of all routers with a target share. For one thread; a store that fails costs a restart's memory.

    shares: router -> target share. keys: router -> what its scores are kept under; another model's scores are others.
    clock: seconds. Scores are read from the store when they are first wanted.
    """

    def __init__(
        self,
        shares: Mapping[str, float],
        keys: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        *,
        before: Cuts | None = None,
    ) -> None:
        """before: those of the policy before, whose scores go on counting where the key is the same."""
        self._shares = shares
        self._keys = keys
        self._clock = clock
        self._store: Store | None = None
        self._saved = clock()
        self._cuts: dict[str, Cut] = {}
        if before is not None:
            for router, cut in dict(before._cuts).items():
                if keys.get(router) == before._keys[router]:
                    self._cuts[router] = cut.with_share(shares[router])

    def use(self, store: Store | None) -> None:
        """Keep scores there from now on."""
        self._store = store

    def cut(self, router: str, share: float | None = None) -> float | None:
        """Return a router's threshold; None without a target share, and while too little is known.

        share: of a single request, instead of the router's.
        """
        found = self._of(router)
        return None if found is None else found.at(found.target_share if share is None else share)

    def saw(self, router: str, score: float) -> None:
        """Take in the score of a request that was decided. Now and then the store is given all of them."""
        found = self._of(router)
        if found is None:
            return
        found.saw(score)
        now = self._clock()
        if self._store is not None and now - self._saved >= SAVE_SECONDS:
            self._saved = now
            with contextlib.suppress(StoreError):
                for each, cut in self._cuts.items():
                    self._store.put(_FACT + self._keys[each], cut.as_bytes())

    def _of(self, router: str) -> Cut | None:
        found = self._cuts.get(router)
        if found is None and router in self._shares:
            kept = None
            if self._store is not None:
                with contextlib.suppress(StoreError):
                    kept = self._store.get(_FACT + self._keys[router])
            found = self._cuts[router] = Cut.of_bytes(self._shares[router], kept or b"")
        return found
