"""Prompts with known outcomes, read from JSON Lines and checked: every problem with its line, none with its prompt.

One object a line, plain or gzip-compressed:

    {"prompt": "...", "scores": {"model-a": 1, "model-b": 0.5}, "p_strong": 0.9, "p_weak": 0.4, "source": "tickets"}

Only `prompt` and some outcome are needed: `scores` of at least two models, or `p_strong` and `p_weak`, the mean scores
of two tiers. docs/eval.md has the members, and what is made of scores on other scales.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.errors import DataError
from signalbox.evaluation.lines import Row, read_rows

Floats = NDArray[np.float64]

NEEDS_STRONG, WEAK_OK, NEITHER = 1, 0, -1
"""Labels: only the strong side gets it right; the weak side does; neither does."""

LABELS = {"needs_strong": NEEDS_STRONG, "weak_ok": WEAK_OK, "unsolved": NEITHER}
GOOD = 0.5
"""A mean score from which an answer counts as right, as in the labels of the record format."""

STRONG_TIER, WEAK_TIER = "strong", "weak"


@dataclass(frozen=True, slots=True)
class Scale:
    """What scores of a source lie on: `low` becomes 0, `high` becomes 1."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    def unit(self, score: float) -> float:
        return (score - self.low) / (self.high - self.low)


UNIT = Scale(0.0, 1.0)
JUDGE = Scale(1.0, 10.0)
SCALES = (UNIT, JUDGE, Scale(0.0, 10.0), Scale(0.0, 100.0))
"""Scales that are recognised, in the order in which they are tried: the first that all scores of a source lie on."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was noticed about the data. Counts of rows.

    rows: that were asked for. in_files: all there are. no_outcome: without an outcome of either side, left out, by
    source. repeated: whose prompt was there before. contradictory: in groups of equal prompts that say different
    things. scales: of sources that are not on 0 to 1.
    """

    rows: int = 0
    in_files: int = 0
    no_outcome: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    contradictory: int = 0
    scales: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Rows in file order, those without an outcome left out.

    strong, weak: (rows,), mean score of each side, 0..1, higher is better. labels: (rows,), see LABELS.
    scores: of every model of a row, 0..1. strong_name, weak_name: the sides, as asked for.
    """

    prompts: tuple[str, ...]
    sources: tuple[str, ...]
    splits: tuple[str, ...]  # empty where a row says none
    ids: tuple[str, ...]
    places: NDArray[np.intp]  # which of all rows of the files each one is, from 0
    strong: Floats
    weak: Floats
    labels: NDArray[np.int8]
    scores: tuple[Mapping[str, float], ...]
    strong_name: str
    weak_name: str
    found: Found

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def source_names(self) -> tuple[str, ...]:
        """Sources, in the order of their first rows."""
        return tuple(dict.fromkeys(self.sources))

    def rows_of(self, source: str) -> NDArray[np.intp]:
        """Return which rows are of a source."""
        return np.flatnonzero(np.array([name == source for name in self.sources]))

    def only(self, rows: NDArray[np.intp]) -> Records:
        """Return some of the rows; what was found about the file stays as it is."""
        pick = [int(row) for row in rows]
        return replace(
            self,
            prompts=tuple(self.prompts[row] for row in pick),
            sources=tuple(self.sources[row] for row in pick),
            splits=tuple(self.splits[row] for row in pick),
            ids=tuple(self.ids[row] for row in pick),
            places=self.places[pick],
            strong=self.strong[pick],
            weak=self.weak[pick],
            labels=self.labels[pick],
            scores=tuple(self.scores[row] for row in pick),
        )


def read_records(
    paths: Path | Sequence[Path],
    strong: str | None = None,
    weak: str | None = None,
    *,
    scale: Scale | None = None,
    split: str | None = None,
) -> Records:
    """Read prompts with the outcomes of a strong and a weak side.

    strong, weak: a model's name in `scores`, several joined by commas (their mean), or None for the tiers in `p_strong`
    and `p_weak`. scale: of all scores; by default recognised for each source. split: only rows that say this one.
    Raises DataError, with every problem, for unreadable files, rows that cannot be used, names no row has, and
    when no row has an outcome.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    every = [row for file in files for row in read_rows(file)]
    numbered = [(place, row) for place, row in enumerate(every) if split is None or row.split == split]
    rows = [row for _, row in numbered]
    where = ", ".join(map(str, files))
    if every and not rows:
        raise DataError.single(where, f"no row with split {split!r}", fix="leave --split out, or name another")
    if not rows:
        raise DataError.single(where, "no rows", expected="one JSON object with a prompt and its outcomes a line")
    scales = _scales(rows, scale, where)
    scores = [{name: scales[row.source].unit(value) for name, value in row.scores.items()} for row in rows]
    strong_of = _side(strong, STRONG_TIER, rows, scores, where)
    weak_of = _side(weak, WEAK_TIER, rows, scores, where)
    if strong_of.name == weak_of.name:
        raise DataError.single(
            where, f"both sides are {strong_of.name!r}", fix="name two different models with --strong and --weak"
        )
    pairs = zip(rows, scores, strict=True)
    outcomes = [(strong_of.outcome(row, each), weak_of.outcome(row, each)) for row, each in pairs]
    kept = [number for number, pair in enumerate(outcomes) if None not in pair]
    if not kept:
        raise DataError.single(
            where,
            f"no row has an outcome of both {strong_of.name!r} and {weak_of.name!r}",
            expected="rows in which both were tried",
            fix="name two models that answered the same prompts",
        )
    own_labels = strong_of.models == () and weak_of.models == ()
    strong_column = np.array([outcomes[number][0] for number in kept], dtype=np.float64)
    weak_column = np.array([outcomes[number][1] for number in kept], dtype=np.float64)
    labels = np.array(
        [
            LABELS[rows[number].label] if own_labels and rows[number].label else _label(good, poor)
            for number, good, poor in zip(kept, strong_column, weak_column, strict=True)
        ],
        dtype=np.int8,
    )
    prompts = tuple(rows[number].prompt for number in kept)
    left_out = Counter(row.source for number, row in enumerate(rows) if None in outcomes[number])
    repeated, contradictory = _repeats(prompts, strong_column, weak_column)
    return Records(
        prompts=prompts,
        sources=tuple(rows[number].source for number in kept),
        splits=tuple(rows[number].split for number in kept),
        ids=tuple(rows[number].id for number in kept),
        places=np.array([numbered[number][0] for number in kept], dtype=np.intp),
        strong=strong_column,
        weak=weak_column,
        labels=labels,
        scores=tuple(scores[number] for number in kept),
        strong_name=strong_of.name,
        weak_name=weak_of.name,
        found=Found(
            rows=len(rows),
            in_files=len(every),
            no_outcome=dict(left_out),
            repeated=repeated,
            contradictory=contradictory,
            scales={source: str(found) for source, found in scales.items() if found != UNIT},
        ),
    )


def read_prompts(path: Path) -> list[str]:
    """Return the prompt of every row, in file order; nothing else is looked at. Raises DataError."""
    prompts = [row.prompt for row in read_rows(path, outcomes=False)]
    if not prompts:
        raise DataError.single(str(path), "no rows", expected='one JSON object with a "prompt" a line')
    return prompts


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two that a prompt may go to. models: their mean score is its outcome; none: it is the row's own."""

    name: str
    tier: str
    models: tuple[str, ...]

    def outcome(self, row: Row, scores: Mapping[str, float]) -> float | None:
        if not self.models:
            return row.p_strong if self.tier == STRONG_TIER else row.p_weak
        known = [scores[name] for name in self.models if name in scores]
        return math.fsum(known) / len(known) if known else None


def _side(
    wanted: str | None, tier: str, rows: Sequence[Row], scores: Sequence[Mapping[str, float]], where: str
) -> _Side:
    means = _means(scores)
    if wanted is None or (wanted == tier and wanted not in means):
        if any((row.p_strong if tier == STRONG_TIER else row.p_weak) is not None for row in rows):
            return _Side(f"{tier} tier", tier, ())
        if len(means) == 2:
            ranked = sorted(means, key=lambda name: (means[name], name))
            name = ranked[1] if tier == STRONG_TIER else ranked[0]
            return _Side(name, tier, (name,))
        raise DataError.single(
            where,
            f"no row says p_{tier}, and which of {len(means)} models is the {tier} one is not clear",
            expected=f"a model's name after --{tier}; mean scores: {_listed(means)}"
            if means
            else "`scores` in the rows",
            fix=f"name the {tier} model with --{tier}",
        )
    names = tuple(dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()))
    # A model's own name may hold a comma; then it is not a list.
    names = (wanted,) if wanted in means else names
    unknown = [name for name in names if name not in means]
    if unknown or not names:
        near = get_close_matches(unknown[0], means, 1) if unknown else []
        raise DataError.single(
            where,
            f"--{tier} {wanted!r}: no row has a score of {unknown[0] if unknown else wanted!r}",
            expected=f"one of {_listed(means)}",
            fix=f"did you mean {near[0]!r}?" if near else "name a model that is in `scores`",
        )
    return _Side(wanted, tier, names)


def _means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    values: defaultdict[str, list[float]] = defaultdict(list)
    for each in scores:
        for name, value in each.items():
            values[name].append(value)
    return {name: math.fsum(found) / len(found) for name, found in values.items()}


def _listed(means: Mapping[str, float], most: int = 12) -> str:
    best = sorted(means, key=lambda name: (-means[name], name))
    told = ", ".join(f"{name} ({means[name]:.2f})" for name in best[:most])
    return told + (f" and {len(best) - most} more" if len(best) > most else "")


def _scales(rows: Sequence[Row], given: Scale | None, where: str) -> dict[str, Scale]:
    """Return the scale of each source. Raises DataError where scores lie on none that is known."""
    ends: dict[str, tuple[float, float]] = {}
    for row in rows:
        low, high = ends.get(row.source, (math.inf, -math.inf))
        ends[row.source] = (min([low, *row.scores.values()]), max([high, *row.scores.values()]))
    found: dict[str, Scale] = {}
    for source, (low, high) in ends.items():
        tried = SCALES if given is None else (given,)
        fitting = [scale for scale in tried if low > high or (scale.low <= low and high <= scale.high)]
        if not fitting:
            raise DataError.single(
                where,
                f"source {source!r} has scores from {low:g} to {high:g}",
                expected=" or ".join(map(str, tried)),
                fix="say the ends of their scale with --scale LOW:HIGH",
            )
        found[source] = fitting[0]
    return found


def _label(strong: float, weak: float) -> int:
    if weak >= GOOD:
        return WEAK_OK
    return NEEDS_STRONG if strong >= GOOD else NEITHER


def _repeats(prompts: Sequence[str], strong: Floats, weak: Floats) -> tuple[int, int]:
    """Return how many rows repeat a prompt, and how many are in groups that say different things of one prompt."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        groups[prompt.strip()].append(row)
    several = [group for group in groups.values() if len(group) > 1]
    odd = [group for group in several if len({_label(strong[row], weak[row]) for row in group}) > 1]
    return sum(len(group) - 1 for group in several), sum(map(len, odd))
