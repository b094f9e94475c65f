"""Prompts as the heads see them: a vector of the text, and the features of a request that says nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from signalbox.evaluation.routers import as_request, nobody
from signalbox.features.extract import extract
from signalbox.types import Features

Said = Callable[[int], None]


class Encoder(Protocol):
    """Of the shape of `brain.encoder.Encoder`."""

    version: str
    dims: int

    def vector(self, text: bytes) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known of prompts. vectors: (rows, dims)."""

    vectors: NDArray[np.float32]
    features: tuple[Features, ...]


def see(prompts: Sequence[str], encoder: Encoder, said: Said = nobody) -> Seen:
    """Return vectors and features of prompts. said: told how many are done."""
    vectors = np.empty((len(prompts), encoder.dims), np.float32)
    features = []
    for row, prompt in enumerate(prompts):
        vectors[row] = encoder.vector(prompt.encode("utf-8", "replace"))
        features.append(extract(as_request(prompt)))
        said(row + 1)
    return Seen(vectors, tuple(features))
