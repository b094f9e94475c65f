"""The models in the package, mapped once for the process, and heads trained on an operator's labels beside them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from signalbox.brain.artifact import MODELS, open_artifact
from signalbox.brain.capability import Capability
from signalbox.brain.encoder import Encoder
from signalbox.engines import builtin
from signalbox.engines.builtin import Models
from signalbox.errors import RouterError


def load_models(bundle: str | None = None) -> Models:
    """Return the models of a built-in engine. bundle: folder of capability heads that `signalbox train` made.

    Raises SetupError for an encoder that cannot be loaded. What is asked for later raises as `Models.judge` says.
    """
    encoder = _encoder()
    return Models(encoder, lambda: _capability(encoder, bundle), lambda: _tasks(encoder), _modality)


def heads_version(bundle: str | None) -> str:
    """Return what changes with the capability heads, or with the encoder they are for; empty where there are none."""
    folder = MODELS if bundle is None else Path(bundle)
    try:
        return hashlib.sha256((folder / "capability.json").read_bytes()).hexdigest()[:12]
    except OSError:
        return ""


@lru_cache(maxsize=1)
def _encoder() -> Encoder:
    return Encoder.load()


@lru_cache(maxsize=1)
def _tasks(encoder: Encoder) -> builtin.Tasks:
    from signalbox.brain.tasks import TaskMatcher

    return TaskMatcher.load(encoder=encoder)


@lru_cache(maxsize=1)
def _modality() -> builtin.Modality:
    from signalbox.brain.modality import Modality

    return Modality.load()


def _capability(encoder: Encoder, bundle: str | None) -> builtin.Capability:
    """Load heads anew for each policy: a bundle may have been trained again in its place."""
    folder = None if bundle is None else Path(bundle)
    made_for = open_artifact("capability", folder).manifest.get("encoder")
    if made_for != encoder.version:
        raise RouterError(
            f"{bundle or 'the package'}: heads for the encoder {made_for!r}, and this is {encoder.version!r}\n"
            "  expected: heads trained with this release\n  fix: train them again with `signalbox train`"
        )
    return Capability.load(folder)
