"""The built-in models under evaluation: one embedding and one head for each prompt, as in the sidecar."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import open_artifact
from signalbox.brain.capability import Capability, Judge
from signalbox.brain.encoder import Encoder
from signalbox.errors import SetupError
from signalbox.evaluation.routers import Said, Verdicts, as_request, nobody
from signalbox.features.extract import extract

BUILTIN = "builtin"


class Vectors(Protocol):
    """What of the encoder is wanted: a text's vector, (dims,), of unit length; all 0 for a text without tokens."""

    def vector(self, text: bytes) -> NDArray[np.float32]: ...


class BuiltinRouter:
    """The encoder and the capability heads of the package, or the heads of a bundle that `signalbox train` wrote."""

    def __init__(
        self, encoder: Vectors, capability: Judge, name: str = BUILTIN, sources: frozenset[str] = frozenset()
    ) -> None:
        """sources: of the records that the heads were trained on, as far as they say."""
        self.name = name
        self.sources = sources
        self._encoder, self._capability = encoder, capability

    @classmethod
    def load(cls, folder: Path | None = None) -> BuiltinRouter:
        """Map the models. folder: of the heads; None for those that ship. Raises SetupError or BundleError."""
        name = BUILTIN if folder is None else f"{BUILTIN}:{folder.name}"
        return cls(Encoder.load(), Capability.load(folder), name, _sources(folder))

    def verdicts(self, prompts: Sequence[str], said: Said = nobody) -> Verdicts:
        """Score each prompt: the chance that it needs the strong side. Sides are left to whoever has a threshold."""
        scores, unsure = np.zeros(len(prompts)), np.zeros(len(prompts), dtype=bool)
        microseconds = np.zeros(len(prompts))
        for row, prompt in enumerate(prompts):
            request = as_request(prompt)
            began = time.perf_counter_ns()
            features = extract(request)
            need = self._capability.need(self._encoder.vector(request.scan.text(last_user=True)), features)
            microseconds[row] = (time.perf_counter_ns() - began) / 1_000
            scores[row], unsure[row] = need.strong, need.unsure
            said(row + 1)
        odd = np.flatnonzero(~np.isfinite(scores))
        if len(odd):
            raise SetupError(
                f"{self.name}: the score of prompt {odd[0] + 1} is {scores[odd[0]]}\n"
                "  expected: a finite number for every text\n  fix: install or train these models again"
            )
        return Verdicts(
            self.name,
            scores,
            is_chance=True,
            unsure=unsure,
            microseconds=microseconds,
            reasons={"engine": int((~unsure).sum()), "engine_unsure": int(unsure.sum())},
        )


def _sources(folder: Path | None) -> frozenset[str]:
    told = open_artifact("capability", folder).manifest.get("leave_one_source_out")
    return frozenset(told.get("sources", ())) if isinstance(told, dict) else frozenset()
