"""Samples as curves: shares and quantiles by spans of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil, nan

from scenarios.load import Sample

Curve = tuple[list[float], list[float]]


def within(samples: Iterable[Sample], since: float, until: float) -> list[Sample]:
    """Those sent in a span of time."""
    return [sample for sample in samples if since <= sample.at < until]


def share(samples: Sequence[Sample], holds: Callable[[Sample], bool]) -> float:
    """Share of the samples for which something holds; NaN without any."""
    return sum(map(holds, samples)) / len(samples) if samples else nan


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that a share `q` of them does not exceed; NaN without any."""
    return sorted(values)[max(0, ceil(q * len(values)) - 1)] if values else nan


def ttfts(samples: Iterable[Sample]) -> list[float]:
    return [sample.ttft_seconds for sample in samples if sample.ttft_seconds is not None]


def by_span(samples: Sequence[Sample], span: float, measure: Callable[[list[Sample]], float]) -> Curve:
    """`measure` of each span of time, at its middle."""
    end = max((sample.at for sample in samples), default=0.0)
    starts = [span * number for number in range(int(end / span) + 1)]
    return [start + span / 2 for start in starts], [measure(within(samples, start, start + span)) for start in starts]


def share_by(samples: Sequence[Sample], span: float, model: str) -> Curve:
    """Share of the answered requests that a model answered, by span."""
    answered = [sample for sample in samples if sample.is_answered]
    return by_span(answered, span, lambda some: share(some, lambda sample: sample.model == model))


def ttft_by(samples: Sequence[Sample], span: float, q: float) -> Curve:
    """A quantile of the time to first token, by span."""
    return by_span(samples, span, lambda some: quantile(ttfts(some), q))


def first_run(samples: Sequence[Sample], length: int, least: int, holds: Callable[[Sample], bool]) -> int | None:
    """Return how many samples come before the first `length` in a row of which at least `least` hold; None: never."""
    truths = [holds(sample) for sample in samples]
    for start in range(len(truths) - length + 1):
        if sum(truths[start : start + length]) >= least:
            return start
    return None
