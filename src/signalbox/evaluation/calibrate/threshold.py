"""The threshold that an aim needs on given requests, and how far other requests like them might move it.

Requests are sent to the strong tier from the highest score downwards. Requests with equal scores go together, since no
threshold can part them: so what is reached may be less than what was asked for, and is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from signalbox.errors import SetupError

Floats = NDArray[np.float64]

MIN_REQUESTS = 50
RESAMPLES = 1000
LEVEL = 0.95  # of all intervals


class Interval(NamedTuple):
    """A figure of the requests, and where that of others like them lies in 95 of 100 cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Scored requests, and what either tier costs and achieves for them. All (requests,); None: not known.

    scores: higher = needs the strong tier more. usd: what a request costs there. quality: any scale, higher is better.
    """

    scores: Floats
    strong_usd: Floats | None = None
    weak_usd: Floats | None = None
    strong_quality: Floats | None = None
    weak_quality: Floats | None = None

    @property
    def is_priced(self) -> bool:
        return self.strong_usd is not None and self.weak_usd is not None

    @property
    def is_judged(self) -> bool:
        return self.strong_quality is not None and self.weak_quality is not None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a threshold comes to. usd_per_1000, quality, of_strong: None where they are not known.

    of_strong: quality as a share of what the strong tier achieves alone.
    """

    threshold: Interval
    strong_share: Interval
    usd_per_1000: Interval | None
    quality: Interval | None
    of_strong: Interval | None
    requests: int


Choose = Callable[["Levels"], Floats]
"""An aim: levels -> share of the requests that go to the strong tier, of each resample."""


class Levels:
    """What each possible threshold comes to, for many resamples of the requests at once.

    counts: (distinct scores + 1, resamples), requests at or above each score, from none to all; the other sums alike.
    """

    def __init__(self, traffic: Traffic, weights: Floats) -> None:
        """weights: (resamples, requests), how often each was drawn."""
        order = np.argsort(-traffic.scores, kind="stable")
        ordered = traffic.scores[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self.scores = ordered[starts]
        self._order, self._starts, self._weights = order, starts, weights
        self.counts = self._above(np.ones(len(order)))
        self.total = self.counts[-1]
        self.usd = self._mixed(traffic.strong_usd, traffic.weak_usd)
        self.quality = self._mixed(traffic.strong_quality, traffic.weak_quality)

    def at(self, places: NDArray[np.intp], values: Floats) -> Floats:
        """Return one value of each resample. places: (resamples,)."""
        picked: Floats = values[places, np.arange(values.shape[1])]
        return picked

    def threshold(self, places: NDArray[np.intp]) -> Floats:
        """Return the threshold of each place: the least score that goes to the strong tier, above 1 for none."""
        return np.where(places > 0, self.scores[np.maximum(places - 1, 0)], np.nextafter(1.0, 2.0))

    def _above(self, values: Floats) -> Floats:
        drawn = (self._weights * values)[:, self._order].T
        sums = np.add.reduceat(drawn, self._starts, axis=0)
        return np.concatenate([np.zeros((1, sums.shape[1])), np.cumsum(sums, axis=0)])

    def _mixed(self, strong: Floats | None, weak: Floats | None) -> Floats | None:
        """Return the mean of what goes to the strong tier and what to the weak one, for each place."""
        if strong is None or weak is None:
            return None
        mixed: Floats = (self._above(strong - weak) + (self._weights @ weak)[None, :]) / self.total
        return mixed


def for_share(share: float) -> Callable[[Levels], NDArray[np.intp]]:
    """The share nearest to the one wanted."""

    def choose(levels: Levels) -> NDArray[np.intp]:
        found: NDArray[np.intp] = np.abs(levels.counts - share * levels.total).argmin(axis=0)
        return found

    return choose


def for_budget(usd_per_1000: float) -> Callable[[Levels], NDArray[np.intp]]:
    """The largest share that costs no more; where even none does, none."""

    def choose(levels: Levels) -> NDArray[np.intp]:
        assert levels.usd is not None
        affordable = levels.usd * 1000 <= usd_per_1000 * (1 + 1e-12)
        last = len(affordable) - 1 - affordable[::-1].argmax(axis=0)
        return np.where(affordable.any(axis=0), last, 0)

    return choose


def for_quality(of_strong: float) -> Callable[[Levels], NDArray[np.intp]]:
    """The smallest share from which on every larger one keeps the floor, so that a lucky dip is no answer."""

    def choose(levels: Levels) -> NDArray[np.intp]:
        assert levels.quality is not None
        floor = of_strong * levels.quality[-1]
        short = levels.quality < floor - 1e-12 * np.abs(floor)
        after = len(short) - short[::-1].argmax(axis=0)
        return np.where(short.any(axis=0), np.minimum(after, len(short) - 1), 0)

    return choose


def calibrate(traffic: Traffic, choose: Callable[[Levels], NDArray[np.intp]], *, seed: int = 0) -> Calibration:
    """Return the threshold that an aim needs, with intervals by the bootstrap over requests.

    Raises SetupError for fewer than 50 requests, or scores that are all the same.
    """
    count = len(traffic.scores)
    if count < MIN_REQUESTS:
        raise SetupError(
            f"{count} requests have a score\n  expected: {MIN_REQUESTS} or more, for a threshold that means something\n"
            "  fix: more requests, or a `threshold` by hand until there are"
        )
    if traffic.scores.min() == traffic.scores.max():
        raise SetupError(
            f"all {count} requests have the score {traffic.scores[0]:g}: no threshold divides them\n"
            "  expected: requests of more than one kind\n  fix: a file that looks like the traffic"
        )
    whole = Levels(traffic, np.ones((1, count)))
    places = choose(whole)
    [threshold] = whole.threshold(places)
    dice = np.random.default_rng(seed)
    thresholds = []
    figures: dict[str, list[Floats]] = {"share": [], "usd": [], "quality": [], "of_strong": []}
    step = max(1, 4_000_000 // count)  # requests times resamples held at once
    for begin in range(0, RESAMPLES, step):
        drawn = dice.multinomial(count, np.full(count, 1 / count), size=min(step, RESAMPLES - begin)).astype(float)
        levels = Levels(traffic, drawn)
        thresholds.append(levels.threshold(choose(levels)))
        for name, values in _figures(levels, np.full(len(drawn), int(places[0]))).items():
            figures[name].append(values)
    now = _figures(whole, places)
    told = {name: _interval(float(values[0]), np.concatenate(figures[name])) for name, values in now.items()}
    return Calibration(
        threshold=_interval(float(threshold), np.concatenate(thresholds)),
        strong_share=told["share"],
        usd_per_1000=told.get("usd"),
        quality=told.get("quality"),
        of_strong=told.get("of_strong"),
        requests=count,
    )


def _figures(levels: Levels, places: NDArray[np.intp]) -> dict[str, Floats]:
    found = {"share": levels.at(places, levels.counts) / levels.total}
    if levels.usd is not None:
        found["usd"] = 1000 * levels.at(places, levels.usd)
    if levels.quality is not None:
        found["quality"] = levels.at(places, levels.quality)
        with np.errstate(divide="ignore", invalid="ignore"):
            found["of_strong"] = found["quality"] / levels.quality[-1]
    return found


def _interval(value: float, drawn: Floats) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
