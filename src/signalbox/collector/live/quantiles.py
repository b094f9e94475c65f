"""Time-decayed median and 95th percentile of durations, in constant memory.

A value falls into one of 470 buckets whose bounds grow by 4 %, as in DDSketch (Masson et al., 2019). Its weight
grows with time instead of everybody else's shrinking: forward decay (Cormode et al., 2009, section 3.1), so that
adding touches one bucket, and time alone changes no quantile. The bucket of each quantile is kept with the weight below
it and moved as values come, so that reading costs nothing either.

The answer is the geometric middle of the bucket that holds the exact weighted quantile (the least value with at
least that share of the weight at or below it): at most 2 % off, for values from 0.1 ms to 10,000 s. What lies
outside counts as the nearest of these.
"""

from __future__ import annotations

import math
from array import array

from signalbox.world import Timing

RELATIVE_ERROR = 0.02
LEAST_SECONDS, MOST_SECONDS = 1e-4, 1e4

_GROWTH = 1.04  # sqrt(1.04) - 1 = 1.98 %
_LOG_GROWTH = math.log(_GROWTH)
_BUCKETS = math.ceil(math.log(MOST_SECONDS / LEAST_SECONDS) / _LOG_GROWTH)
_MIDDLES = tuple(LEAST_SECONDS * _GROWTH ** (bucket + 0.5) for bucket in range(_BUCKETS))
_EMPTY = array("d", bytes(8 * _BUCKETS))
_MAX_GROWTH_EXPONENT = 40.0  # e**40 = 2e17: weights this much older than the newest are lost in rounding anyway
_NOTHING = 1e-9  # decayed samples that nobody needs to hear of


class DecayedQuantiles:
    """Durations seen, the recent ones counting most. One model's, about 4 KB."""

    __slots__ = ("_landmark_seconds", "_median", "_newest_seconds", "_rate", "_tail", "_total", "_weights")

    def __init__(self, half_life_seconds: float) -> None:
        self._rate = math.log(2) / half_life_seconds
        self._landmark_seconds = self._newest_seconds = -math.inf
        self._clear()

    def _clear(self) -> None:
        self._weights = array("d", _EMPTY)
        self._total = 0.0
        self._median = _Rank(0.5)
        self._tail = _Rank(0.95)

    def add(self, seconds: float, now_seconds: float) -> bool:
        """Count one duration. Returns False for what is none: negative, NaN or infinite.

        now_seconds: of a clock that never goes back; one that does anyway stands still here.
        """
        if not 0 <= seconds < math.inf:
            return False
        grown = self._grown(now_seconds)
        bucket = 0
        if seconds > LEAST_SECONDS:
            bucket = min(int(math.log(seconds / LEAST_SECONDS) / _LOG_GROWTH), _BUCKETS - 1)
        self._weights[bucket] += grown
        self._total += grown
        self._median.added(bucket, grown, self._weights, self._total)
        self._tail.added(bucket, grown, self._weights, self._total)
        return True

    def timing(self, now_seconds: float) -> Timing | None:
        """Return the quantiles, and how many samples they rest on by now; None when that is nothing."""
        if not self._total:
            return None
        age = max(now_seconds, self._newest_seconds) - self._landmark_seconds
        samples = self._total * math.exp(-min(age * self._rate, 700.0))
        if samples < _NOTHING:
            return None
        return Timing(_MIDDLES[self._median.bucket], _MIDDLES[self._tail.bucket], samples)

    def change_half_life(self, half_life_seconds: float, now_seconds: float) -> None:
        """Decay from now on at another rate."""
        self._renew(max(now_seconds, self._newest_seconds))
        self._rate = math.log(2) / half_life_seconds

    def _grown(self, now_seconds: float) -> float:
        """Return the weight of a sample of now; older ones keep theirs."""
        now_seconds = self._newest_seconds = max(now_seconds, self._newest_seconds)
        exponent = (now_seconds - self._landmark_seconds) * self._rate
        if exponent <= _MAX_GROWTH_EXPONENT:
            return math.exp(exponent)
        self._renew(now_seconds)
        return 1.0

    def _renew(self, now_seconds: float) -> None:
        """Weigh everything as of now, before weights outgrow what a float can hold."""
        shrunk = math.exp(-min((now_seconds - self._landmark_seconds) * self._rate, 700.0)) if self._total else 0.0
        self._landmark_seconds = self._newest_seconds = now_seconds
        if self._total * shrunk < _NOTHING:
            self._clear()
            return
        self._weights = array("d", [weight * shrunk for weight in self._weights])
        self._total = math.fsum(self._weights)
        for rank in (self._median, self._tail):
            rank.find(self._weights, self._total)


class _Rank:
    """The bucket of one quantile, and the weight in all buckets before it."""

    __slots__ = ("_below", "_share", "bucket")

    def __init__(self, share: float) -> None:
        self._share = share
        self._below = 0.0
        self.bucket = 0

    def added(self, bucket: int, weight: float, weights: array[float], total: float) -> None:
        if bucket < self.bucket:
            self._below += weight
        self._settle(weights, total)

    def find(self, weights: array[float], total: float) -> None:
        self.bucket, self._below = 0, 0.0
        self._settle(weights, total)

    def _settle(self, weights: array[float], total: float) -> None:
        # A hair under the exact rank: 0.95 * 20 samples is 19, whatever the last bit of the product says.
        wanted = self._share * total * (1 - 1e-12)
        bucket, below = self.bucket, self._below
        while bucket and below >= wanted:
            bucket -= 1
            below -= weights[bucket]
        last = _BUCKETS - 1
        while bucket < last and below + weights[bucket] < wanted:
            below += weights[bucket]
            bucket += 1
        self.bucket, self._below = bucket, below
