"""Whether scores are still those that a threshold was learned from.

The population stability index between a reference and what came lately: over ten bins that had a tenth of the
reference each, the sum of (share now - share then) * log(share now / share then). Shares of as many scores as are
compared here differ by chance alone; the index is then about 0.03. The usual reading, under 0.1 nothing happened and
over 0.25 something did, has been credit scoring's rule of thumb since the 1990s.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

REFERENCE = 1000
LATELY = 500
CHECK_EVERY = 25
DRIFTED, CALM = 0.25, 0.1
_BINS = 10
_HALF = 0.5  # of a score, in every bin: an empty one has a logarithm, too


class Drift:
    """Compares the last scores with a reference. reference: any number of scores, all that are known of then."""

    def __init__(self, reference: Sequence[float]) -> None:
        ordered = sorted(reference)
        count = len(ordered)
        # Equal scores share a bin, however many deciles fall on them.
        self._edges = sorted({ordered[count * place // _BINS] for place in range(1, _BINS)}) if count else []
        before = [0] * (len(self._edges) + 1)
        for score in ordered:
            before[bisect_right(self._edges, score)] += 1
        self._before = [(each + _HALF) / (count + _HALF * len(before)) for each in before]
        self._places: deque[int] = deque(maxlen=LATELY)
        self._counts = [0] * len(before)

    def saw(self, score: float) -> None:
        """Take a score in; the oldest of the last ones goes."""
        if len(self._places) == LATELY:
            self._counts[self._places[0]] -= 1
        place = bisect_right(self._edges, score)
        self._places.append(place)
        self._counts[place] += 1

    @property
    def index(self) -> float | None:
        """The index; None until there are enough scores to compare."""
        count = len(self._places)
        if count < LATELY:
            return None
        bins = len(self._counts)
        lately = [(each + _HALF) / (count + _HALF * bins) for each in self._counts]
        return sum((now - then) * math.log(now / then) for now, then in zip(lately, self._before, strict=True))
