"""Token vectors whose mean points where the teacher's vector of the text points: sparse, and in plain numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float32]

BATCH = 512
DECAYS = (0.9, 0.99)
"""Of Adam's two moments. A row is updated only in batches that have its token, so the second one forgets early."""


def counts(texts: Sequence[Sequence[int]], rows: int) -> Any:
    """A sparse matrix (len(texts), rows), float32: how often each text has each token, by its number of tokens."""
    lengths = np.array([len(ids) for ids in texts])
    ids = np.concatenate([np.asarray(ids, np.int32) for ids in texts]) if lengths.sum() else np.empty(0, np.int32)
    shares = np.repeat(1 / np.maximum(lengths, 1), lengths).astype(np.float32)
    matrix = csr_array((shares, ids, np.concatenate([[0], np.cumsum(lengths)])), shape=(len(texts), rows))
    matrix.sum_duplicates()
    return matrix


def fit(features: Any, targets: Floats, start: Floats, *, epochs: int, rate: float, pairs: float, seed: int) -> Floats:
    """Return token vectors (rows, dims), from `start` on, by Adam with a rate that falls to nothing.

    features: (texts, rows), from `counts`. targets: (texts, dims), unit vectors. The loss of a batch is the mean of
    1 - cosine with the target, plus `pairs` times the mean squared error of the cosines between its texts. A row whose
    token is in no text stays as it is.
    """
    dice = np.random.default_rng(seed)
    vectors = start.astype(np.float32)
    first, second = np.zeros_like(vectors), np.zeros_like(vectors)
    steps = epochs * (len(targets) // BATCH)
    for step in range(steps):
        at = step % (len(targets) // BATCH)
        if at == 0:
            order = dice.permutation(len(targets))
        batch = np.sort(order[at * BATCH : (at + 1) * BATCH])
        some, wanted = features[batch], targets[batch]
        sums = some @ vectors
        lengths = np.linalg.norm(sums, axis=1, keepdims=True) + np.float32(1e-6)
        units = sums / lengths
        apart = units @ units.T - wanted @ wanted.T
        np.fill_diagonal(apart, 0)
        slope = np.float32(4 * pairs / BATCH**2) * (apart @ units) - wanted / np.float32(BATCH)
        slope = (slope - units * np.sum(slope * units, axis=1, keepdims=True)) / lengths
        rows = np.unique(some.indices)
        by_row = csr_array(some.T)[rows] @ slope
        first[rows] = DECAYS[0] * first[rows] + (1 - DECAYS[0]) * by_row
        second[rows] = DECAYS[1] * second[rows] + (1 - DECAYS[1]) * by_row * by_row
        vectors[rows] -= (
            np.float32(rate * (1 - step / steps)) * first[rows] / (np.sqrt(second[rows]) + np.float32(1e-8))
        )
    return vectors


def rotated(vectors: Floats, targets: Floats, dims: int) -> Floats:
    """The rows in the `dims` directions in which the targets vary most about the origin: dot products stay."""
    _, directions = np.linalg.eigh(targets.T @ targets)
    return np.asarray(vectors @ directions[:, ::-1][:, :dims], np.float32)


def quantised(vectors: Floats) -> tuple[NDArray[np.int8], Floats]:
    """The rows as int8, and the scale of each: the largest value of a row is 127 of it."""
    scales = (np.abs(vectors).max(axis=1) / 127).astype(np.float32)
    values = np.round(vectors / np.maximum(scales, np.float32(1e-30))[:, None])
    return values.astype(np.int8), scales
