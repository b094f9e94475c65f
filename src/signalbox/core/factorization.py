"""A matrix factorisation router folded into one matrix, once, so that a request costs a dot product.

RouteLLM scores model m for an embedding e as c . (P[m] / |P[m]| * W e): linear in e, so it equals A[m] . e with
A = (P / |P| * c) W, and the win rate of a pair is sigmoid((A[strong] - A[weak]) . e).
Source: RouteLLM, routers/matrix_factorization/model.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Factorization:
    """A, float32 and read-only, (models, dims). `core.dots(directions, e)` scores every model at once."""

    directions: NDArray[np.float32]

    @classmethod
    def fold(cls, models: ArrayLike, projection: ArrayLike, head: ArrayLike) -> Factorization:
        """Fold a checkpoint's P (models, hidden), W (hidden, dims) and c (hidden,) or (1, hidden), in double.

        Rows of P are normalised here, as RouteLLM does on each request; a row of zeros stays one. Raises ValueError
        for shapes that do not fit and for values that are not finite.
        """
        p, w = np.asarray(models, dtype=np.float64), np.asarray(projection, dtype=np.float64)
        c = np.asarray(head, dtype=np.float64)
        if p.ndim != 2 or w.ndim != 2 or p.shape[1] != w.shape[0] or c.shape not in ((w.shape[0],), (1, w.shape[0])):
            raise ValueError(
                f"found models {p.shape}, projection {w.shape} and head {c.shape}, "
                "expected (models, hidden), (hidden, dims) and (hidden,) or (1, hidden)"
            )
        for name, array in (("models", p), ("projection", w), ("head", c)):
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: found a NaN or an infinity, expected finite weights")
        lengths = np.linalg.norm(p, axis=1, keepdims=True)
        unit = p / np.where(lengths == 0, 1, lengths)
        directions = ((unit * c.reshape(1, -1)) @ w).astype(np.float32)
        directions.flags.writeable = False
        return cls(directions)

    def pair(self, strong: int, weak: int) -> NDArray[np.float32]:
        """Return the direction of a pair of models, (dims,), for `core.win_rate`. Raises IndexError."""
        for index in (strong, weak):
            if not 0 <= index < len(self.directions):
                raise IndexError(f"model {index}: expected 0 to {len(self.directions) - 1}")
        direction: NDArray[np.float32] = self.directions[strong] - self.directions[weak]
        return direction
