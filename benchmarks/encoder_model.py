"""Encoder classifiers with the arithmetic of published ones and random weights, as bundles.

A transformer of plain ONNX operators: what a run costs depends on its shapes, not on what it learned.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from signalbox.bundles import Agreement, Dtype, Kind, Manifest

LABELS = ("strong", "tie", "weak")
WORDS = 2000


@dataclass(frozen=True, slots=True)
class Shape:
    """Dimensions of an encoder. vocabulary: rows of its embedding; they are read, never multiplied."""

    name: str
    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    max_tokens: int


MINILM = Shape("MiniLM-L6", 384, 6, 12, 1536, 30_522, 256)
XLM_R = Shape("XLM-R base (vocabulary cut to 30k)", 768, 12, 12, 3072, 30_522, 512)


def write_bundle(folder: Path, shape: Shape, *, int8: bool) -> Path:
    """Write a bundle of kind classifier, its weights in an external file."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.onnx"
    if int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        logging.disable(logging.WARNING)  # it recommends a step of its own for each model
        plain = folder / "plain.onnx"
        onnx.save(_graph(shape), str(plain), save_as_external_data=True, location="plain.data", size_threshold=1024)
        quantize_dynamic(
            plain, model, weight_type=QuantType.QInt8, per_channel=True, use_external_data_format=True,
            op_types_to_quantize=["MatMul", "Gather"],
        )  # fmt: skip
        for file in (plain, folder / "plain.data"):
            file.unlink()
    else:
        onnx.save(_graph(shape), str(model), save_as_external_data=True, location="weights", size_threshold=1024)
    _tokenizer(folder / "tokenizer.json")
    files = sorted(file for file in folder.iterdir() if file.name != "router.json")
    manifest = Manifest(
        schema=1,
        kind=Kind.CLASSIFIER,
        architecture=shape.name,
        labels=LABELS,
        max_tokens=shape.max_tokens,
        dtype=Dtype.INT8 if int8 else Dtype.FLOAT32,
        agreement=Agreement(1.0, 1) if int8 else None,
        files={file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
    )
    (folder / "router.json").write_text(manifest.as_json())
    return folder


def _tokenizer(file: Path) -> None:
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2} | {f"w{number}": number + 3 for number in range(WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.save(str(file))


class _Builder:
    """Nodes and weights of a graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._dice = np.random.default_rng(0)
        self._count = 0

    def constant(self, value: object, dtype: type = np.int64) -> str:
        self._count += 1
        self.weights.append(numpy_helper.from_array(np.array(value, dtype=dtype), f"c{self._count}"))
        return f"c{self._count}"

    def random(self, *shape: int) -> str:
        self._count += 1
        values = (self._dice.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, f"w{self._count}"))
        return f"w{self._count}"

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        self._count += 1
        self.nodes.append(helper.make_node(kind, list(inputs), [f"n{self._count}"], **attributes))
        return f"n{self._count}"

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        bias = self.constant(np.zeros(outputs), np.float32)
        return self.add("Add", self.add("MatMul", x, self.random(inputs, outputs)), bias)

    def norm(self, x: str, size: int) -> str:
        ones, zeros = self.constant(np.ones(size), np.float32), self.constant(np.zeros(size), np.float32)
        return self.add("LayerNormalization", x, ones, zeros, axis=-1)


def _graph(shape: Shape) -> onnx.ModelProto:
    build = _Builder()
    size, each = shape.hidden, shape.hidden // shape.heads
    split, join = build.constant([0, -1, shape.heads, each]), build.constant([0, -1, size])
    scale, half = build.constant(each**-0.5, np.float32), build.constant(0.5, np.float32)
    root, one = build.constant(2**0.5, np.float32), build.constant(1.0, np.float32)
    x = build.norm(build.add("Gather", build.random(shape.vocabulary, size), "input_ids"), size)
    for _ in range(shape.layers):
        heads = [build.add("Reshape", build.dense(x, size, size), split) for _ in range(3)]
        query = build.add("Transpose", heads[0], perm=[0, 2, 1, 3])
        key = build.add("Transpose", heads[1], perm=[0, 2, 3, 1])
        value = build.add("Transpose", heads[2], perm=[0, 2, 1, 3])
        shares = build.add("Softmax", build.add("Mul", build.add("MatMul", query, key), scale), axis=-1)
        mixed = build.add("Transpose", build.add("MatMul", shares, value), perm=[0, 2, 1, 3])
        x = build.norm(build.add("Add", x, build.dense(build.add("Reshape", mixed, join), size, size)), size)
        inner = build.dense(x, size, shape.inner)
        gelu = build.add("Add", build.add("Erf", build.add("Div", inner, root)), one)
        gelu = build.add("Mul", build.add("Mul", inner, gelu), half)
        x = build.norm(build.add("Add", x, build.dense(gelu, shape.inner, size)), size)
    first = build.add("Gather", x, build.constant(0), axis=1)
    last = build.dense(first, size, len(LABELS))
    build.nodes.append(helper.make_node("Identity", [last], ["logits"]))
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])
    graph = helper.make_graph(build.nodes, "encoder", [ids], [logits], build.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
