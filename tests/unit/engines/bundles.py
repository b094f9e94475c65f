"""Bundles over the tiny models, and policies that name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from signalbox.policy.schema import Policy
from tests.unit.bundles.tiny import seal
from tests.unit.decide.cases import make_policy

from . import tiny

HARD = {"proof": (3, 0, 0), "theorem": (3, 0, 0), "hi": (0, 0, 3), "thanks": (0, 0, 3)}
"""Words that ask for the strong tier, and such that do not."""


def classifier_bundle(
    folder: Path,
    weights: Mapping[str, Sequence[float]] = HARD,
    labels: tuple[str, ...] = ("strong", "tie", "weak"),
    *,
    max_tokens: int = 256,
    members: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tiny.classifier(folder / "model.onnx", weights, len(labels), **options)
    tiny.tokenizer(folder)
    given = {"schema": 1, "kind": "classifier", "architecture": "Tiny", "labels": labels, "max_tokens": max_tokens}
    seal(folder, **{**given, **(members or {})})
    return folder


TASKS = [
    {"name": "simple", "models": ["acme-mini"]},
    {"name": "hard", "models": ["acme-large"]},
]
TIERS = {"name": "judge", "strong": "hard", "weak": "simple"}


def judged_policy(
    bundle: Path | str,
    judge: Any = None,
    *,
    engine: Any = None,
    router: Any = None,
    engines_besides: Mapping[str, Any] | None = None,
    **more: Any,
) -> Policy:
    """A policy whose default router asks an engine over this bundle."""
    return make_policy(
        engines={
            **(engines_besides or {}),
            "judge": {"kind": "classifier", "bundle": str(bundle), "deadline_ms": 2000, **(engine or {})},
        },
        routers={"r": {"tasks": TASKS, "default_task": "simple", "engine": judge or TIERS, **(router or {})}},
        default_router="r",
        **more,
    )


def encoder_bundle(
    folder: Path, dims: int = 4, *, pooling: str = "mean", max_tokens: int = 256, weight: float = 1.0
) -> Path:
    """An encoder that puts hard words and small talk on two axes."""
    folder.mkdir(parents=True, exist_ok=True)
    hard, easy = [weight] + [0.0] * (dims - 1), [0.0, 1.0] + [0.0] * (dims - 2)
    tiny.encoder(folder / "model.onnx", {"proof": hard, "theorem": hard, "hi": easy, "thanks": easy}, dims)
    tiny.tokenizer(folder)
    seal(folder, schema=1, kind="encoder", architecture="Tiny", pooling=pooling, max_tokens=max_tokens)
    return folder


def factorization_bundle(
    folder: Path, dims: int = 4, models: Sequence[str] = ("strong", "weak"), *, projection: float = 4.0
) -> Path:
    """A checkpoint whose first model is better on the first axis, and whose second on the second."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.zeros((len(models), 3), dtype=np.float32)
    rows[:, 2] = 1e-3
    rows[0], rows[1] = (2, 0, 0), (0, 5, 0)  # of lengths that have to be taken out
    matrix = np.zeros((3, dims), dtype=np.float32)
    matrix[0, 0] = matrix[1, 1] = projection
    np.savez(folder / "tensors.npz", models=rows, projection=matrix, head=np.ones((1, 3), dtype=np.float32))
    seal(folder, schema=1, kind="matrix_factorization", architecture="MF", labels=tuple(models), embedding="tiny")
    return folder
