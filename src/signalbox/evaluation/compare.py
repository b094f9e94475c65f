"""A router and its baselines on the same rows: every figure by source, as a macro average, and over all rows at once.

All are asked about the same resamples, so any two can be compared; sources are drawn each on its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalbox.evaluation.baselines import best_single
from signalbox.evaluation.calibration import Calibration, calibrate
from signalbox.evaluation.costs import Costs
from signalbox.evaluation.metrics import (
    Floats,
    Interval,
    Measure,
    Order,
    Ranking,
    Resampled,
    Resamples,
    Separation,
    bootstrap,
    mean_of,
)
from signalbox.evaluation.records import NEEDS_STRONG, WEAK_OK, Records
from signalbox.evaluation.routers import Said, Verdicts, nobody

RANDOM, ALWAYS_WEAK, ALWAYS_STRONG, ORACLE = "random", "always weak", "always strong", "oracle"

AUROC, APGR, CPT_50, CPT_80, COST_95 = "auroc", "apgr", "cpt_50", "cpt_80", "cost_at_95"
QUALITY, COST, REGRET = "quality", "cost", "regret"
FIGURES = (AUROC, APGR, CPT_50, CPT_80, COST_95, QUALITY, COST, REGRET)
MORE_IS_BETTER = frozenset({AUROC, APGR, QUALITY})

ALL_ROWS = "all rows"
OF_STRONG = 0.95
CURVE_POINTS = 101

Figures = Mapping[str, Resampled]


@dataclass(frozen=True, slots=True, eq=False)
class SourceFacts:
    """What a source is like, whoever routes. best_model, best_quality: chosen with hindsight; empty and NaN without."""

    rows: int
    strong_quality: float
    weak_quality: float
    needs_strong: int
    weak_ok: int
    unsolved: int
    best_model: str
    best_quality: float


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Rows that are judged together: a source, or all. figures, curves: by contender.

    curves: (CURVE_POINTS,), quality at strong shares from 0 to 1. strong_share: of the router as it is set.
    unsure: share of prompts on which the router would not say.
    """

    name: str
    facts: SourceFacts
    figures: Mapping[str, Figures]
    curves: Mapping[str, Floats]
    strong_share: float
    unsure: float
    calibration: Calibration | None


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """router: its name. baselines: theirs, rankings first. macro: plain means over the sources. pooled: all rows."""

    router: str
    baselines: tuple[str, ...]
    sources: tuple[Group, ...]
    macro: Mapping[str, Figures]
    pooled: Group

    def difference(self, figures: Mapping[str, Figures], baseline: str, figure: str) -> Interval:
        """Return router minus baseline, paired."""
        return figures[self.router][figure].minus(figures[baseline][figure])


@dataclass(frozen=True, slots=True, eq=False)
class _Contender:
    """scores: a ranking; None without. chosen: sides; None for the highest scores first, at the router's share."""

    name: str
    scores: Floats | None
    chosen: NDArray[np.bool_] | None


def with_choice(verdicts: Verdicts, threshold: float | None, target_share: float | None) -> Verdicts:
    """Return verdicts with a side for each prompt: as the router is set, or as asked for here.

    threshold: on the scores. target_share: of the prompts, those with the highest scores, equal scores together. By
    default the router's own sides, a threshold of 0.5 on chances, and half of the prompts of a mere ranking.
    """
    if threshold is None and target_share is None:
        if verdicts.chosen is not None:
            return verdicts
        threshold, target_share = (0.5, None) if verdicts.is_chance else (None, 0.5)
    if target_share is not None:
        threshold = float("inf") if target_share <= 0 else float(np.quantile(verdicts.scores, 1 - target_share))
    chosen = verdicts.scores >= (threshold if threshold is not None else 0.5)
    return Verdicts(
        verdicts.name,
        verdicts.scores,
        chosen,
        verdicts.is_chance,
        verdicts.unsure,
        verdicts.microseconds,
        verdicts.reasons,
        verdicts.notes,
    )


def compare(
    records: Records,
    router: Verdicts,
    baselines: Sequence[Verdicts],
    costs: Costs,
    *,
    resamples: int = 1_000,
    seed: int = 0,
    said: Said = nobody,
) -> Comparison:
    """Compare a router, whose sides are chosen, with rankings and with what needs no ranking.

    said: told how many groups of rows are done: the sources, then all rows.
    """
    assert router.chosen is not None
    gain = records.strong - records.weak
    everywhere, nowhere = np.ones(len(records), dtype=bool), np.zeros(len(records), dtype=bool)
    contenders = [
        _Contender(router.name, router.scores, router.chosen),
        *[_Contender(each.name, each.scores, None) for each in baselines],
        _Contender(RANDOM, np.zeros(len(records)), None),
        _Contender(ALWAYS_WEAK, None, nowhere),
        _Contender(ALWAYS_STRONG, None, everywhere),
        _Contender(ORACLE, gain, gain > 0),
    ]
    groups = []
    for number, source in enumerate(records.source_names):
        rows = records.rows_of(source)
        groups.append(_judge(source, records, rows, contenders, router, costs, resamples, (seed, number)))
        said(number + 1)
    every = np.arange(len(records))
    pooled = groups[0]
    if len(groups) > 1:
        pooled = _judge(ALL_ROWS, records, every, contenders, router, costs, resamples, (seed, len(groups)))
    said(len(groups) + 1)
    macro = {
        contender.name: {
            figure: mean_of([group.figures[contender.name][figure] for group in groups])
            for figure in groups[0].figures[contender.name]
        }
        for contender in contenders
    }
    return Comparison(router.name, tuple(each.name for each in contenders[1:]), tuple(groups), macro, pooled)


def _judge(
    name: str,
    records: Records,
    rows: NDArray[np.intp],
    contenders: Sequence[_Contender],
    router: Verdicts,
    costs: Costs,
    resamples: int,
    seed: tuple[int, int],
) -> Group:
    assert router.chosen is not None
    strong, weak, labels = records.strong[rows], records.weak[rows], records.labels[rows]
    field = _Field(strong, weak, labels, costs.strong[rows], costs.weak[rows], router.chosen[rows].astype(np.float64))
    measures: dict[str, Measure] = {}
    curves = {}
    points = np.linspace(0.0, 1.0, CURVE_POINTS)
    for contender in contenders:
        scores = None if contender.scores is None else contender.scores[rows]
        chosen = None if contender.chosen is None else contender.chosen[rows].astype(np.float64)
        for figure, measure in field.measures(scores, chosen).items():
            measures[f"{contender.name}\n{figure}"] = measure
        if scores is not None:
            curve = Ranking(scores, strong, weak).curve()
            curves[contender.name] = np.interp(points, curve.shares, curve.quality)
    draws = Resamples(
        len(rows),
        strata=[records.sources[row] for row in rows],
        units=[records.prompts[row].strip() for row in rows],
        resamples=resamples,
        seed=seed,
    )
    figures: dict[str, dict[str, Resampled]] = {}
    for key, found in bootstrap(measures, draws).items():
        contender_name, _, figure = key.partition("\n")
        figures.setdefault(contender_name, {})[figure] = found
    best = best_single(records, rows) or ("", float("nan"))
    facts = SourceFacts(
        rows=len(rows),
        strong_quality=float(strong.mean()),
        weak_quality=float(weak.mean()),
        needs_strong=int((labels == NEEDS_STRONG).sum()),
        weak_ok=int((labels == WEAK_OK).sum()),
        unsolved=int(((labels != NEEDS_STRONG) & (labels != WEAK_OK)).sum()),
        best_model=best[0],
        best_quality=best[1],
    )
    told = np.isin(labels, (NEEDS_STRONG, WEAK_OK))
    chances = calibrate(router.scores[rows][told], labels[told] == NEEDS_STRONG) if router.is_chance else None
    unsure = 0.0 if router.unsure is None else float(router.unsure[rows].mean())
    return Group(name, facts, figures, curves, float(router.chosen[rows].mean()), unsure, chances)


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """The rows of a group, and how figures of a contender on them are measured. (rows,) each."""

    strong: Floats
    weak: Floats
    labels: NDArray[np.int8]
    strong_cost: Floats
    weak_cost: Floats
    to_strong: Floats  # 1 where the router takes the strong side

    def measures(self, scores: Floats | None, chosen: Floats | None) -> dict[str, Measure]:
        """Return measures by figure; without scores, only those of the sides that were chosen."""
        found: dict[str, Measure] = {}
        ranking: Ranking | None = None
        if scores is not None:
            order = Order(scores)
            ranking = Ranking(order, self.strong, self.weak)
            found |= self._of_ranking(ranking, order)
        if chosen is not None:
            quality = np.where(chosen > 0, self.strong, self.weak)
            cost = np.where(chosen > 0, self.strong_cost, self.weak_cost)
            found[QUALITY] = lambda weights: _mean(weights, quality)
            found[COST] = lambda weights: _mean(weights, cost)
        elif ranking is not None:
            at_share = ranking
            found[QUALITY] = lambda weights: at_share.mean_at(weights, _mean(weights, self.to_strong))
            found[COST] = lambda weights: at_share.mean_at(
                weights, _mean(weights, self.to_strong), self.strong_cost, self.weak_cost
            )
        best = np.maximum(self.strong, self.weak)
        reached = found[QUALITY]
        found[REGRET] = lambda weights: _mean(weights, best) - reached(weights)
        return found

    def _of_ranking(self, ranking: Ranking, order: Order) -> dict[str, Measure]:
        separation = Separation(order, self.labels == NEEDS_STRONG, self.labels == WEAK_OK)
        return {
            AUROC: separation.auroc,
            APGR: ranking.apgr,
            CPT_50: lambda weights: ranking.cpt(weights, 0.5),
            CPT_80: lambda weights: ranking.cpt(weights, 0.8),
            COST_95: lambda weights: ranking.mean_at(
                weights, ranking.share_at_quality(weights, OF_STRONG), self.strong_cost, self.weak_cost
            ),
        }


def _mean(weights: Floats, values: Floats) -> Floats:
    total = weights.sum(axis=1)
    mean: Floats = (weights @ values) / total
    return mean
