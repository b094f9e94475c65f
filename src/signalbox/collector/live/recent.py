"""The 95th percentile of what was measured just now.

Controllers need fresh figures: a quantile that forgets half in two minutes, which ranking wants, still shows a
queue long after it is gone, and whoever steers by it oversteers.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from math import ceil, inf

WINDOW_SECONDS = 10.0
FEWEST = 20  # below, the largest value is the 95th percentile; older ones are taken in, too
OLDEST_SECONDS = 120.0
MOST = 512  # about 3 % of the quantile's level, and 20 microseconds to sort


class Recent:
    """A model's newest durations, in seconds. Bounded; the caller owns the clock."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=MOST)

    def add(self, seconds: float, now_seconds: float) -> None:
        """Take one measurement; one that cannot be (negative, NaN, infinite) is left out."""
        if 0 <= seconds < inf:
            self._samples.append((now_seconds, seconds))

    def p95(self, now_seconds: float) -> tuple[float, int] | None:
        """Return the 95th percentile and of how many: those of the window, or the newest few. None without any."""
        samples = self._samples
        while samples and samples[0][0] < now_seconds - OLDEST_SECONDS:
            samples.popleft()
        since = now_seconds - WINDOW_SECONDS
        newest = sum(1 for when, _ in samples if when >= since)
        taken = min(max(newest, FEWEST), len(samples))
        if not taken:
            return None
        values = sorted(value for _, value in islice(reversed(samples), taken))
        return values[ceil(0.95 * taken) - 1], taken
