"""Where prompts and descriptions of tasks meet: vectors of the encoder, moved so that they can be compared.

People describe a task in other words than they ask for it. What is learned from described tasks with known prompts is
that difference: the mean of either side, a linear map from descriptions towards the prompts that belong to them, and
the known tasks themselves, whose prompts stand in for those of a new task by how alike the descriptions are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NEIGHBOURS_SHARPNESS, NEIGHBOURS_WEIGHT = 10.0, 0.5
"""Every new task borrows from those it is most like, however little that is ..."""

TWINS_SHARPNESS, TWINS_WEIGHT = 15.0, 3.0
"""... and from one that is described nearly alike, all it has. A cosine of 0.8 has a twentieth of that."""

PARTS_WEIGHT = 0.5
"""How much the best part of a description counts beside the whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """prompt_mean, description_mean: (dims,), taken off. shift: (dims, dims), added to a description's vector.

    known_descriptions, known_prompts: (tasks, dims) unit rows, the tasks it was learned from, in this space.
    """

    prompt_mean: Floats
    description_mean: Floats
    shift: Floats
    known_descriptions: Floats
    known_prompts: Floats

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Space:
        """Return the space that `arrays` hold, by the names of its fields. Raises KeyError for one that is missing."""
        return cls(**{field.name: np.ascontiguousarray(arrays[field.name], np.float32) for field in fields(cls)})

    @property
    def dims(self) -> int:
        return len(self.prompt_mean)

    def prompts(self, vectors: Floats) -> Floats:
        """Return vectors of prompts, (n, dims), in this space; rows of nothing stay nothing."""
        known = vectors.any(axis=1, keepdims=True)
        return unit(np.where(known, vectors - self.prompt_mean, np.float32(0)))

    def descriptions(self, vectors: Floats) -> Floats:
        """Return vectors of descriptions, (n, dims), in this space; rows of nothing stay nothing."""
        known = vectors.any(axis=1, keepdims=True)
        plain = unit(np.where(known, vectors - self.description_mean, np.float32(0)))
        moved = unit(plain + plain @ self.shift)
        cosines = plain @ self.known_descriptions.T
        shares = np.exp(np.float32(NEIGHBOURS_SHARPNESS) * (cosines - cosines.max(axis=1, keepdims=True)))
        shares *= np.float32(NEIGHBOURS_WEIGHT) / shares.sum(axis=1, keepdims=True)
        shares += np.float32(TWINS_WEIGHT) * np.exp(np.float32(TWINS_SHARPNESS) * (cosines - np.float32(1)))
        mixed = moved + shares @ self.known_prompts
        return unit(np.where(known, mixed, np.float32(0)))


def unit(vectors: Floats) -> Floats:
    """Return rows divided by their length; rows of nothing stay nothing."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    result: Floats = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-12)
    return result
