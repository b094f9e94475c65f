"""A router as it decided traffic, judged by the feedback in a journal, without any prompt.

Traffic says how good an answer was, not how good the other side's would have been. So two things are asked, and what
cannot be told is left open: do the scores that were decided by, or plain counts, tell which answers of the weak side
were bad; and what would either side alone have scored, by comparing requests that look alike?
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signalbox.collector.journal.entry import FeedbackEntry, RequestEntry
from signalbox.collector.journal.feedback import GOOD_SCORE
from signalbox.collector.journal.read import JournalReader
from signalbox.errors import SetupError
from signalbox.evaluation.baselines import COMPOSITE, WORD_COUNT
from signalbox.evaluation.metrics import Floats, Interval, Order, Resampled, Resamples, Separation, bootstrap
from signalbox.evaluation.tables import NONE, between, number, table
from signalbox.features.journal import FIELDS

SCORE = "score decided by"
STRATA = 5
FEWEST = 5
"""Marked answers of a side in a stratum, below which its mean says nothing."""

_WORDS = FIELDS.index("words")


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """Requests with a mark, (rows,) each. quality: 0 to 1, as marked. to_strong: who answered. usd: NaN where unknown.

    signals: by name, what was known before deciding; NaN where it was not.
    """

    quality: Floats
    to_strong: NDArray[np.bool_]
    usd: Floats
    signals: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.quality)


@dataclass(frozen=True, slots=True, eq=False)
class JournalReport:
    """decided: requests that a side answered. quality, strong, weak: mean marks. always_strong, always_weak: reckoned
    by strata of equal complexity; None where a stratum lacks marked answers of the side. separation: AUROC of each
    signal for bad answers of the weak side. differences: of the first signal to the others.
    """

    router: str
    sides: tuple[tuple[str, ...], tuple[str, ...]]
    decided: int
    others: int
    marked: Marked
    quality: Interval
    strong: Interval | None
    weak: Interval | None
    always_strong: Interval | None
    always_weak: Interval | None
    separation: dict[str, Interval]
    differences: dict[str, Interval]
    bad_weak: int
    resamples: int

    @property
    def text(self) -> str:
        """Return the tables."""
        marked = self.marked
        share = float(marked.to_strong.mean())
        about = [
            f"router    {self.router or 'all of the journal'}: {share:.1%} of the marked requests to the strong side",
            f"strong    {', '.join(self.sides[0])}",
            f"weak      {', '.join(self.sides[1])}",
            f"requests  {len(marked)} marked of {self.decided} that either side answered"
            + (f"; {self.others} went elsewhere" if self.others else ""),
            f"interval  95 %, {self.resamples} resamples",
        ]
        sides = [
            ["as decided", str(len(marked)), between(self.quality), _usd(marked.usd)],
            ["answers of the strong side", *self._side(marked.to_strong, self.strong)],
            ["answers of the weak side", *self._side(~marked.to_strong, self.weak)],
            [
                "always strong, reckoned",
                NONE,
                NONE if self.always_strong is None else between(self.always_strong),
                NONE,
            ],
            ["always weak, reckoned", NONE, NONE if self.always_weak is None else between(self.always_weak), NONE],
        ]
        parts = ["\n".join(about), table(["", "marked", "mean mark", "USD/1000"], sides) + RECKONED]
        if self.separation:
            rows = [
                [name, between(found), between(self.differences[name], sign=True) if name in self.differences else NONE]
                for name, found in self.separation.items()
            ]
            told = f"\n{self.bad_weak} of {int((~marked.to_strong).sum())} marked answers of the weak side are bad"
            parts.append(
                "Which answers of the weak side are bad\n" + table(["", "AUROC", "first minus it"], rows) + told
            )
        else:
            parts.append("note: the weak side has no marked answers of both kinds; nothing can be said of any score")
        return "\n\n".join(parts)

    def _side(self, rows: NDArray[np.bool_], mean: Interval | None) -> list[str]:
        return [str(int(rows.sum())), NONE if mean is None else between(mean), _usd(self.marked.usd[rows])]

    @property
    def as_json(self) -> dict[str, Any]:
        """Return everything; what does not exist is null."""
        marked = self.marked
        return {
            "version": 1,
            "router": self.router or None,
            "strong": list(self.sides[0]),
            "weak": list(self.sides[1]),
            "decided": self.decided,
            "elsewhere": self.others,
            "marked": len(marked),
            "strong_share": float(marked.to_strong.mean()),
            "quality": _json(self.quality),
            "strong_answers": _json(self.strong),
            "weak_answers": _json(self.weak),
            "always_strong_reckoned": _json(self.always_strong),
            "always_weak_reckoned": _json(self.always_weak),
            "bad_weak_answers": self.bad_weak,
            "auroc_bad_weak_answers": {name: _json(found) for name, found in self.separation.items()},
            "first_minus": {name: _json(found) for name, found in self.differences.items()},
        }


RECKONED = (
    f"\nreckoned: mean marks of a side in {STRATA} strata of equal complexity, weighted by all requests; open where a "
    f"stratum has fewer than {FEWEST} marked answers of the side, as with a router that never tries"
)


def evaluate_journal(
    directory: Path,
    strong: Sequence[str],
    weak: Sequence[str],
    *,
    router: str = "",
    resamples: int = 1_000,
    seed: int = 0,
) -> JournalReport:
    """Judge the decisions of a journal by its marks.

    strong, weak: models of the policy that stand for a side. router: only its decisions. Raises SetupError without a
    journal, for models or routers that it does not have, and without a marked answer.
    """
    if not strong or not weak or set(strong) & set(weak):
        raise SetupError(
            "--journal needs two sides\n  expected: different models, joined by commas, after --strong and --weak\n"
            f"  fix: name some of {', '.join(_models(directory)) or 'the models of the policy'}"
        )
    decided, others, rows = 0, 0, []
    seen_models: Counter[str] = Counter()
    seen_routers: Counter[str] = Counter()
    for entry, mark in JournalReader(directory).marked():
        if entry.error or not entry.model:
            continue
        seen_models[entry.model] += 1
        seen_routers[entry.router] += 1
        if router and entry.router != router:
            continue
        if entry.model not in strong and entry.model not in weak:
            others += 1
            continue
        decided += 1
        if mark is not None and mark.score is not None:
            rows.append((entry, mark))
    if router and router not in seen_routers:
        known = ", ".join(name for name in seen_routers if name)
        raise SetupError(f"{directory}: router {router!r} decided nothing\n  expected: one of {known or 'none'}")
    unknown = [name for name in (*strong, *weak) if name not in seen_models]
    if unknown:
        raise SetupError(
            f"{directory}: {unknown[0]!r} answered nothing\n  expected: some of {', '.join(seen_models) or 'none'}"
        )
    if not rows:
        raise SetupError(
            f"{directory}: none of {decided} answers has a mark with a score\n  expected: feedback\n"
            "  fix: send marks to /v1/feedback, as docs/api.md says"
        )
    return _report(
        _marked(rows, frozenset(strong)), (tuple(strong), tuple(weak)), router, decided, others, resamples, seed
    )


def _report(
    marked: Marked,
    sides: tuple[tuple[str, ...], tuple[str, ...]],
    router: str,
    decided: int,
    others: int,
    resamples: int,
    seed: int,
) -> JournalReport:
    draws = Resamples(len(marked), resamples=resamples, seed=seed)
    strata = _strata(marked.signals[COMPOSITE])
    to_strong = marked.to_strong
    found = bootstrap(
        {
            "quality": lambda weights: _mean(weights, marked.quality, np.ones(len(marked), dtype=bool)),
            "strong": lambda weights: _mean(weights, marked.quality, to_strong),
            "weak": lambda weights: _mean(weights, marked.quality, ~to_strong),
            "always_strong": lambda weights: _reckoned(weights, marked.quality, to_strong, strata),
            "always_weak": lambda weights: _reckoned(weights, marked.quality, ~to_strong, strata),
        },
        draws,
    )
    weak_rows = np.flatnonzero(~to_strong)
    bad = marked.quality[weak_rows] < GOOD_SCORE
    separation, differences = _separation(marked, weak_rows, bad, resamples, seed)
    return JournalReport(
        router=router,
        sides=sides,
        decided=decided,
        others=others,
        marked=marked,
        quality=found["quality"].interval,
        strong=found["strong"].interval if to_strong.any() else None,
        weak=found["weak"].interval if not to_strong.all() else None,
        always_strong=found["always_strong"].interval if _told(to_strong, strata) else None,
        always_weak=found["always_weak"].interval if _told(~to_strong, strata) else None,
        separation=separation,
        differences=differences,
        bad_weak=int(bad.sum()),
        resamples=resamples,
    )


def _separation(
    marked: Marked, rows: NDArray[np.intp], bad: NDArray[np.bool_], resamples: int, seed: int
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Return AUROC of each signal that all rows have for bad answers, and how far the first is above the others."""
    if not bad.any() or bad.all():
        return {}, {}
    signals = {name: values[rows] for name, values in marked.signals.items() if np.isfinite(values[rows]).all()}
    measures = {name: Separation(Order(values), bad).auroc for name, values in signals.items()}
    found: dict[str, Resampled] = bootstrap(measures, Resamples(len(rows), resamples=resamples, seed=seed))
    first = next(iter(found))
    differences = {name: found[first].minus(other) for name, other in found.items() if name != first}
    return {name: each.interval for name, each in found.items()}, differences


def _marked(rows: Sequence[tuple[RequestEntry, FeedbackEntry]], strong: frozenset[str]) -> Marked:
    def column(values: Sequence[float | None]) -> Floats:
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)

    entries = [entry for entry, _ in rows]
    return Marked(
        quality=column([mark.score for _, mark in rows]),
        to_strong=np.array([entry.model in strong for entry in entries]),
        usd=column([entry.usd for entry in entries]),
        signals={
            SCORE: column([entry.score for entry in entries]),
            COMPOSITE: column([entry.complexity for entry in entries]),
            WORD_COUNT: column([entry.features[_WORDS] if len(entry.features) > _WORDS else None for entry in entries]),
            "prompt tokens": column([float(entry.estimate_tokens) for entry in entries]),
        },
    )


def _strata(complexity: Floats) -> NDArray[np.intp]:
    """Return the stratum of each row: fifths of the complexity, equal values together, the unmeasured by themselves."""
    measured = np.isfinite(complexity)
    strata = np.full(len(complexity), STRATA, dtype=np.intp)
    if measured.any():
        edges = np.unique(np.quantile(complexity[measured], np.linspace(0, 1, STRATA + 1)[1:-1]))
        strata[measured] = np.searchsorted(edges, complexity[measured], side="right")
    return strata


def _told(side: NDArray[np.bool_], strata: NDArray[np.intp]) -> bool:
    return all(int(side[strata == number].sum()) >= FEWEST for number in np.unique(strata))


def _reckoned(weights: Floats, quality: Floats, side: NDArray[np.bool_], strata: NDArray[np.intp]) -> Floats:
    total: Floats = np.zeros(len(weights))
    for stratum in np.unique(strata):
        inside = strata == stratum
        total += (weights @ inside.astype(np.float64)) * _mean(weights, quality, side & inside)
    total /= weights.sum(axis=1)
    return total


def _mean(weights: Floats, values: Floats, among: NDArray[np.bool_]) -> Floats:
    total = weights @ among.astype(np.float64)
    mean: Floats = np.full(len(weights), np.nan)
    np.divide(weights @ np.where(among, values, 0.0), total, out=mean, where=total > 0)
    return mean


def _models(directory: Path) -> list[str]:
    counted = Counter(
        entry.model for entry in JournalReader(directory) if isinstance(entry, RequestEntry) and entry.model
    )
    return [name for name, _ in counted.most_common()]


def _usd(values: Floats) -> str:
    known = values[np.isfinite(values)]
    return number(float(known.mean()) * 1_000, 4) if len(known) else NONE


def _json(found: Interval | None) -> dict[str, float | None] | None:
    if found is None or not math.isfinite(found.value):
        return None
    low, high = (value if math.isfinite(value) else None for value in (found.low, found.high))
    return {"value": found.value, "low": low, "high": high}
