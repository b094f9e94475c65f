"""Heads of `signalbox train`: fitted to an operator's own labels, with the general heads as their starting point.

A head is linear in the vector, the columns of `brain.surface` and the general score, and has one bump for each
landmark: a labelled prompt, or a typical one where there are many. Far from all landmarks the general heads answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import Artifact, refuse
from signalbox.brain.capability import STRONG, WEAK, Capability, Need, sigmoid
from signalbox.brain.surface import COLUMNS, columns
from signalbox.core.score import dots
from signalbox.types import Features

Floats = NDArray[np.float32]

SURFACE_SCALE = 0.25
"""Length of a typical row of surface columns, and of the general score, where a vector's is 1: what a text is about
says more than how long it is, and a bump should not reach across topics."""
SCALES = (*(SURFACE_SCALE / math.sqrt(len(COLUMNS)) for _ in COLUMNS), SURFACE_SCALE)
BUMP = 2.0  # exp(-BUMP * squared distance): 0.02 between texts that have nothing in common
MOST_SPREADS = 3.0  # a column further from its mean counts as if it were there
GAIN, STRONG_HEAD, WEAK_HEAD, FIRST_MODEL = range(4)
"""Rows of `weights`; from FIRST_MODEL on those of single models."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How a prompt becomes the row that heads read: vector, surface columns, general score, on one scale.

    mean, spread: (columns + 1,), of the surface columns and, last, the general score.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]

    def row(self, vector: Floats, features: Features, general: float) -> Floats:
        """Return (dims + columns + 1,)."""
        row = np.empty(len(vector) + len(SCALES), np.float32)
        row[: len(vector)] = vector
        told = zip((*columns(features), general), self.mean, self.spread, SCALES, strict=True)
        # Plain numbers: for eleven of them, each call of numpy costs more than the sums.
        row[len(vector) :] = [
            scale * min(MOST_SPREADS, max(-MOST_SPREADS, (value - mean) / spread))
            for value, mean, spread, scale in told
        ]
        return row


def bumps(landmarks: Floats, squares: Floats, row: Floats) -> Floats:
    """Return how near a row is to each landmark, (landmarks,), 0 to 1. squares: half of their squared lengths."""
    near = dots(landmarks, row)
    near -= squares
    near *= 2.0 * BUMP
    near -= np.float32(BUMP) * (row @ row)
    np.exp(np.minimum(near, 0.0, out=near), out=near)
    return near


class Learned:
    """An operator's heads. Threads may share it. `recommended`: they beat a word count on rows held out."""

    def __init__(
        self,
        general: Capability,
        view: View,
        landmarks: Floats,
        weights: Floats,
        bias: Floats,
        *,
        models: tuple[str, ...],
        chance: tuple[float, float],
        familiar: tuple[float, float],
        recommended: bool,
    ) -> None:
        """landmarks: (n, row). weights: (FIRST_MODEL + models, row + n), bias: one each, see GAIN and the others.

        chance: scale and bias that make the gain a chance. familiar: bumps that count as 0 and 1, in logarithms.
        """
        self._general, self._view = general, view
        self._landmarks = np.ascontiguousarray(landmarks)
        self._squares = np.einsum("ij,ij->i", landmarks, landmarks) / np.float32(2.0)
        self._weights, self._bias = np.ascontiguousarray(weights), np.ascontiguousarray(bias)
        self.models = models
        self._scale, self._offset = chance
        self._low, self._range = familiar[0], familiar[1] - familiar[0]
        self.recommended = recommended
        self.dims, self.encoder = general.dims, general.encoder

    @classmethod
    def read(cls, artifact: Artifact) -> Learned:
        """Make the heads of a bundle whose files have been checked. Raises SetupError."""
        general = Capability.read(artifact)
        says = artifact.manifest.get("learned")
        try:
            with np.load(artifact.files["learned.npz"], allow_pickle=False) as held:
                arrays = {name: held[name] for name in ("mean", "spread", "landmarks", "weights", "bias")}
            models = tuple(str(name) for name in says["models"])  # type: ignore[index]
            row = general.dims + len(COLUMNS) + 1
            count = len(arrays["landmarks"])
            expected = {
                "mean": (len(COLUMNS) + 1,),
                "spread": (len(COLUMNS) + 1,),
                "landmarks": (count, row),
                "weights": (FIRST_MODEL + len(models), row + count),
                "bias": (FIRST_MODEL + len(models),),
            }
            for name, shape in expected.items():
                if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                    raise ValueError(f"{name} of shape {arrays[name].shape}, expected finite numbers of {shape}")
            if tuple(says["columns"]) != COLUMNS:  # type: ignore[index]
                raise ValueError("columns of another release")
            scale, offset = (float(part) for part in says["chance"])  # type: ignore[index]
            low, high = (float(part) for part in says["familiar"])  # type: ignore[index]
            return cls(
                general,
                View(tuple(arrays["mean"].tolist()), tuple(arrays["spread"].tolist())),
                arrays["landmarks"].astype(np.float32),
                arrays["weights"].astype(np.float32),
                arrays["bias"].astype(np.float32),
                models=models,
                chance=(scale, offset),
                familiar=(low, high),
                recommended=bool(artifact.manifest.get("recommended")),
            )
        except (KeyError, TypeError, ValueError, OSError) as problem:
            raise refuse(
                artifact.files["manifest"], f"the heads cannot be read: {problem!r}", "a bundle of `signalbox train`"
            ) from problem

    def need(self, vector: Floats, features: Features) -> Need:
        """Return what a request needs; `success` has each model of the labels, too. Never raises, never NaN."""
        general = self._general.need(vector, features)
        row = self._view.row(vector, features, logit(general.strong))
        near = bumps(self._landmarks, self._squares, row)
        heads: list[float] = dots(self._weights, np.concatenate([row, near]), self._bias).tolist()
        nearest = math.log(max(float(near.max()), 1e-30))
        familiarity = min(1.0, max(0.0, (nearest - self._low) / self._range))
        strong = sigmoid(self._scale * heads[GAIN] + self._offset)
        success: dict[str, float] = {
            STRONG: self._blend(familiarity, heads[STRONG_HEAD], general.success[STRONG]),
            WEAK: self._blend(familiarity, heads[WEAK_HEAD], general.success[WEAK]),
        }
        for place, model in enumerate(self.models, start=FIRST_MODEL):
            success[model] = min(1.0, max(0.0, heads[place]))
        return Need(
            strong=familiarity * strong + (1.0 - familiarity) * general.strong,
            familiarity=max(familiarity, general.familiarity),
            unsure=familiarity == 0.0 and general.unsure,
            success=success,
        )

    @staticmethod
    def _blend(familiarity: float, own: float, general: float) -> float:
        return familiarity * min(1.0, max(0.0, own)) + (1.0 - familiarity) * general


def logit(chance: float) -> float:
    """Return the log odds of a chance; finite for 0 and 1."""
    kept = min(1.0 - 1e-6, max(1e-6, chance))
    return math.log(kept / (1.0 - kept))
