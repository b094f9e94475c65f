"""A journal in a few figures: who decided, who answered, what it cost, what clients and engines thought of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from signalbox.collector.journal.entry import FeedbackEntry, RequestEntry
from signalbox.collector.journal.feedback import verdict_of
from signalbox.collector.journal.read import JournalReader
from signalbox.label import Label
from signalbox.telemetry import FeedbackVerdict

NO_ROUTER = "(none)"  # the client named a model itself


@dataclass(slots=True)
class Figures:
    """Sums over some requests. usd: without the `unpriced`, answers whose price or usage is not known."""

    requests: int = 0
    failed: int = 0  # no status below 400, whoever is to blame
    usd: float = 0.0
    unpriced: int = 0
    good: int = 0
    bad: int = 0

    def add(self, entry: RequestEntry, mark: FeedbackEntry | None) -> None:
        self.requests += 1
        failed = entry.status is None or entry.status >= 400
        self.failed += failed
        self.usd += entry.usd or 0.0
        # Half an answer costs something too, an error does not.
        self.unpriced += bool(entry.model) and entry.usd is None and (not failed or entry.status is None)
        verdict = None if mark is None else verdict_of(mark.score)
        self.good += verdict is FeedbackVerdict.GOOD
        self.bad += verdict is FeedbackVerdict.BAD

    def as_json(self, all_requests: int) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "share": round(self.requests / all_requests, 4) if all_requests else 0.0,
            "failed": self.failed,
            "usd": round(self.usd, 9),
            "unpriced": self.unpriced,
            "good": self.good,
            "bad": self.bad,
        }


@dataclass(slots=True)
class LabelFigures:
    """Sums over labels. compared: those that stand for a task, of requests in the journal; agreed: these went there."""

    labels: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    compared: int = 0
    agreed: int = 0

    def add(self, label: Label, chosen: RequestEntry | None) -> None:
        self.labels += 1
        self.outcomes[label.outcome] = self.outcomes.get(label.outcome, 0) + 1
        if chosen is not None and label.task and label.router in (chosen.router, chosen.goal):
            self.compared += 1
            self.agreed += label.task == chosen.route

    @property
    def agreement(self) -> float | None:
        """Share of the compared that agree; None without any."""
        return round(self.agreed / self.compared, 4) if self.compared else None

    def as_json(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "outcomes": dict(sorted(self.outcomes.items())),
            "compared": self.compared,
            "agreed": self.agreed,
            "agreement": self.agreement,
        }


@dataclass(slots=True)
class Summary:
    """Figures of a whole journal, and of each router, route and model in it. Times are seconds since the epoch.

    labels: by engine.
    """

    total: Figures = field(default_factory=Figures)
    refused: int = 0
    skipped_lines: int = 0
    first_seconds: float | None = None
    last_seconds: float | None = None
    by: dict[str, dict[str, Figures]] = field(
        default_factory=lambda: {kind: {} for kind in ("router", "route", "model")}
    )
    labels: dict[str, LabelFigures] = field(default_factory=dict)

    def add(self, entry: RequestEntry, mark: FeedbackEntry | None) -> None:
        times = entry.ended_seconds
        self.first_seconds = times if self.first_seconds is None else min(self.first_seconds, times)
        self.last_seconds = times if self.last_seconds is None else max(self.last_seconds, times)
        self.total.add(entry, mark)
        if entry.error:
            self.refused += 1
            return
        for kind, name in (("router", entry.router or NO_ROUTER), ("route", entry.route), ("model", entry.model)):
            if name:
                self.by[kind].setdefault(name, Figures()).add(entry, mark)

    def add_label(self, label: Label, chosen: RequestEntry | None) -> None:
        """Take a label. chosen: the request it is about, if that is in the journal."""
        self.labels.setdefault(label.engine, LabelFigures()).add(label, chosen)

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`; docs/journal.md has the members."""
        return {
            "first": _rfc3339(self.first_seconds),
            "last": _rfc3339(self.last_seconds),
            "skipped_lines": self.skipped_lines,
            "refused": self.refused,
            "total": self.total.as_json(self.total.requests),
            **{
                f"{kind}s": {name: figures.as_json(self.total.requests) for name, figures in _largest_first(group)}
                for kind, group in self.by.items()
            },
            "labels": {engine: figures.as_json() for engine, figures in sorted(self.labels.items())},
        }

    @property
    def text(self) -> str:
        """Return it for people: one table."""
        rows: list[tuple[str, ...]] = [("", "requests", "share", "failed", "USD", "good", "bad")]
        for kind, group in (("all", {"": self.total}), *self.by.items()):
            rows += [self._row(f"{kind} {name}".strip(), figures) for name, figures in _largest_first(group)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{_rfc3339(self.first_seconds)} to {_rfc3339(self.last_seconds)}, {self.refused} refused"]
        for name, *numbers in rows:
            cells = (number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
            lines.append("  ".join((name.ljust(widths[0]), *cells)).rstrip())
        for engine, of in sorted(self.labels.items()):
            outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(of.outcomes.items()))
            share = "" if of.agreement is None else f" ({of.agreement:.1%})"
            lines.append(
                f"labels of {engine}: {of.labels} ({outcomes}); {of.agreed} of {of.compared} requests went there{share}"
            )
        if self.total.unpriced:
            lines.append(f"USD leaves out {self.total.unpriced} answers whose price or usage is not known")
        if self.skipped_lines:
            lines.append(f"{self.skipped_lines} lines could not be read")
        return "\n".join(lines)

    def _row(self, name: str, figures: Figures) -> tuple[str, ...]:
        share = figures.requests / self.total.requests if self.total.requests else 0.0
        usd = f"{figures.usd:.4f}" if figures.usd or not figures.unpriced else "?"
        counts = str(figures.requests), f"{share:.1%}", str(figures.failed), usd, str(figures.good), str(figures.bad)
        return name, *counts


def summarise(directory: Path) -> Summary:
    """Return the figures of a journal. Raises SetupError when there is none, or a newer Signalbox wrote it."""
    reader, summary = JournalReader(directory), Summary()
    labels: dict[str, list[Label]] = {}
    for each in reader:
        if isinstance(each, Label):
            labels.setdefault(each.id, []).append(each)
    for entry, mark in reader.marked():
        summary.add(entry, mark)
        for label in labels.pop(entry.id, ()):
            summary.add_label(label, entry)
    for label in chain.from_iterable(labels.values()):
        summary.add_label(label, None)
    summary.skipped_lines = reader.skipped
    return summary


def _largest_first(group: dict[str, Figures]) -> Iterable[tuple[str, Figures]]:
    return sorted(group.items(), key=lambda named: (-named[1].requests, named[0]))


def _rfc3339(epoch_seconds: float | None) -> str | None:
    if epoch_seconds is None:
        return None
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
