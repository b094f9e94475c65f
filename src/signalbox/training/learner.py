"""Heads fitted to an operator's labels: gain, success of each tier, success of each model.

All are ridge regressions on the same columns (brain.learned): the vector, surface columns and the general score count
linearly, bumps around landmarks say what is special about a kind of prompt. The penalty of each is the one with the
least error on rows left out, so few labels stay near the general score, and many leave it behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.capability import Capability
from signalbox.brain.learned import (
    BUMP,
    GAIN,
    STRONG_HEAD,
    WEAK_HEAD,
    Learned,
    View,
    logit,
)
from signalbox.brain.surface import COLUMNS, columns
from signalbox.evaluation.records import GOOD
from signalbox.training.linear import Smoother, logistic, spread_rows
from signalbox.training.prompts import Seen

Floats = NDArray[np.float64]

LANDMARKS = 128
"""At most: they cost a request some 10 us then. Twice as many win 0.007 APGR at most, with 2,000 labels."""
LINEAR_VECTOR, LINEAR_REST, LINEAR_GENERAL = 0.22, 1.8, 6.0
"""How much each part counts beside the bumps: scales of the linear columns. With these, the surface columns weigh as
much as the vector does."""
REGRESSIONS_KEPT = 4  # models are often scored on the same rows; of 20,000 rows, one holds 130 MB
LEAST_OF_A_MODEL = 20  # scores of one model, below which it has no head of its own
UNFAMILIAR, FAMILIAR = 0.005, 0.10
"""Shares of labelled rows that are further from all others; below the first by a factor of e, a text is unlike all."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Prompts with outcomes, 0 to 1. strong, weak: (rows,), NaN where that side was not tried. scores: by model."""

    prompts: tuple[str, ...]
    strong: Floats
    weak: Floats
    scores: tuple[Mapping[str, float], ...]

    def __len__(self) -> int:
        return len(self.prompts)

    def only(self, rows: NDArray[np.intp]) -> Labels:
        pick = [int(row) for row in rows]
        return Labels(
            tuple(self.prompts[row] for row in pick),
            self.strong[pick],
            self.weak[pick],
            tuple(self.scores[row] for row in pick),
        )

    @property
    def paired(self) -> NDArray[np.bool_]:
        """(rows,): both sides were tried."""
        return np.isfinite(self.strong) & np.isfinite(self.weak)


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """What a fit made, as a bundle holds it."""

    view: View
    landmarks: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    models: tuple[str, ...]
    chance: tuple[float, float]
    familiar: tuple[float, float]

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "mean": np.array(self.view.mean),
            "spread": np.array(self.view.spread),
            "landmarks": self.landmarks,
            "weights": self.weights,
            "bias": self.bias,
        }

    def open(self, general: Capability) -> Learned:
        """Return the heads as they run."""
        return Learned(
            general,
            self.view,
            self.landmarks,
            self.weights,
            self.bias,
            models=self.models,
            chance=self.chance,
            familiar=self.familiar,
            recommended=True,
        )


def fit(labels: Labels, seen: Seen, general: Capability, *, each_model: bool = True) -> Heads:
    """Fit heads. Some row has an outcome of the strong side and some row of the weak one.

    each_model: without, only those of the sides, for whoever wants nothing else.
    """
    merged, firsts, counts = merge(labels)
    vectors = seen.vectors[firsts]
    features = [seen.features[int(row)] for row in firsts]
    scores = np.array([logit(general.need(v, f).strong) for v, f in zip(vectors, features, strict=True)])
    told = np.column_stack([np.array([columns(each) for each in features]), scores])
    spread = told.std(axis=0)
    view = View(tuple(told.mean(axis=0).tolist()), tuple(np.where(spread > 1e-9, spread, 1.0).tolist()))
    rows = np.array([view.row(v, f, s) for v, f, s in zip(vectors, features, scores, strict=True)], np.float64)
    chosen = spread_rows(rows, LANDMARKS)
    basis = _Basis(rows[chosen])
    design = _Design(basis.columns(rows), counts)
    heads, gain = _tier_heads(merged, design)
    models = tuple(sorted(_models(merged))) if each_model else ()
    if models:
        common = _common_head(merged, design)
        heads += [_model_head(merged, model, design, common) for model in models]
    weights = np.array([basis.fold(found) for found, _ in heads])
    return Heads(
        view,
        rows[chosen].astype(np.float32),
        weights.astype(np.float32),
        np.array([bias for _, bias in heads], np.float32),
        models,
        _chance(merged, gain, counts),
        _familiar(rows, chosen),
    )


def merge(labels: Labels) -> tuple[Labels, NDArray[np.intp], Floats]:
    """Make rows with the same prompt one row with their mean outcome.

    Returns the labels, the place of each prompt's first row, and how many rows it had.
    """
    groups: dict[str, list[int]] = {}
    for row, prompt in enumerate(labels.prompts):
        groups.setdefault(prompt.strip(), []).append(row)
    firsts = np.array([rows[0] for rows in groups.values()], dtype=np.intp)
    merged = Labels(
        tuple(labels.prompts[int(row)] for row in firsts),
        np.array([_mean(labels.strong[rows]) for rows in groups.values()]),
        np.array([_mean(labels.weak[rows]) for rows in groups.values()]),
        tuple(_mean_scores([labels.scores[row] for row in rows]) for rows in groups.values()),
    )
    return merged, firsts, np.array([len(rows) for rows in groups.values()], np.float64)


class _Basis:
    """Linear columns, and bumps turned so that a ridge on them is one in the space of the bumps (Nystroem)."""

    def __init__(self, landmarks: Floats) -> None:
        self._landmarks = landmarks
        size = landmarks.shape[1]
        rest = len(COLUMNS) + 1
        self._scale = np.concatenate(
            [np.full(size - rest, LINEAR_VECTOR), np.full(rest - 1, LINEAR_REST), [LINEAR_GENERAL]]
        )
        values, vectors = np.linalg.eigh(_bumps(landmarks, landmarks))
        kept = values > 1e-6 * values.max()
        self._turn = vectors[:, kept] / np.sqrt(values[kept])

    def columns(self, rows: Floats) -> Floats:
        return np.hstack([rows * self._scale, _bumps(rows, self._landmarks) @ self._turn])

    def fold(self, found: Floats) -> Floats:
        """Return coefficients of `columns` as those of row and bumps: (row + landmarks,)."""
        size = len(self._scale)
        return np.concatenate([found[:size] * self._scale, self._turn @ found[size:]])


class _Design:
    """Columns of all rows, and regressions on those of them that have an outcome."""

    def __init__(self, rows: Floats, counts: Floats) -> None:
        self._rows, self._counts = rows, counts
        self._known: dict[bytes, Smoother] = {}

    def on(self, used: NDArray[np.bool_]) -> Smoother:
        key = used.tobytes()
        if key not in self._known:
            if len(self._known) >= REGRESSIONS_KEPT:  # the last goes: the first ones are of the sides
                del self._known[list(self._known)[-1]]
            self._known[key] = Smoother(self._rows[used], self._counts[used])
        return self._known[key]


def _tier_heads(labels: Labels, design: _Design) -> tuple[list[tuple[Floats, float]], Floats]:
    """Return the heads for gain, strong and weak, in their order, and what each row left out gains."""
    sides = {}
    for place, outcome in ((STRONG_HEAD, labels.strong), (WEAK_HEAD, labels.weak)):
        used = np.isfinite(outcome)
        smoother = design.on(used)
        penalty = smoother.best(outcome[used])
        left_out = np.full(len(labels), np.nan)
        left_out[used] = smoother.left_out(outcome[used], penalty)
        sides[place] = (smoother.fit(outcome[used], penalty), left_out)
    paired = labels.paired
    if paired.sum() >= LEAST_OF_A_MODEL:
        smoother, gained = design.on(paired), (labels.strong - labels.weak)[paired]
        penalty = smoother.best(gained)
        gain = np.full(len(labels), np.nan)
        gain[paired] = smoother.left_out(gained, penalty)
        head = smoother.fit(gained, penalty)
    else:  # feedback: a request was answered by one side alone
        (strong, strong_bias), (weak, weak_bias) = sides[STRONG_HEAD][0], sides[WEAK_HEAD][0]
        head = (strong - weak, strong_bias - weak_bias)
        gain = 1.0 - sides[WEAK_HEAD][1]
    found = {GAIN: head, STRONG_HEAD: sides[STRONG_HEAD][0], WEAK_HEAD: sides[WEAK_HEAD][0]}
    return [found[place] for place in sorted(found)], gain


def _models(labels: Labels) -> list[str]:
    counts: dict[str, int] = {}
    for each in labels.scores:
        for name in each:
            counts[name] = counts.get(name, 0) + 1
    return [name for name, count in counts.items() if count >= LEAST_OF_A_MODEL]


class _CommonHead(NamedTuple):
    """What the answers of all models have in common: a head of how much better than usual models do.

    predicted: (rows,), what it says of each row without having seen it, NaN where no model was tried.
    """

    weights: Floats
    bias: float
    predicted: Floats


def _common_head(labels: Labels, design: _Design) -> _CommonHead:
    common, middle = _common(labels)
    everywhere = np.isfinite(common)
    shared = design.on(everywhere)
    penalty = shared.best(common[everywhere])
    weights, bias = shared.fit(common[everywhere], penalty)
    predicted = np.full(len(labels), np.nan)
    predicted[everywhere] = shared.left_out(common[everywhere], penalty) - middle
    return _CommonHead(weights, bias - middle, predicted)


def _model_head(labels: Labels, model: str, design: _Design, common: _CommonHead) -> tuple[Floats, float]:
    """Return a model's head: what its answers have in common with those of all models, and what sets it apart.

    Each part has a penalty of its own, as a factorisation of models by prompts has for factors of falling weight: a
    model with few scores is the common head at its own level.
    """
    used = np.array([model in each for each in labels.scores])
    outcome = np.array([each.get(model, math.nan) for each in labels.scores])[used]
    level = float(outcome.mean())
    rest = outcome - level - common.predicted[used]
    own = design.on(used)
    apart, apart_bias = own.fit(rest, own.best(rest))
    return common.weights + apart, common.bias + apart_bias + level


def _common(labels: Labels) -> tuple[Floats, float]:
    """Return how much better than usual models do on each row, (rows,), NaN where none was tried; and its mean."""
    sums: dict[str, list[float]] = {}
    for each in labels.scores:
        for name, score in each.items():
            sums.setdefault(name, []).append(score)
    usual = {name: sum(found) / len(found) for name, found in sums.items()}
    values = [
        _mean(np.array([score - usual[name] for name, score in each.items()])) if each else math.nan
        for each in labels.scores
    ]
    common = np.array(values)
    return common, float(np.nanmean(common))


def _chance(labels: Labels, gain: Floats, counts: Floats) -> tuple[float, float]:
    """Return scale and bias that make a gain the chance that only the strong side gets it right."""
    paired = labels.paired
    if paired.sum() >= LEAST_OF_A_MODEL:
        asked = paired & ((labels.weak >= GOOD) | (labels.strong >= GOOD))
    else:
        asked = np.isfinite(labels.weak)
    asked &= np.isfinite(gain)
    needed = (labels.weak[asked] < GOOD).astype(np.float64)
    scale, bias = logistic(gain[asked][:, None], needed, counts[asked], strength=1e-2)
    # Rows left out that point the other way: too little was learned to turn the order round.
    return max(float(scale), 1e-3), float(bias)


def _familiar(rows: Floats, chosen: NDArray[np.intp]) -> tuple[float, float]:
    """Return the logarithms of the nearest bump that count as unlike all labels, and as like them."""
    near = _bumps(rows, rows[chosen])
    near[chosen, np.arange(len(chosen))] = 0.0  # nobody is familiar for being itself
    nearest = np.log(np.maximum(near.max(axis=1), 1e-30))
    low, high = float(np.quantile(nearest, UNFAMILIAR)) - 1.0, float(np.quantile(nearest, FAMILIAR))
    return low, max(high, low + 0.1)


def _bumps(rows: Floats, landmarks: Floats) -> Floats:
    apart = (
        np.einsum("ij,ij->i", rows, rows)[:, None]
        + np.einsum("ij,ij->i", landmarks, landmarks)
        - 2.0 * rows @ landmarks.T
    )
    return np.asarray(np.exp(-BUMP * np.maximum(apart, 0.0)), np.float64)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _mean_scores(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for each in rows:
        for name, score in each.items():
            found.setdefault(name, []).append(score)
    return {name: sum(values) / len(values) for name, values in found.items()}
