"""Bundles small enough to be made in a test, with graphs that run: no checkpoint, no framework."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from signalbox.bundles import Kind, Manifest, Pooling
from signalbox.bundles.manifest import MANIFEST, MODEL, TENSORS, TOKENIZER

WORDS = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "hello", "world", "sort", "a", "list", "prove", "##s", "it")


def tokenizer_json(words: Sequence[str] = WORDS) -> str:
    """A BERT tokenizer over a few words."""
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": [],
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": None,
            "decoder": None,
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {word: at for at, word in enumerate(words)},
            },
        }
    )


def classifier_graph(labels: int = 3, *, per_token: bool = False, opset: int = 18, output: str = "logits") -> Any:
    """A graph whose logits are the rows of a table, per token or their masked mean."""
    table = np.random.default_rng(0).normal(size=(len(WORDS), labels)).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["rows"])]
    shape: list[int | str] = ["batch", "sequence", labels] if per_token else ["batch", labels]
    if per_token:
        nodes.append(helper.make_node("Identity", ["rows"], [output]))
    else:
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["weights"]),
            helper.make_node("Mul", ["rows", "weights"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "tokens"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["weights", "tokens"], ["count"], keepdims=0),
            helper.make_node("Div", ["sum", "count"], [output]),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([2], np.int64), "last"),
            numpy_helper.from_array(np.array([1], np.int64), "tokens"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def write_bundle(folder: Path, *, graph: Any = None, external: bool = False, **members: Any) -> Path:
    """Write a bundle; a classifier of three labels unless `members` say otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = Kind(members.get("kind", Kind.CLASSIFIER))
    if kind is Kind.MATRIX_FACTORIZATION:
        write_tensors(folder / TENSORS, **members.pop("tensors", {}))
        members = {"labels": ("strong", "weak"), "embedding": "an-encoder", **members}
    else:
        onnx.save_model(
            classifier_graph() if graph is None else graph,
            folder / MODEL,
            save_as_external_data=external,
            location="model.onnx.data",
            size_threshold=0,
        )
        (folder / TOKENIZER).write_text(tokenizer_json())
        members = {"labels": ("strong", "tie", "weak"), "max_tokens": 512, **members}
    if kind is Kind.ENCODER:
        members = {"labels": (), "pooling": Pooling.MEAN, **members}
    seal(folder, **{"schema": 1, "kind": kind, "architecture": "Tiny", **members})
    return folder


def write_tensors(file: Path, *, models: int = 2, hidden: int = 4, dims: int = 8, **others: Any) -> None:
    """Write the arrays of a matrix factorisation; `others` replace them."""
    dice = np.random.default_rng(0)
    arrays = {
        "models": dice.normal(size=(models, hidden)).astype(np.float32),
        "projection": dice.normal(size=(hidden, dims)).astype(np.float32),
        "head": dice.normal(size=(1, hidden)).astype(np.float32),
    }
    np.savez(file, allow_pickle=True, **{**arrays, **others})


def seal(folder: Path, **members: Any) -> None:
    """Write router.json over the files that are there."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name != MANIFEST)
    manifest = Manifest(
        **{
            "files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
            "sizes": {file.name: file.stat().st_size for file in files},
            **members,
        }
    )
    (folder / MANIFEST).write_text(manifest.as_json())
