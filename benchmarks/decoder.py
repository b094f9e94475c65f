"""A causal model with random weights, for questions of speed: same arithmetic as a published one, no meaning.

Layers of attention with keys and values of the past, a gated feed-forward and normalization, as Qwen2's; positions
are looked up, not rotated, and all layers share their weights, so the file is small and the time is honest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Shape:
    layers: int = 4
    width: int = 1024
    heads: int = 16
    feed_forward: int = 4096
    vocabulary: int = 8200
    positions: int = 4096

    @property
    def size(self) -> int:
        return self.width // self.heads

    @property
    def parameters(self) -> int:
        """That a token is multiplied with."""
        return self.layers * (4 * self.width**2 + 3 * self.width * self.feed_forward) + 2 * self.width * self.vocabulary


def write(path: Path, shape: Shape) -> None:
    dice = np.random.default_rng(1)
    width, wide = shape.width, shape.feed_forward
    tables = {"embedding": (shape.vocabulary, width), "position": (shape.positions, width)}
    tables |= {"head": (width, shape.vocabulary), "gate": (width, wide), "up": (width, wide), "down": (wide, width)}
    tables |= dict.fromkeys(("query", "key", "value", "out"), (width, width))
    values = {name: (dice.standard_normal(s) / s[0] ** 0.5).astype(np.float32) for name, s in tables.items()}
    values["unit"] = np.ones(width, np.float32)
    values |= {
        "split": np.array([1, -1, shape.heads, shape.size]), "join": np.array([1, -1, width]),
        "zero": np.array(0), "one": np.array(1), "axis1": np.array([1]), "axis2": np.array([2]),
        "last": np.array([-1]), "end": np.array([np.iinfo(np.int64).max]),
        "scale": np.float32(shape.size**-0.5), "low": np.float32(-1e9), "nothing": np.float32(0),
    }  # fmt: skip
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["words"]),
        helper.make_node("Gather", ["position", "position_ids"], ["places"]),
        helper.make_node("Add", ["words", "places"], ["hidden.0"]),
        helper.make_node("Shape", ["attention_mask"], ["mask.shape"]),
        helper.make_node("Gather", ["mask.shape", "one"], ["total"]),
        helper.make_node("Range", ["zero", "total", "one"], ["columns"]),
        helper.make_node("Unsqueeze", ["position_ids", "axis2"], ["rows"]),
        helper.make_node("LessOrEqual", ["columns", "rows"], ["seen"]),
        helper.make_node("Where", ["seen", "nothing", "low"], ["mask.flat"]),
        helper.make_node("Unsqueeze", ["mask.flat", "axis1"], ["mask"]),
    ]
    for layer in range(shape.layers):
        nodes += _layer(layer)
    nodes += [
        helper.make_node("Slice", [f"hidden.{shape.layers}", "last", "end", "axis1"], ["final"]),
        helper.make_node("MatMul", ["final", "head"], ["logits"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", name])
        for name in ("input_ids", "attention_mask", "position_ids")
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1, shape.vocabulary])]
    for layer in range(shape.layers):
        for name in ("key", "value"):
            for ports, stem in ((inputs, "past_key_values"), (outputs, "present")):
                dims = ["batch", shape.heads, stem, shape.size]
                ports.append(helper.make_tensor_value_info(f"{stem}.{layer}.{name}", TensorProto.FLOAT, dims))
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "decoder", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


def _layer(layer: int) -> list[NodeProto]:
    def node(operator: str, inputs: list[str], output: str, **attributes: object) -> NodeProto:
        return helper.make_node(operator, inputs, [output], **attributes)

    at = f"{layer}."
    nodes = [node("LayerNormalization", [f"hidden.{layer}", "unit"], at + "normal")]
    for name in ("query", "key", "value"):
        nodes += [
            node("MatMul", [at + "normal", name], f"{at}{name}.flat"),
            node("Reshape", [f"{at}{name}.flat", "split"], f"{at}{name}.split"),
            node("Transpose", [f"{at}{name}.split"], f"{at}{name}", perm=[0, 2, 1, 3]),
        ]
    for name in ("key", "value"):
        past, present = f"past_key_values.{layer}.{name}", f"present.{layer}.{name}"
        nodes.append(node("Concat", [past, f"{at}{name}"], present, axis=2))
    return [
        *nodes,
        node("Transpose", [f"present.{layer}.key"], at + "keys", perm=[0, 1, 3, 2]),
        node("MatMul", [at + "query", at + "keys"], at + "raw"),
        node("Mul", [at + "raw", "scale"], at + "scaled"),
        node("Add", [at + "scaled", "mask"], at + "masked"),
        node("Softmax", [at + "masked"], at + "shares", axis=-1),
        node("MatMul", [at + "shares", f"present.{layer}.value"], at + "mixed.heads"),
        node("Transpose", [at + "mixed.heads"], at + "mixed.split", perm=[0, 2, 1, 3]),
        node("Reshape", [at + "mixed.split", "join"], at + "mixed"),
        node("MatMul", [at + "mixed", "out"], at + "attention"),
        node("Add", [f"hidden.{layer}", at + "attention"], at + "half"),
        node("LayerNormalization", [at + "half", "unit"], at + "half.normal"),
        node("MatMul", [at + "half.normal", "gate"], at + "gate"),
        node("Sigmoid", [at + "gate"], at + "open"),
        node("Mul", [at + "gate", at + "open"], at + "gated"),
        node("MatMul", [at + "half.normal", "up"], at + "up"),
        node("Mul", [at + "gated", at + "up"], at + "wide"),
        node("MatMul", [at + "wide", "down"], at + "down"),
        node("Add", [at + "half", at + "down"], f"hidden.{layer + 1}"),
    ]
