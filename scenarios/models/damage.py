"""What may be wrong with a bundle when it is loaded: each fault is made in a copy, and the policy pointed at it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from signalbox.bundles.manifest import MANIFEST, MODEL, TOKENIZER

WEIGHTS = "model.onnx.data"


def missing(folder: Path, _other: Path) -> None:
    (folder / TOKENIZER).unlink()


def truncated(folder: Path, _other: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) * 3 // 4])


def swapped(folder: Path, _other: Path) -> None:
    model, tokenizer = (folder / MODEL).read_bytes(), (folder / TOKENIZER).read_bytes()
    (folder / MODEL).write_bytes(tokenizer)
    (folder / TOKENIZER).write_bytes(model)


def of_another_model(folder: Path, other: Path) -> None:
    shutil.copy(other / TOKENIZER, folder / TOKENIZER)


def tampered(folder: Path, _other: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def wrong_opset(folder: Path, _other: Path) -> None:
    model = onnx.load(folder / MODEL, load_external_data=False)
    model.opset_import[0].version = 9
    (folder / MODEL).write_bytes(model.SerializeToString())
    seal(folder)


def wrong_labels(folder: Path, _other: Path) -> None:
    seal(folder, labels=["strong", "weak"])


def not_its_kind(folder: Path, other: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


DAMAGES: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "missing file": (missing, "tokenizer.json: missing"),
    "truncated file": (truncated, "bytes; was it cut"),
    "swapped files": (swapped, "the content of tokenizer.json; are the two mixed up?"),
    "another model's file": (of_another_model, "is it another model's?"),
    "tampered file": (tampered, "SHA-256"),
    "wrong opset": (wrong_opset, "opset 9"),
    "wrong label count": (wrong_labels, "logits for 3 labels"),
    "another kind of model": (not_its_kind, "kind modality"),
}
"""Fault -> what makes it of a copy and of another model's bundle, and what the message has to say."""


def seal(folder: Path, **members: Any) -> None:
    """Write a manifest with the hashes of the files as they are, so that only their content can be objected to."""
    file = folder / MANIFEST
    manifest = {**json.loads(file.read_text()), **members}
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
        manifest["sizes"][name] = len(content)
    file.write_text(json.dumps(manifest))
