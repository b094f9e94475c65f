"""A checkpoint loaded with transformers, whole or not at all, and turned into a graph by optimum."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from signalbox.bundles.export.causal import keep_last_position
from signalbox.bundles.export.checkpoint import WEIGHTS, Checkpoint, missing
from signalbox.bundles.export.graph import move
from signalbox.bundles.export.plan import Family
from signalbox.bundles.export.quiet import quiet
from signalbox.bundles.export.rope import check_bases, normalised
from signalbox.bundles.manifest import MODEL
from signalbox.errors import SetupError

OPSET = 18
PINS = {"transformers": "4.57.6", "optimum": "2.1.0", "optimum-onnx": "0.1.0"}
"""What the extra `export` installs; the three only work together in these versions."""

_BUFFERS = ("position_ids", "inv_freq", "rotary_emb")  # computed, not learned


def check_environment() -> None:
    """Raise SetupError unless the packages of the extra `export` are here, in the versions that work."""
    for package, pin in PINS.items():
        try:
            found = version(package)
        except PackageNotFoundError as problem:
            raise missing(package) from problem
        if found.split(".")[:2] != pin.split(".")[:2]:
            raise SetupError(f"{package} {found} cannot export; it takes {pin}; fix: pip install 'signalbox[export]'")


def made_with() -> dict[str, str]:
    """Return the versions that an export depends on."""
    packages = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "tokenizers")
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def load(checkpoint: Checkpoint, family: Family, scratch: Path) -> Any:
    """Load in float32, in eval mode. Raises BundleError for weights that are missing or of another shape.

    scratch: an empty folder for the normalised config; the weights are linked into it.
    """
    import torch
    from transformers import (
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    config = normalised(checkpoint)
    (scratch / "config.json").write_text(json.dumps(config))
    for file in checkpoint.folder.iterdir():
        if file.suffix == ".safetensors" or file.name in WEIGHTS or file.match("pytorch_model*.bin"):
            (scratch / file.name).symlink_to(file.resolve())
    auto = {
        Family.SEQUENCE: AutoModelForSequenceClassification,
        Family.TOKEN: AutoModelForTokenClassification,
        Family.ENCODER: AutoModel,
        Family.CAUSAL: AutoModelForCausalLM,
    }[family]
    with quiet():
        try:
            model, report = auto.from_pretrained(
                scratch,
                torch_dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except Exception as problem:  # each library below has errors of its own for what is damaged
            lines = str(problem).strip().splitlines() or [type(problem).__name__]
            raise checkpoint.refuse(
                f"transformers cannot load it: {lines[0]}", expected="a whole checkpoint", file=""
            ) from problem
    # A pooler that a sentence encoder was saved without is not used; a head that is missing would be made up.
    absent = [name for name in report["missing_keys"] if not any(part in name for part in _BUFFERS)]
    if family is Family.ENCODER:
        absent = [name for name in absent if not name.startswith("pooler.")]
    if absent or report["mismatched_keys"]:
        names = absent or [str(each[0]) for each in report["mismatched_keys"]]
        raise checkpoint.refuse(
            f"{len(names)} weights are missing or of another shape, {names[0]} first",
            expected=f"every weight of {checkpoint.architecture}",
            fix="take the whole checkpoint; a base model has no head, and one would be made up",
            file="",
        )
    model.eval()
    check_bases(checkpoint, config, model)
    return model


def write_graph(model: Any, family: Family, scratch: Path, out: Path) -> None:
    """Write `out`/model.onnx and its weights beside it, in float32."""
    from optimum.exporters.onnx import onnx_export_from_model

    with quiet():
        onnx_export_from_model(model, scratch, task=str(family), opset=OPSET, do_validation=False)
    move(scratch / MODEL, out, keep_last_position if family is Family.CAUSAL else None)
    shutil.rmtree(scratch)
