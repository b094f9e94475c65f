"""Bundles over the tiny models, and policies that name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
    bundle: Path | str, judge: Any = None, *, engine: Any = None, router: Any = None, **more: Any
) -> Policy:
    """A policy whose default router asks an engine over this bundle."""
    return make_policy(
        engines={"judge": {"kind": "classifier", "bundle": str(bundle), "deadline_ms": 2000, **(engine or {})}},
        routers={"r": {"tasks": TASKS, "default_task": "simple", "engine": judge or TIERS, **(router or {})}},
        default_router="r",
        **more,
    )
