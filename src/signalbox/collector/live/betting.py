"""Sequential tests by betting: evidence that may be looked at after every request, and acted on at any time.

A bettor starts with a capital of 1 and bets, before each observation, that a hypothesis is wrong. While it is right no
bet gains on average, so the capital is a nonnegative supermartingale, and with probability at most `alpha` it ever
reaches 1/alpha (Ville, 1939): reaching it refutes the hypothesis, whenever that is. Bets on a bounded mean follow
Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B, 2024), section 4; several
sizes of bet share the capital, because the best one depends on what is not known.

A bettor who has watched a good side for a day has lost everything and would never notice that it goes bad. So the
capital is not staked at once: a part of 1 / n(n+1) joins with the n-th observation. All parts together are 1, and each
of them a supermartingale (mixtures over the time of a change: Shin, Ramdas and Rinaldo, "E-detectors", 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

RATE_BETS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
RATIO_BETS = (0.2, 0.5, 0.9)
CAPS = (3.0, 10.0, 64.0)  # times the mean of the other side
FIRST_FEW = 5  # of the other side, for a first idea of its mean; they are not bet on
RICHEST = 1e300
LEAST_RATE = 1e-9  # a limit of 0 is refuted by one failure, but not by a division


class _Capital:
    """What the bettors have, for each size of bet."""

    def __init__(self, bets: int) -> None:
        self._staked = [0.0] * bets
        self._kept = 1.0  # not staked yet
        self._rounds = 0

    def play(self, gains: Sequence[float]) -> None:
        """Multiply each bettor's stake with 1 + its gain, which is never below -1."""
        self._rounds += 1
        fresh = 1 / (self._rounds * (self._rounds + 1))
        self._kept -= fresh
        part = fresh / len(gains)
        self._staked = [
            min(RICHEST, (stake + part) * (1 + gain)) for stake, gain in zip(self._staked, gains, strict=True)
        ]

    @property
    def total(self) -> float:
        return sum(self._staked) + max(0.0, self._kept)


class RateTest:
    """Tests that a share of failures is at most `limit`."""

    def __init__(self, limit: float) -> None:
        self._limit = max(limit, LEAST_RATE)
        self._capital = _Capital(len(RATE_BETS))

    def add(self, is_failure: bool) -> None:
        """Take one observation."""
        gain = (is_failure - self._limit) / self._limit
        self._capital.play([bet * gain for bet in RATE_BETS])

    @property
    def evidence(self) -> float:
        """The capital: 1/alpha or more refutes at level alpha."""
        return self._capital.total


class RatioTest:
    """Tests that a side's values are at most `ratio` times those of the other, which are measured alongside.

    Each value is compared with one of the other side from about the same time, so that what slows both says nothing.
    Means are compared of what is left when both sides' values, the tested divided by `ratio`, are cut at some times
    the other's mean: without a bound no test of a mean is valid. Several cuts are bet on, low ones for what is typical,
    high ones for what is rare and large.
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._capital = _Capital(len(RATIO_BETS) * len(CAPS))
        self._mine: float | None = None
        self._other: tuple[float, float] | None = None  # a value, and the mean of those before it
        self._count = 0
        self._mean = 0.0  # of the other side

    def add(self, value: float) -> None:
        """Take a value of the side that is tested, 0 or more."""
        self._mine = value
        self._compare()

    def add_other(self, value: float) -> None:
        """Take a value of the side it is compared with."""
        if self._count >= FIRST_FEW:
            # A bet whose size knew the value it is about would not be fair.
            self._other = value, self._mean
            self._compare()
        self._count += 1
        self._mean += (value - self._mean) / self._count

    def _compare(self) -> None:
        if self._mine is None or self._other is None:
            return
        mine, (other, mean) = self._mine / self._ratio, self._other
        self._mine = self._other = None
        if mean <= 0:
            return
        gains = []
        for cap in CAPS:
            most = cap * mean
            gain = (min(mine, most) - min(other, most)) / most
            gains += [bet * gain for bet in RATIO_BETS]
        self._capital.play(gains)

    @property
    def evidence(self) -> float:
        """The capital: 1/alpha or more refutes at level alpha."""
        return self._capital.total
