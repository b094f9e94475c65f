"""What an evaluation says: tables for people, the whole of it as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from signalbox.evaluation.calibration import Calibration
from signalbox.evaluation.compare import (
    ALL_ROWS,
    ALWAYS_STRONG,
    ALWAYS_WEAK,
    APGR,
    AUROC,
    COST,
    COST_95,
    CPT_50,
    CPT_80,
    FIGURES,
    MORE_IS_BETTER,
    ORACLE,
    QUALITY,
    REGRET,
    Comparison,
    Figures,
    Group,
)
from signalbox.evaluation.costs import STRONG_SHARE, Costs
from signalbox.evaluation.metrics import Interval, Resampled
from signalbox.evaluation.padding import Padding
from signalbox.evaluation.records import Records
from signalbox.evaluation.routers import Verdicts
from signalbox.evaluation.tables import NONE, between, number, table

VERSION = 1

HEADS = {AUROC: "AUROC", APGR: "APGR", CPT_50: "CPT 50%", CPT_80: "CPT 80%", REGRET: "regret"}

LEGEND = "\n+ the router is better, - it is worse, = the interval of the difference includes 0"

NO_COMPARISON = frozenset({ALWAYS_WEAK, ALWAYS_STRONG, ORACLE})
"""Not rankings a router could be better or worse than at every share."""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """One evaluation. folds: what the fitted baselines learned from. data: name and SHA-256 of each file."""

    records: Records
    router: Verdicts
    comparison: Comparison
    costs: Costs
    folds: str
    resamples: int
    seed: int
    data: Mapping[str, str]
    notes: tuple[str, ...] = ()
    padding: Padding | None = None

    @property
    def text(self) -> str:
        """Return the tables."""
        several = len(self.comparison.sources) > 1
        parts = [self._about(), self._sources()]
        if several:
            parts.append(_titled("Macro average over the sources", self._figures(self.comparison.macro, None)))
            parts.append(_titled("Router minus baseline, macro average", self._differences(self.comparison.macro)))
            parts.append(_titled("APGR by source", self._by_source(APGR)))
            parts.append(_titled("AUROC by source", self._by_source(AUROC)))
        pooled = self.comparison.pooled
        parts.append(
            _titled(f"{'All rows, one threshold' if several else pooled.name}", self._figures(pooled.figures, pooled))
        )
        parts.append(
            _titled("Router minus baseline" + (", all rows" if several else ""), self._differences(pooled.figures))
        )
        if pooled.calibration is not None:
            parts.append(_titled("Calibration of the router's chances", _calibration(pooled.calibration)))
        if self.router.microseconds is not None:
            parts.append(_titled("Time of a decision", self._latency()))
        if self.padding is not None:
            parts.append(_titled("Length padding", self.padding.text))
        if self.notes:
            parts.append("\n".join(f"note: {note}" for note in self.notes))
        return "\n\n".join(parts)

    @property
    def as_json(self) -> dict[str, Any]:
        """Return everything; a figure that does not exist is null."""
        comparison, found = self.comparison, self.records.found
        latency = self.router.microseconds
        return {
            "version": VERSION,
            "data": {
                "files": dict(self.data),
                "rows": found.rows,
                "used": len(self.records),
                "no_outcome": dict(found.no_outcome),
                "repeated": found.repeated,
                "contradictory": found.contradictory,
                "scales": dict(found.scales),
                "strong": self.records.strong_name,
                "weak": self.records.weak_name,
            },
            "settings": {
                "folds": self.folds,
                "resamples": self.resamples,
                "seed": self.seed,
                "cost_unit": self.costs.unit,
            },
            "router": {
                "name": self.router.name,
                "strong_share": comparison.pooled.strong_share,
                "unsure": comparison.pooled.unsure,
                "reasons": dict(self.router.reasons),
                "latency_us": None if latency is None else _latency(latency),
            },
            "sources": {group.name: self._group_json(group) for group in comparison.sources},
            "macro": self._figures_json(comparison.macro),
            ALL_ROWS.replace(" ", "_"): self._group_json(comparison.pooled),
            "padding": None if self.padding is None else self.padding.as_json,
            "notes": list(self.notes),
        }

    def _about(self) -> str:
        found, pooled = self.records.found, self.comparison.pooled
        lines = [
            f"router    {self.router.name}: {pooled.strong_share:.1%} of the prompts to the strong side"
            + (f", unsure on {pooled.unsure:.1%}" if pooled.unsure else ""),
            f"strong    {self.records.strong_name}, mean score {pooled.facts.strong_quality:.3f}",
            f"weak      {self.records.weak_name}, mean score {pooled.facts.weak_quality:.3f}",
            f"rows      {len(self.records)} of {found.rows}"
            + (f"; {sum(found.no_outcome.values())} without an outcome" if found.no_outcome else "")
            + (f"; {found.repeated} repeat a prompt" if found.repeated else "")
            + (f"; {found.contradictory} contradict another row on the same prompt" if found.contradictory else ""),
            f"learning  {self.folds}",
            f"interval  95 %, {self.resamples} resamples within each source, seed {self.seed}",
        ]
        lines += [f"scale     {source}: scores of {scale}, brought to 0 to 1" for source, scale in found.scales.items()]
        return "\n".join(lines)

    def _sources(self) -> str:
        rows = []
        for group in self.comparison.sources:
            facts = group.facts
            best = f"{facts.best_model} {facts.best_quality:.3f}" if facts.best_model else NONE
            rows.append(
                [
                    group.name,
                    str(facts.rows),
                    f"{facts.needs_strong}/{facts.weak_ok}/{facts.unsolved}",
                    number(facts.strong_quality),
                    number(facts.weak_quality),
                    best,
                    f"{group.strong_share:.1%}",
                    f"{group.unsure:.1%}",
                ]
            )
        head = [
            "source",
            "rows",
            "needs strong/weak ok/neither",
            "strong",
            "weak",
            "best single model",
            "router",
            "unsure",
        ]
        return table(head, rows)

    def _figures(self, figures: Mapping[str, Figures], group: Group | None) -> str:
        cost_head = "cost" if self.costs.unit == STRONG_SHARE else "USD/1000"
        head = ["", "AUROC", "APGR", "CPT 50%", "CPT 80%", f"{cost_head} at 95%", "quality", cost_head, "regret"]
        digits = 3 if self.costs.unit == STRONG_SHARE else 4
        rows = []
        for name, found in figures.items():
            row = [name, *[_shown(found.get(figure)) for figure in (AUROC, APGR)]]
            row += [_value(found.get(figure)) for figure in (CPT_50, CPT_80)]
            row += [_value(found.get(COST_95), digits), _shown(found.get(QUALITY)), _value(found.get(COST), digits)]
            row.append(_value(found.get(REGRET)))
            rows.append(row)
        if group is not None and group.facts.best_model:
            regret = _value(figures[ORACLE].get(QUALITY))
            best = group.facts.best_quality
            rows.append(["best single model", *[NONE] * 5, number(best), NONE, number(float(regret) - best)])
        return table(head, rows)

    def _differences(self, figures: Mapping[str, Figures]) -> str:
        rows = []
        for baseline in self.comparison.baselines:
            if baseline in NO_COMPARISON:
                continue
            row = [baseline]
            for figure in (AUROC, APGR, CPT_50, QUALITY):
                difference = self.comparison.difference(figures, baseline, figure)
                row.append(f"{between(difference, sign=True)} {_mark(difference, figure)}")
            rows.append(row)
        return table(["router minus", "AUROC", "APGR", "CPT 50%", "quality at its share"], rows) + LEGEND

    def _by_source(self, figure: str) -> str:
        names = [self.comparison.router, *[name for name in self.comparison.baselines if name not in NO_COMPARISON]]
        rows = []
        for group in self.comparison.sources:
            own = group.figures[names[0]][figure].value
            row = [group.name, number(own)]
            for name in names[1:]:
                difference = self.comparison.difference(group.figures, name, figure)
                row.append(f"{number(group.figures[name][figure].value)} {_mark(difference, figure)}")
            rows.append(row)
        return table(["source", "router", *names[1:]], rows) + LEGEND

    def _latency(self) -> str:
        assert self.router.microseconds is not None
        found = _latency(self.router.microseconds)
        return f"p50 {found['p50']:.0f} us, p99 {found['p99']:.0f} us, mean {found['mean']:.0f} us, in this run"

    def _group_json(self, group: Group) -> dict[str, Any]:
        facts = group.facts
        return {
            "rows": facts.rows,
            "strong_quality": facts.strong_quality,
            "weak_quality": facts.weak_quality,
            "needs_strong": facts.needs_strong,
            "weak_ok": facts.weak_ok,
            "unsolved": facts.unsolved,
            "best_single": {"model": facts.best_model or None, "quality": _or_null(facts.best_quality)},
            "router_strong_share": group.strong_share,
            "router_unsure": group.unsure,
            **self._figures_json(group.figures),
            "calibration": None if group.calibration is None else _calibration_json(group.calibration),
            "curves": {
                "strong_share": np.linspace(0, 1, len(next(iter(group.curves.values())))).round(4).tolist(),
                "quality": {name: curve.round(5).tolist() for name, curve in group.curves.items()},
            },
        }

    def _figures_json(self, figures: Mapping[str, Figures]) -> dict[str, Any]:
        differences: dict[str, Any] = {}
        for baseline in self.comparison.baselines:
            shared = [figure for figure in FIGURES if figure in figures[baseline]]
            differences[baseline] = {
                figure: _interval_json(self.comparison.difference(figures, baseline, figure)) for figure in shared
            }
        return {
            "figures": {
                name: {figure: _interval_json(found[figure].interval) for figure in FIGURES if figure in found}
                for name, found in figures.items()
            },
            "router_minus": differences,
        }


def _titled(title: str, body: str) -> str:
    return f"{title}\n{body}"


def _shown(found: Resampled | None) -> str:
    return NONE if found is None else between(found.interval)


def _value(found: Resampled | None, digits: int = 3) -> str:
    return NONE if found is None else number(found.value, digits)


def _mark(difference: Interval, figure: str) -> str:
    """Return what a difference of the router to a baseline says, in the words of `LEGEND`."""
    if not math.isfinite(difference.low):
        return " "
    if not (difference.above_zero or difference.below_zero):
        return "="
    return "+" if difference.above_zero == (figure in MORE_IS_BETTER) else "-"


def _calibration(found: Calibration) -> str:
    rows = [
        [f"{each.low:.1f} to {each.high:.1f}", str(each.rows), number(each.chance), number(each.observed)]
        for each in found.bins
    ]
    told = (
        f"\nexpected calibration error {found.error:.3f}, Brier score {found.brier:.3f}; on {found.rows} rows that "
        f"need the strong side or do not, {found.base_rate:.1%} of which do"
    )
    return table(["chance", "rows", "mean chance", "came true"], rows) + told


def _calibration_json(found: Calibration) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "expected_calibration_error": found.error,
        "brier": found.brier,
        "base_rate": found.base_rate,
        "bins": [
            {"low": each.low, "high": each.high, "rows": each.rows, "chance": each.chance, "observed": each.observed}
            for each in found.bins
        ],
    }


def _latency(microseconds: Sequence[float] | Any) -> dict[str, float]:
    p50, p99 = np.percentile(microseconds, [50, 99])
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1), "mean": round(float(np.mean(microseconds)), 1)}


def _interval_json(found: Interval) -> dict[str, float | None]:
    return {"value": _or_null(found.value), "low": _or_null(found.low), "high": _or_null(found.high)}


def _or_null(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
