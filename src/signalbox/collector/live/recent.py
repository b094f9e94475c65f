"""The 95th percentile of what was measured just now.

Controllers need fresh figures: a quantile that forgets half in two minutes, which ranking wants, still shows a
queue long after it is gone, and whoever steers by it oversteers.
"""

from __future__ import annotations

from collections import deque
from math import ceil, inf

WINDOW_SECONDS = 10.0
FEWEST = 20  # below, the largest value is the 95th percentile; older ones are taken in, too
OLDEST_SECONDS = 120.0
MOST = 256  # the level of the percentile is then known to 1.4 points, and sorting them takes microseconds


class Recent:
    """A model's newest durations, in seconds. Bounded; the caller owns the clock."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MOST)
        self._values: deque[float] = deque(maxlen=MOST)

    def add(self, seconds: float, now_seconds: float) -> None:
        """Take one measurement; one that cannot be (negative, NaN, infinite) is left out."""
        if 0 <= seconds < inf:
            self._times.append(now_seconds)
            self._values.append(seconds)

    def p95(self, now_seconds: float) -> tuple[float, int] | None:
        """Return the 95th percentile and of how many: those of the window, or the newest few. None without any."""
        times, values = self._times, self._values
        while times and times[0] < now_seconds - (WINDOW_SECONDS if len(times) > FEWEST else OLDEST_SECONDS):
            times.popleft()
            values.popleft()
        if not values:
            return None
        return sorted(values)[ceil(0.95 * len(values)) - 1], len(values)
