"""Scores in double precision, exactly rounded sums, one value at a time: the twin of csrc/sb_vector.c, sb_head.c,
sb_topk.c and sb_pool.c. Results are float64; the headers say how far the kernels may be from them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, fsum, hypot, inf, isfinite, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signalbox.core.reference_wordpiece import WordPiece
from signalbox.core.table_file import HEADER, read_header, refuse

Array = NDArray[Any]


def each(vectors: Array, work: Callable[[list[float]], Sequence[float]]) -> Array:
    """`work` on the one vector, or on each of a batch."""
    if vectors.ndim == 1:
        return np.array(work(vectors.tolist()))
    rows = [work(vector) for vector in vectors.tolist()]
    return np.array(rows).reshape(len(rows), -1)


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    products = [x * y for x, y in zip(a, b, strict=True)]
    return fsum(products) if all(map(isfinite, products)) else sum(products)


def dots(matrix: Array, vectors: Array, bias: Array | None = None) -> Array:
    """Same contract as `core.dots`."""
    add = [0.0] * len(matrix) if bias is None else bias.tolist()
    return each(vectors, lambda v: [dot(row, v) + b for row, b in zip(matrix.tolist(), add, strict=True)])


def length(vector: Sequence[float]) -> float:
    return hypot(*vector) if all(map(isfinite, vector)) else nan


def cosines(matrix: Array, vectors: Array) -> Array:
    """Same contract as `core.cosines`."""

    def cosine(a: Sequence[float], b: Sequence[float]) -> float:
        product = length(a) * length(b)
        if product == 0 or isnan(product):
            return product
        return min(1.0, max(-1.0, dot(a, b) / product))

    return each(vectors, lambda v: [cosine(row, v) for row in matrix.tolist()])


def normalize(vectors: Array) -> Array:
    """Same contract as `core.normalize`."""
    return each(vectors, lambda v: [x / (length(v) or 1.0) if not isnan(length(v)) else nan for x in v])


def softmax(logits: Array) -> Array:
    """Same contract as `core.softmax`."""

    def shares(values: list[float]) -> list[float]:
        if not values or any(map(isnan, values)) or not isfinite(max(values)):
            return [nan] * len(values)
        powers = [exp(x - max(values)) for x in values]
        return [power / fsum(powers) for power in powers]

    return each(logits, shares)


def sigmoid(logits: Array) -> Array:
    """Same contract as `core.sigmoid`."""
    return each(logits, lambda v: [1 / (1 + exp(-x)) if x > -700 or isnan(x) else exp(max(x, -800.0)) for x in v])


def win_rate(direction: Array, vector: Array) -> float:
    """Same contract as `core.win_rate`."""
    return float(sigmoid(dots(direction[None], vector))[0])


def topk(scores: Array, k: int) -> Array:
    """Same contract as `core.topk`."""
    if k < 1:
        raise ValueError(f"k: found {k}, expected at least 1")

    def best(values: list[float]) -> Sequence[float]:
        def rank(i: int) -> tuple[bool, float, int]:
            missing = isnan(values[i])
            return (missing, 0.0 if missing else -values[i], i)

        return sorted(range(len(values)), key=rank)[:k]

    return each(scores, best).astype(np.int32)


def embed(wordpiece: WordPiece, table: EmbeddingTable, text: bytes) -> Array:
    """Same contract as `core.embed`."""
    pooled, _ = table.pool(np.frombuffer(wordpiece.encode(text), np.int32))
    return normalize(pooled)


class EmbeddingTable:
    """Same contract as `core.EmbeddingTable`; reads the file instead of mapping it."""

    def __init__(self, values: Array, scales: Array) -> None:
        self.rows, self.dims = values.shape
        self.is_int8 = values.dtype == np.int8
        self.values, self.scales = values.tolist(), scales.tolist()

    @staticmethod
    def open(path: str | os.PathLike[str]) -> EmbeddingTable:
        place = Path(path)
        try:
            data = place.read_bytes()
        except OSError as problem:
            raise refuse(place, problem.strerror or str(problem), "an embedding table that can be read") from problem
        header = read_header(place, data[: HEADER.size], len(data))
        values: Array = np.frombuffer(data, header.dtype, header.rows * header.dims, HEADER.size)
        scales: Array = np.ones(header.rows)
        if header.scales_at:
            scales = np.frombuffer(data, np.float32, header.rows, header.scales_at)
        if not np.isfinite(scales).all():
            raise refuse(place, "a scale that is NaN or infinite", "finite scales")
        return EmbeddingTable(values.reshape(header.rows, header.dims), scales)

    def pool(self, ids: Array, weights: Array | None = None) -> tuple[Array, bool]:
        shares = [1.0] * len(ids) if weights is None else weights.tolist()
        if len(shares) != len(ids):
            raise ValueError(f"weights: found {len(shares)}, expected {len(ids)}, one for each id")
        for at, (token, share) in enumerate(zip(ids.tolist(), shares, strict=True)):
            if not 0 <= token < self.rows:
                raise ValueError(f"ids[{at}]: found token id {token}, expected 0 to {self.rows - 1}")
            if not 0 <= share < inf:
                raise ValueError(f"weights[{at}]: found {share}, expected a finite number that is not negative")
        total = fsum(shares)
        if total == 0:
            return np.zeros(self.dims), True
        rows = [(share * self.scales[token], self.values[token]) for token, share in zip(ids, shares, strict=True)]
        return np.array([fsum(factor * row[d] for factor, row in rows) / total for d in range(self.dims)]), False

    def pool_batch(self, ids: Array, starts: Array, weights: Array | None = None) -> tuple[Array, Array]:
        spans = [slice(int(a), int(b)) for a, b in pairwise(starts)]
        pooled = [self.pool(ids[span], None if weights is None else weights[span]) for span in spans]
        vectors = np.array([vector for vector, _ in pooled]).reshape(len(pooled), self.dims)
        return vectors, np.array([empty for _, empty in pooled], dtype=np.bool_)
