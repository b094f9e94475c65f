"""How good a ranking of prompts is for routing between a weak and a strong model.

A router's score says how much a prompt needs the strong model; sending the share with the highest scores to it, for
every share from none to all, draws a curve of quality over strong share. APGR and CPT are taken from that curve as in
RouteLLM (Ong et al., 2024, arXiv:2406.18665; `routellm/evals/evaluate.py` of lm-sys/RouteLLM), with two refinements:
every distinct score is a threshold, where RouteLLM takes ten quantiles, and prompts with equal scores are taken in
random order, in expectation, so that a constant score is exactly a random router.

Everything takes weights, the number of times each row was drawn, so that `bootstrap` can ask for many resamples at
once: weights have the shape (resamples, rows), results the shape (resamples,). A figure that does not exist is NaN:
APGR where the strong model is no better than the weak one, AUROC where a class is empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


class Measure(Protocol):
    """One figure of one router on fixed rows, as a function of how often each row counts."""

    def __call__(self, weights: Floats, /) -> Floats:
        """weights: (resamples, rows), not negative. Returns (resamples,); NaN where the figure does not exist."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Mean quality over the share of prompts sent to the strong model; straight between the points."""

    shares: Floats  # (points,), from 0 to 1, rising
    quality: Floats  # (points,), in units of the outcomes

    def at(self, share: float) -> float:
        """Return the expected quality when the `share` of prompts with the highest scores goes to the strong model."""
        return float(np.interp(share, self.shares, self.quality))


class Order:
    """Rows from the highest score to the lowest, those with equal scores together.

    scores: (rows,), finite. Raises ValueError otherwise.
    """

    def __init__(self, scores: NDArray[Any]) -> None:
        column = _column(scores)
        self.rows: Integers = np.argsort(-column, kind="stable")
        ordered = column[self.rows]
        # Where in that order each distinct score begins.
        self.starts: Integers = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self._last: tuple[Floats, Floats] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def drawn(self, weights: Floats) -> Floats:
        """Return the weights in this order, (rows, resamples)."""
        if self._last is None or self._last[0] is not weights:  # all figures of a router are asked one after another
            self._last = (weights, weights.T[self.rows])
        return self._last[1]

    def sums(self, ordered: Floats) -> Floats:
        """Return sums over equal scores, (distinct scores, resamples), of (rows, resamples)."""
        return ordered if len(self.starts) == len(self.rows) else np.add.reduceat(ordered, self.starts, axis=0)


class Ranking:
    """Rows in order of their scores, ready for many resamples.

    scores: (rows,), finite, higher = needs the strong model more. strong, weak: (rows,), the outcome of each prompt
    with either model, higher is better. Raises ValueError where lengths differ, there are no rows, or a value is not
    finite.
    """

    def __init__(self, scores: NDArray[Any] | Order, strong: NDArray[Any], weak: NDArray[Any]) -> None:
        self._order = scores if isinstance(scores, Order) else Order(scores)
        self._strong, self._weak = _column(strong), _column(weak)
        if not len(self._order) == len(self._strong) == len(self._weak):
            found = f"{len(self._order)} scores, {len(self._strong)} strong and {len(self._weak)} weak outcomes"
            raise ValueError(f"lengths differ: {found}")
        self._gain = (self._strong - self._weak)[self._order.rows]
        self._last: tuple[Floats, Floats, Floats] | None = None

    def curve(self) -> Curve:
        """Return quality over strong share, one point for each distinct score and one for sending nothing."""
        count, gain = self._cumulated(np.ones((1, len(self._order))))
        base = float(self._weak.mean())
        return Curve(shares=count[:, 0] / count[-1, 0], quality=base + gain[:, 0] / count[-1, 0])

    def apgr(self, weights: Floats) -> Floats:
        """Return the average performance gap recovered: 0 as the weak model, 0.5 as random, 1 as the strong one.

        The area between the curve and the weak model's quality, by trapezoids, over that of the gap (RouteLLM's APGR).
        """
        count, gain = self._cumulated(weights)
        area = np.sum(np.diff(count, axis=0) * (gain[1:] + gain[:-1]), axis=0) / 2
        return _ratio(area, count[-1] * gain[-1])

    def cpt(self, weights: Floats, recovered: float) -> Floats:
        """Return the call-performance threshold: the least strong share at which `recovered` of the gap is won back.

        RouteLLM's CPT; straight between the points, and the first crossing where the curve is not monotone.
        """
        count, gain = self._cumulated(weights)
        return self._first_share(count, gain, recovered * gain[-1], exists=gain[-1] > 0)

    def share_at_quality(self, weights: Floats, of_strong: float) -> Floats:
        """Return the least strong share with which `of_strong` of the strong model's own quality is reached."""
        count, gain = self._cumulated(weights)
        weak = weights @ self._weak
        strong = weights @ self._strong
        return self._first_share(count, gain, of_strong * strong - weak, exists=count[-1] > 0)

    def mean_at(
        self, weights: Floats, share: Floats | float, strong: Floats | None = None, weak: Floats | None = None
    ) -> Floats:
        """Return the mean quality when the `share` of prompts with the highest scores goes to the strong model.

        share: of each resample, or of all. strong, weak: (rows,), something else to average than the outcomes, such as
        what either model costs for each prompt.
        """
        count, gain = self._cumulated(weights)
        base = self._weak
        if strong is not None and weak is not None:
            gain, base = self._cumulate(weights, (strong - weak)[self._order.rows]), weak
        total = count[-1]
        wanted = np.minimum(share * total, total)
        after = np.minimum((count < wanted).sum(axis=0), len(count) - 1)
        draws = np.arange(len(total))
        before = np.maximum(after - 1, 0)
        part = _ratio(wanted - count[before, draws], count[after, draws] - count[before, draws], default=0.0)
        won = gain[before, draws] + part * (gain[after, draws] - gain[before, draws])
        return _ratio(weights @ base + won, total)

    def _cumulated(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return rows and gain sent to the strong model so far, (distinct scores + 1, resamples) each, from nothing."""
        if self._last is None or self._last[0] is not weights:
            self._last = (weights, self._cumulate(weights, None), self._cumulate(weights, self._gain))
        return self._last[1:]

    def _cumulate(self, weights: Floats, values: Floats | None) -> Floats:
        drawn = self._order.drawn(weights)
        sums = self._order.sums(drawn if values is None else drawn * values[:, None])
        total = np.zeros((len(sums) + 1, len(weights)))
        np.cumsum(sums, axis=0, out=total[1:])
        return total

    @staticmethod
    def _first_share(count: Floats, gain: Floats, wanted: Floats, *, exists: NDArray[np.bool_]) -> Floats:
        # Sums that are equal on paper differ in their last bits: sending everything always reaches the whole.
        reached = gain >= wanted - 1e-9 * np.maximum(1.0, np.abs(wanted))
        after = np.argmax(reached, axis=0)
        before = np.maximum(after - 1, 0)
        draws = np.arange(len(wanted))
        step = gain[after, draws] - gain[before, draws]
        part = np.clip(_ratio(wanted - gain[before, draws], step, default=1.0), 0.0, 1.0)
        share = _ratio(count[before, draws] + part * (count[after, draws] - count[before, draws]), count[-1])
        return np.where(exists & reached.any(axis=0), share, np.nan)


class Separation:
    """How well scores set two classes apart, ready for many resamples: the area under the ROC curve.

    scores: (rows,), finite. positive: (rows,), truthy for the class that should score higher. negative: likewise for
    the other class; by default all that are not positive. Rows of neither do not count.
    """

    def __init__(
        self, scores: NDArray[Any] | Order, positive: NDArray[Any], negative: NDArray[Any] | None = None
    ) -> None:
        self._order = scores if isinstance(scores, Order) else Order(scores)
        above = np.asarray(positive, dtype=bool)
        below = ~above if negative is None else np.asarray(negative, dtype=bool)
        if not above.shape == below.shape == (len(self._order),):
            raise ValueError(f"lengths differ: {len(self._order)} scores, {len(above)} and {len(below)} labels")
        self._positive = above[self._order.rows].astype(np.float64)[:, None]
        self._negative = below[self._order.rows].astype(np.float64)[:, None]

    def auroc(self, weights: Floats) -> Floats:
        """Return the chance that a positive scores above a negative; ties count half. NaN where a class is empty."""
        drawn = self._order.drawn(weights)
        hits, misses = self._order.sums(drawn * self._positive), self._order.sums(drawn * self._negative)
        missed = misses.sum(axis=0)
        below = missed - np.cumsum(misses, axis=0)
        return _ratio(np.sum(hits * (below + misses / 2), axis=0), hits.sum(axis=0) * missed)


def auroc(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the area under the ROC curve of `scores` for the truthy `labels`; NaN where a class is empty."""
    return float(Separation(scores, labels).auroc(np.ones((1, len(scores))))[0])


def strong_share_curve(scores: NDArray[Any], strong: NDArray[Any], weak: NDArray[Any]) -> Curve:
    """Return quality over strong share when the prompts with the highest `scores` go to the strong model first."""
    return Ranking(scores, strong, weak).curve()


def apgr(scores: NDArray[Any], strong: NDArray[Any], weak: NDArray[Any]) -> float:
    """Return the average performance gap recovered (see `Ranking.apgr`); NaN unless strong is better than weak."""
    return float(Ranking(scores, strong, weak).apgr(np.ones((1, len(scores))))[0])


def cpt(scores: NDArray[Any], strong: NDArray[Any], weak: NDArray[Any], recovered: float) -> float:
    """Return the least strong share that wins back `recovered` (0..1) of the gap; NaN unless strong is better."""
    return float(Ranking(scores, strong, weak).cpt(np.ones((1, len(scores))), recovered)[0])


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where it lies in 95 of 100 resamples; NaN where it does not exist."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, samples: Floats) -> "Interval":
        """Return `value` between the 2.5th and the 97.5th percentile of the resamples that have the figure."""
        known = samples[np.isfinite(samples)]
        if not len(known):
            return cls(value, float("nan"), float("nan"))
        low, high = np.percentile(known, [2.5, 97.5])
        return cls(value, float(low), float(high))

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.high < 0


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """One measure: its figure on the rows as they are, and on each resample."""

    value: float
    samples: Floats = field(repr=False)  # (resamples,)

    @property
    def interval(self) -> Interval:
        return Interval.of(self.value, self.samples)

    def minus(self, other: "Resampled") -> Interval:
        """Return the difference to another measure on the same resamples: paired, so that what both share cancels."""
        return Interval.of(self.value - other.value, self.samples - other.samples)


class Resamples:
    """Draws of rows with replacement, within each stratum, whole units at a time.

    strata: (rows,) or None, what a row belongs to, such as its source: each keeps its number of units in every draw.
    units: (rows,) or None, rows with equal values are drawn together, such as equal prompts.
    """

    # Draws of one batch, rows times resamples: 4 MB of weights, which sums over them find in a cache.
    _CELLS = 500_000

    def __init__(
        self,
        rows: int,
        *,
        strata: Sequence[Any] | NDArray[Any] | None = None,
        units: Sequence[Any] | NDArray[Any] | None = None,
        resamples: int = 1_000,
        seed: int | Sequence[int] = 0,
    ) -> None:
        if rows < 1:
            raise ValueError("there are no rows to draw from")
        self.rows, self.resamples, self._seed = rows, resamples, seed
        stratum = _codes(strata) if strata is not None else np.zeros(rows, dtype=np.intp)
        unit = _codes(units) if units is not None else np.arange(rows, dtype=np.intp)
        # A unit in two strata is two units: each stratum is drawn on its own.
        self._unit = _codes(stratum * (int(unit.max()) + 1) + unit)
        stratum_of_unit = np.zeros(int(self._unit.max()) + 1, dtype=np.intp)
        stratum_of_unit[self._unit] = stratum
        self._strata = [np.flatnonzero(stratum_of_unit == number) for number in range(int(stratum.max()) + 1)]

    def batches(self) -> Iterable[Floats]:
        """Yield weights of the shape (resamples of this batch, rows); the same ones each time."""
        dice = np.random.default_rng(self._seed)
        left = self.resamples
        while left:
            size = min(left, max(1, self._CELLS // self.rows))
            left -= size
            drawn = np.zeros((size, sum(map(len, self._strata))))
            for members in self._strata:
                drawn[:, members] = dice.multinomial(len(members), np.full(len(members), 1 / len(members)), size=size)
            yield drawn.T[self._unit].T  # a row's draws lie side by side, as `Order.drawn` picks them


def bootstrap(measures: Mapping[str, Measure], resamples: Resamples) -> dict[str, Resampled]:
    """Return each measure on the rows as they are and on the same resamples, so that any two can be compared."""
    whole = np.ones((1, resamples.rows))
    values = {name: float(measure(whole)[0]) for name, measure in measures.items()}
    samples: dict[str, list[Floats]] = {name: [] for name in measures}
    for weights in resamples.batches():
        for name, measure in measures.items():
            samples[name].append(measure(weights))
    empty = np.zeros(0)
    return {name: Resampled(values[name], np.concatenate([empty, *samples[name]])) for name in measures}


def paired_bootstrap(
    first: Measure,
    second: Measure,
    rows: int,
    *,
    strata: Sequence[Any] | NDArray[Any] | None = None,
    units: Sequence[Any] | NDArray[Any] | None = None,
    resamples: int = 1_000,
    seed: int = 0,
) -> Interval:
    """Return `first` minus `second` with its 95 % interval; both are asked about the same resamples of `rows` rows.

    Example: `paired_bootstrap(Ranking(ours, strong, weak).apgr, Ranking(words, strong, weak).apgr, len(ours))`.
    """
    draws = Resamples(rows, strata=strata, units=units, resamples=resamples, seed=seed)
    both = bootstrap({"first": first, "second": second}, draws)
    return both["first"].minus(both["second"])


def mean_of(parts: Sequence[Resampled]) -> Resampled:
    """Return the plain average of figures, such as those of each source; those that do not exist do not count."""
    values, samples = np.array([part.value for part in parts]), np.stack([part.samples for part in parts])
    return Resampled(float(_known_mean(values[:, None])[0]), _known_mean(samples))


def _column(values: NDArray[Any]) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or not len(column):
        raise ValueError(f"expected at least one value in one dimension, found the shape {column.shape}")
    odd = np.flatnonzero(~np.isfinite(column))
    if len(odd):
        raise ValueError(f"expected finite values, found {column[odd[0]]} at row {odd[0]}")
    return column


def _codes(values: Sequence[Any] | NDArray[Any]) -> Integers:
    return np.unique(np.asarray(values), return_inverse=True)[1].astype(np.intp)


def _known_mean(figures: Floats) -> Floats:
    known = np.isfinite(figures)
    return _ratio(np.where(known, figures, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def _ratio(above: Floats, below: Floats, *, default: float = np.nan) -> Floats:
    result: Floats = np.full(np.broadcast(above, below).shape, default)
    np.divide(above, below, out=result, where=below > 0)
    return result
