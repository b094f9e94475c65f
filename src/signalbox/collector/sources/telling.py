"""Counts what came of asking, and says in the log when it changes between good and bad."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from signalbox.collector.log import event_line
from signalbox.collector.metrics import Metrics
from signalbox.telemetry import Event, SourceOutcome


class SourceKind(StrEnum):
    PROMETHEUS = "prometheus"
    PRICES = "prices"


Told = Callable[[SourceKind, int, SourceOutcome], None]
"""Takes kind, place in the policy's list of queries or price lists, and outcome."""

# An empty answer is what Prometheus gives when nothing was measured, at night for example.
FINE = (SourceOutcome.UPDATED, SourceOutcome.EMPTY)


class Teller:
    """The `Told` of the collector. write: takes a log line."""

    def __init__(self, metrics: Metrics, write: Callable[[bytes], None]) -> None:
        self._metrics = metrics
        self._write = write
        self._last: dict[tuple[SourceKind, int], SourceOutcome] = {}

    def __call__(self, kind: SourceKind, place: int, outcome: SourceOutcome) -> None:
        if kind is SourceKind.PROMETHEUS:
            self._metrics.prometheus_query(outcome)
        else:
            self._metrics.price_source(place, outcome)
        before = self._last.get((kind, place), SourceOutcome.UPDATED)
        self._last[kind, place] = outcome
        if outcome != before and not (outcome in FINE and before in FINE):
            self._write(event_line(Event.SOURCE_CHANGED, kind=kind, place=place, outcome=outcome))
