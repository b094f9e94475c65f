"""How much a request needs a strong model: a head on the text's vector, blended with length by familiarity.

Nearly all that can be learned from public results is which kind of prompt is hard, so on kinds that nobody has labelled
a head is worth little. Here it counts as far as the text is like what it was trained on; where it is not, what is left
is a prior that counts words, and the answer says that it is unsure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import MODELS, Artifact, open_artifact, refuse
from signalbox.brain.surface import length_prior
from signalbox.core.score import dots
from signalbox.errors import Problem, SetupError
from signalbox.types import Features

Floats = NDArray[np.float32]

STRONG, WEAK = "strong", "weak"
LATIN = "latin"
"""The script of all labelled data: of others the heads know nothing, whatever the vector says."""

VERSION_DIGITS = 12  # of the table's sum, as `Encoder.version`

NEED, WEAK_FAILS, STRONG_SUCCEEDS, MEAN, CENTRES = range(5)
"""Rows of `rows`: three directions, the mean vector, and from CENTRES on the centres of the labelled texts."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a request needs of a model.

    strong: chance that the weak tier fails where the strong one does not, 0 to 1; what to rank by.
    familiarity: how near the text is to labelled ones, 0 (unlike all) to 1. unsure: too far, in a script without
    labels, or without text; `strong` is then little more than a word count.
    success: chance of an acceptable answer, by tier (`strong`, `weak`) or model.
    """

    strong: float
    familiarity: float
    unsure: bool
    success: Mapping[str, float]


class Judge(Protocol):
    """Anything that answers as `Capability` does."""

    def need(self, vector: Floats, features: Features) -> Need:
        """vector: (dims,), of the last user turn; features: of its request."""


@dataclass(frozen=True, slots=True)
class Logit:
    """A chance from the prior and a head: the logistic function of prior * p + head * familiarity * h + bias."""

    prior: float
    head: float
    bias: float

    def chance(self, prior: float, head: float) -> float:
        return sigmoid(self.prior * prior + self.head * head + self.bias)


class Capability:
    """The general heads: for any traffic, trained on public results. Threads may share it."""

    def __init__(
        self,
        rows: Floats,
        bias: Floats,
        *,
        prior: tuple[float, float],
        familiar: tuple[float, float],
        logits: Mapping[str, Logit],
        encoder: str = "",
    ) -> None:
        """rows: (CENTRES + centres, dims), see NEED and the others. bias: added to their products with a vector.

        prior: mean and spread of `length_prior`. familiar: cosines to the nearest centre that count as 0 and 1.
        logits: `need`, `weak_fails`, `strong_succeeds`. encoder: version of the vectors.
        """
        self._rows, self._bias = np.ascontiguousarray(rows), np.ascontiguousarray(bias)
        self.dims = rows.shape[1]
        self.encoder = encoder
        self._prior_mean, self._prior_spread = prior
        self._low, self._range = familiar[0], familiar[1] - familiar[0]
        self._need, self._fails, self._succeeds = (logits[name] for name in ("need", "weak_fails", "strong_succeeds"))
        mean = rows[MEAN].astype(np.float64)
        self._mean_squared = float(mean @ mean)

    @classmethod
    def load(cls, folder: Path | None = None) -> Judge:
        """Load `capability.json` and its arrays. folder: a bundle of `signalbox train`; None: what ships.

        Raises SetupError for files that are missing, damaged or of another encoder.
        """
        artifact = open_artifact("capability", folder)
        if folder is not None:
            _check_encoder(artifact)
        if artifact.manifest.get("form") != "learned":
            return cls.read(artifact)
        from signalbox.brain.learned import Learned  # which is made of this

        return Learned.read(artifact)

    @classmethod
    def read(cls, artifact: Artifact, arrays: str = "capability.npz", member: str = "general") -> Capability:
        """Make the heads of an artifact that has been checked. arrays, member: the file, and what describes it."""
        place = artifact.files["manifest"]
        try:
            says = artifact.manifest[member]
            with np.load(artifact.files[arrays], allow_pickle=False) as held:
                rows, bias = held["rows"], held["bias"]
            if rows.dtype != np.float32 or rows.ndim != 2 or bias.shape != (len(rows),) or len(rows) <= CENTRES:
                raise ValueError(f"rows of shape {rows.shape} and bias of shape {bias.shape}")
            return cls(
                rows,
                bias,
                prior=_pair(says, "prior"),
                familiar=_pair(says, "familiar"),
                logits={name: Logit(*(float(part) for part in parts)) for name, parts in says["logits"].items()},
                encoder=str(artifact.manifest.get("encoder", "")),
            )
        except (KeyError, TypeError, ValueError, OSError) as problem:
            raise refuse(
                place, f"the heads cannot be read: {problem!r}", "heads as the recipe writes them"
            ) from problem

    def need(self, vector: Floats, features: Features) -> Need:
        """Return what a request needs. vector: float32, (dims,), unit length or 0. Never raises, never NaN."""
        prior, familiarity, products = self.look(vector, features)
        return Need(
            strong=self._need.chance(prior, familiarity * products[NEED]),
            familiarity=familiarity,
            unsure=familiarity == 0.0 or not in_latin(features),
            success={
                STRONG: self._succeeds.chance(prior, familiarity * products[STRONG_SUCCEEDS]),
                WEAK: 1.0 - self._fails.chance(prior, familiarity * products[WEAK_FAILS]),
            },
        )

    def look(self, vector: Floats, features: Features) -> tuple[float, float, list[float]]:
        """Return the prior in spreads from its mean, familiarity, and the heads' values, in the order of `rows`."""
        prior = (length_prior(features) - self._prior_mean) / self._prior_spread
        products: list[float] = dots(self._rows, vector, self._bias).tolist()
        apart = 1.0 - 2.0 * products[MEAN] + self._mean_squared
        nearest = max(products[CENTRES:]) / math.sqrt(apart) if apart > 0.0 else -1.0
        no_token = products[MEAN] == 0.0  # the vector is 0, and not of unit length as all others
        if no_token or features.words == 0 or not nearest > self._low:
            return prior, 0.0, products
        return prior, min(1.0, (nearest - self._low) / self._range), products


def _check_encoder(artifact: Artifact) -> None:
    """Refuse heads made for other vectors than those of the encoder that ships: they would read noise."""
    shipped = json.loads((MODELS / "encoder.json").read_bytes())["files"]["encoder.table"][:VERSION_DIGITS]
    found = artifact.manifest.get("encoder")
    if found != shipped:
        problem = Problem(
            str(artifact.files["manifest"]),
            None,
            "encoder",
            f"made for vectors of encoder {found!r}",
            f"{shipped!r}, the encoder of this release",
            "train again with `signalbox train`, from the same data",
        )
        raise SetupError(str(problem))


def in_latin(features: Features) -> bool:
    """Whether a turn has letters, and most of them are Latin ones; a turn of numbers alone counts as such."""
    scripts = features.scripts
    return not scripts or scripts[0][0] == LATIN


def sigmoid(logit: float) -> float:
    """Return the logistic function; no overflow, whatever the logit."""
    if logit >= 0.0:
        return 1.0 / (1.0 + math.exp(-logit))
    power = math.exp(max(logit, -700.0))
    return power / (1.0 + power)


def _pair(says: Any, name: str) -> tuple[float, float]:
    low, high = (float(part) for part in says[name])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name} is not finite")
    return low, high
