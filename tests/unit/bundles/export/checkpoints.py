"""Checkpoint folders for tests that need no framework: a config, and weights that nobody loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signalbox.bundles.export.checkpoint import Checkpoint, open_checkpoint

BERT: dict[str, Any] = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "vocab_size": 12,
    "max_position_embeddings": 512,
    "num_labels": 3,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
}


def write_checkpoint(folder: Path, config: dict[str, Any] | None, **files: Any) -> Path:
    """Write a folder; `files` by name, with `__` for a slash and `_` before the ending for a dot, as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "model.safetensors").touch()
    for name, content in files.items():
        path = folder / (name.replace("__", "/") + ".json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def checkpoint(folder: Path, config: dict[str, Any] | None, **files: Any) -> Checkpoint:
    return open_checkpoint(str(write_checkpoint(folder, config, **files)))


def write_safetensors(file: Path, **arrays: NDArray[Any]) -> None:
    """Write float32 arrays; `__` in a name stands for a dot."""
    header, values = {}, b""
    for name, array in arrays.items():
        content = array.astype("<f4").tobytes()
        header[name.replace("__", ".")] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(values), len(values) + len(content)],
        }
        values += content
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + values)


def factorization_arrays(models: int = 64, hidden: int = 8, dims: int = 16) -> dict[str, NDArray[Any]]:
    """RouteLLM's tensors by their names."""
    dice = np.random.default_rng(3)
    return {
        "P__weight": dice.normal(size=(models, hidden)).astype(np.float32),
        "text_proj__0__weight": dice.normal(size=(hidden, dims)).astype(np.float32),
        "classifier__0__weight": dice.normal(size=(1, hidden)).astype(np.float32),
    }
