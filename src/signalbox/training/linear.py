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
