"""RouteLLM's matrix factorisation: three tensors, written as arrays. A request costs a dot product, so no graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from signalbox.bundles.export.checkpoint import Checkpoint, missing
from signalbox.bundles.export.safetensors_file import read_tensors
from signalbox.bundles.manifest import TENSORS, Manifest
from signalbox.core.factorization import Factorization

_MODELS, _PROJECTION, _HEAD = "P.weight", "text_proj.0.weight", "classifier.0.weight"


def write_tensors(checkpoint: Checkpoint, manifest: Manifest, out: Path) -> None:
    """Write `out`/tensors.npz. Raises BundleError for tensors that are missing, do not fit or have no finite values."""
    state = _state(checkpoint)
    absent = [name for name in (_MODELS, _HEAD) if name not in state]
    if absent:
        raise checkpoint.refuse(
            f"no tensor {absent[0]}; there are {', '.join(sorted(state)) or 'none'}",
            expected=f"{_MODELS}, {_PROJECTION} and {_HEAD}",
            file="",
        )
    models, head = state[_MODELS], state[_HEAD]
    # Trained with use_proj=False there is no projection: vectors have the models' own dimensions.
    projection = state.get(_PROJECTION, np.eye(models.shape[-1], dtype=np.float32))
    try:
        Factorization.fold(models, projection, head)
    except ValueError as problem:
        raise checkpoint.refuse(str(problem), expected="tensors that fit together", file="") from problem
    if len(models) != len(manifest.labels):
        raise checkpoint.refuse(
            f"rows for {len(models)} models, while there are {len(manifest.labels)} names",
            expected="a name for each row",
            fix="name them in the order of the rows: --labels A,B,C",
            file="",
        )
    np.savez(out / TENSORS, models=models, projection=projection, head=head)


def _state(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return float32 arrays by name, from safetensors or from a pickle of tensors and nothing else."""
    safe, pickled = checkpoint.folder / "model.safetensors", checkpoint.folder / "pytorch_model.bin"
    if safe.exists():
        try:
            return dict(read_tensors(safe))
        except (ValueError, OSError) as problem:
            raise checkpoint.refuse(str(problem), expected="a file of tensors", file=safe.name) from problem
    if not pickled.exists():
        raise checkpoint.refuse("missing", expected=f"{safe.name} or {pickled.name}", file=safe.name)
    try:
        import torch
    except ImportError as problem:
        raise missing("torch") from problem
    try:
        state = torch.load(pickled, map_location="cpu", weights_only=True)
        return {name: tensor.float().numpy() for name, tensor in state.items()}
    except Exception as problem:  # torch's and pickle's errors for what is damaged, or would run code
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise checkpoint.refuse(lines[0], expected="tensors and nothing else", file=pickled.name) from problem
