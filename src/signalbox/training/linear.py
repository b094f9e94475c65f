"""The few fits that heads need, in plain numpy: ridge, logistic, centres. The same input makes the same numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ridge(columns: Floats, target: Floats, weights: Floats, strength: float) -> Floats:
    """Return the direction b that minimises sum(weights * (target - columns @ b)^2) + penalty * |b|^2.

    columns: (rows, n) and target: (rows,), both centred already. strength: the penalty, in units of the mean weighted
    variance of a column, so that it means the same whatever the scale. Returns (n,).
    """
    shares = np.asarray(weights / weights.sum(), np.float64)
    gram = np.asarray((columns * shares[:, None]).T @ columns, np.float64)
    penalty = strength * float(np.trace(gram)) / len(gram)
    return np.asarray(np.linalg.solve(gram + penalty * np.eye(len(gram)), columns.T @ (shares * target)), np.float64)


def logistic(columns: Floats, target: Floats, weights: Floats, *, strength: float = 1e-3, steps: int = 50) -> Floats:
    """Return (n + 1,): coefficients of the columns and, last, the bias of a logistic model, by Newton's method.

    target: (rows,), chances in [0, 1]. weights: (rows,). strength: of the penalty on the coefficients, against a mean
    loss; it keeps them finite where the classes can be told apart.
    """
    design = np.hstack([columns, np.ones((len(columns), 1))])
    weights = weights / weights.sum()
    penalty = np.full(design.shape[1], strength)
    penalty[-1] = 1e-9
    found = np.zeros(design.shape[1])
    for _ in range(steps):
        chances = 1.0 / (1.0 + np.exp(-np.clip(design @ found, -30.0, 30.0)))
        slope = design.T @ (weights * (chances - target)) + penalty * found
        curve = (design * (weights * chances * (1.0 - chances))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        found = found - np.clip(step, -5.0, 5.0)
        if float(np.abs(step).max()) < 1e-9:
            break
    result: Floats = found
    return result


def centres(vectors: Floats, count: int, *, seed: int = 0, rounds: int = 20) -> Floats:
    """Return at most `count` unit vectors near which the rows lie: k-means by cosine, begun by k-means++.

    vectors: (rows, dims), of unit length.
    """
    dice = np.random.default_rng(seed)
    count = min(count, len(vectors))
    found = np.empty((count, vectors.shape[1]))
    found[0] = vectors[int(dice.integers(len(vectors)))]
    apart = np.full(len(vectors), np.inf)
    for number in range(1, count):
        apart = np.minimum(apart, np.maximum(0.0, 1.0 - vectors @ found[number - 1]))
        total = float(apart.sum())
        # Of fewer distinct rows than centres, some are taken twice: no harm.
        chosen = int(np.searchsorted(np.cumsum(apart), dice.random() * total)) if total > 0 else 0
        found[number] = vectors[min(chosen, len(vectors) - 1)]
    for _ in range(rounds):
        nearest = np.argmax(vectors @ found.T, axis=1)
        for number in range(count):
            members = vectors[nearest == number]
            if len(members):
                middle = members.mean(axis=0)
                found[number] = middle / max(float(np.linalg.norm(middle)), 1e-12)
    return found


class Smoother:
    """Ridge regressions of any target on the same rows, for any penalty, with leave-one-out predictions at no cost.

    columns: (rows, n), not centred. weights: (rows,), how often each row counts.
    """

    def __init__(self, columns: Floats, weights: Floats) -> None:
        self._weights = weights
        self._mean = weights @ columns / weights.sum()
        centred = columns - self._mean
        gram = (centred * weights[:, None]).T @ centred
        values, vectors = np.linalg.eigh(gram)
        self._values = np.maximum(values, 0.0)
        self._vectors = vectors
        self._turned = centred @ vectors
        self._squares = self._turned**2  # once, for all targets and penalties
        self.penalties = PENALTIES * max(float(values.max()), 1e-12)

    def fit(self, target: Floats, penalty: float) -> tuple[Floats, float]:
        """Return coefficients, (n,), and bias."""
        middle = float(self._weights @ target / self._weights.sum())
        turned = self._turned.T @ (self._weights * (target - middle)) / (self._values + penalty)
        found = np.asarray(self._vectors @ turned, np.float64)
        return found, middle - float(self._mean @ found)

    def left_out(self, target: Floats, penalty: float) -> Floats:
        """Return what each row is predicted by the fit to all others, (rows,)."""
        middle = float(self._weights @ target / self._weights.sum())
        shrunk = 1.0 / (self._values + penalty)
        fitted = middle + self._turned @ (shrunk * (self._turned.T @ (self._weights * (target - middle))))
        leverage = self._weights * (1.0 / self._weights.sum() + self._squares @ shrunk)
        kept = np.maximum(1.0 - leverage, 1e-3)
        return np.asarray(target - (target - fitted) / kept, np.float64)

    def best(self, target: Floats) -> float:
        """Return the penalty with the least error of the rows left out; of equal ones the largest."""
        errors = [float(self._weights @ (target - self.left_out(target, penalty)) ** 2) for penalty in self.penalties]
        return float(self.penalties[len(errors) - 1 - int(np.argmin(errors[::-1]))])


PENALTIES = np.geomspace(1e-5, 10.0, 19)
"""In units of the largest eigenvalue."""


def spread_rows(rows: Floats, count: int, *, seed: int = 0) -> NDArray[np.intp]:
    """Return the places of at most `count` rows that lie apart, in rising order: each is drawn by its squared distance
    to the nearest one drawn before (k-means++)."""
    if len(rows) <= count:
        return np.arange(len(rows))
    dice = np.random.default_rng(seed)
    chosen = [int(dice.integers(len(rows)))]
    apart = np.full(len(rows), np.inf)
    squares = np.einsum("ij,ij->i", rows, rows)
    while len(chosen) < count:
        last = rows[chosen[-1]]
        apart = np.minimum(apart, np.maximum(0.0, squares - 2.0 * rows @ last + last @ last))
        total = float(apart.sum())
        if total <= 1e-9:
            break  # the rest are copies
        chosen.append(min(int(np.searchsorted(np.cumsum(apart), dice.random() * total)), len(rows) - 1))
    return np.unique(np.array(chosen, dtype=np.intp))
