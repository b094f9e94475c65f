"""Pictures of the world for tests of decisions, and requests that see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from signalbox.types import Case
from signalbox.world import ModelState, Pin, Snapshot, Timing

from .cases import make_case


def timing(seconds: float, samples: float = 50) -> Timing:
    return Timing(p50=seconds, p95=3 * seconds, samples=samples)


def streams(ttft: float, per_token: float = 0.01, **more: Any) -> ModelState:
    """A model whose streams were measured."""
    return ModelState(ttft=timing(ttft), per_token=timing(per_token), **more)


def world(**models: ModelState) -> dict[str, ModelState]:
    """Model states by name, underscores for dashes."""
    return {name.replace("_", "-"): state for name, state in models.items()}


def seeing(case: Case, *, dice: float = 1.0, pin: Pin | None = None, key: str = "", spent: tuple[str, ...] = (),
           now: float = 0.0, **snapshot: Any) -> Case:  # fmt: skip
    """The case, made in front of this world. key: of its session."""
    signals = replace(
        case.signals,
        world=Snapshot(generation=1, **snapshot),
        dice=dice,
        pin=pin,
        session_key=key,
        session=key or case.signals.session,
        spent=frozenset(spent),
        now_seconds=now,
    )
    return replace(case, signals=signals)


def in_session(number: int, model: str = "auto", **more: Any) -> Case:
    return make_case(model, session=f"session-{number}", **more)
