"""A causal model of one layer, made of ONNX operators and seeded numbers, and the same in numpy without any memory.

Inputs and outputs are those of an exported decoder: keys and values of the past in, of the present out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from signalbox.engines.preference.decoder import Decoder
from signalbox.engines.runtime import open_network

HEADS, SIZE, POSITIONS = 2, 8, 4096
WIDTH = HEADS * SIZE
Weights = dict[str, NDArray[np.float32]]


def weights(vocabulary: int, seed: int = 7) -> Weights:
    dice = np.random.default_rng(seed)
    shapes = {"embedding": (vocabulary, WIDTH), "position": (POSITIONS, WIDTH), "head": (WIDTH, vocabulary)}
    shapes |= dict.fromkeys(("query", "key", "value"), (WIDTH, WIDTH))
    return {name: dice.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def reference_logits(found: Weights, ids: Sequence[int]) -> NDArray[np.float64]:
    """Logits behind the last token, all of the text in one go."""
    hidden = found["embedding"][list(ids)].astype(np.float64) + found["position"][: len(ids)]

    def heads(name: str) -> NDArray[np.float64]:
        return (hidden @ found[name]).reshape(-1, HEADS, SIZE).transpose(1, 0, 2)

    scores = heads("query")[:, -1:] @ heads("key").transpose(0, 2, 1) / SIZE**0.5
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = (shares / shares.sum(-1, keepdims=True)) @ heads("value")
    row: NDArray[np.float64] = (hidden[-1] + mixed.transpose(1, 0, 2).reshape(WIDTH)) @ found["head"]
    return row


def write_decoder(path: Path, found: Weights, *, extra_input: str = "", not_finite: bool = False) -> None:
    """Write the model. extra_input: the name of one more input. not_finite: its logits are NaN."""
    vocabulary = len(found["embedding"])
    constants = {
        "split": [1, -1, HEADS, SIZE], "join": [1, -1, WIDTH], "zero": 0, "one": 1, "axis1": [1], "axis2": [2],
        "last": [-1], "end": [np.iinfo(np.int64).max],
    }  # fmt: skip
    initializers = [numpy_helper.from_array(value, name) for name, value in found.items()]
    initializers += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()]
    scale = np.float32("nan") if not_finite else np.float32(SIZE**-0.5)
    initializers += [
        numpy_helper.from_array(np.array(scale, np.float32), "scale"),
        numpy_helper.from_array(np.array(-1e9, np.float32), "low"),
        numpy_helper.from_array(np.array(0, np.float32), "nothing"),
    ]
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["words"]),
        helper.make_node("Gather", ["position", "position_ids"], ["places"]),
        helper.make_node("Add", ["words", "places"], ["hidden"]),
    ]
    for name in ("query", "key", "value"):
        nodes += [
            helper.make_node("MatMul", ["hidden", name], [f"{name}.flat"]),
            helper.make_node("Reshape", [f"{name}.flat", "split"], [f"{name}.split"]),
            helper.make_node("Transpose", [f"{name}.split"], [f"{name}.heads"], perm=[0, 2, 1, 3]),
        ]
    for name in ("key", "value"):
        nodes.append(
            helper.make_node("Concat", [f"past_key_values.0.{name}", f"{name}.heads"], [f"present.0.{name}"], axis=2)
        )
    nodes += [
        helper.make_node("Transpose", ["present.0.key"], ["keys"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["query.heads", "keys"], ["raw"]),
        helper.make_node("Mul", ["raw", "scale"], ["scores"]),
        helper.make_node("Shape", ["attention_mask"], ["mask.shape"]),
        helper.make_node("Gather", ["mask.shape", "one"], ["total"]),
        helper.make_node("Range", ["zero", "total", "one"], ["columns"]),
        helper.make_node("Unsqueeze", ["position_ids", "axis2"], ["rows"]),
        helper.make_node("LessOrEqual", ["columns", "rows"], ["seen"]),
        helper.make_node("Where", ["seen", "nothing", "low"], ["mask"]),
        helper.make_node("Unsqueeze", ["mask", "axis1"], ["mask4"]),
        helper.make_node("Add", ["scores", "mask4"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "present.0.value"], ["mixed.heads"]),
        helper.make_node("Transpose", ["mixed.heads"], ["mixed.split"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["mixed.split", "join"], ["mixed"]),
        helper.make_node("Add", ["hidden", "mixed"], ["all"]),
        helper.make_node("Slice", ["all", "last", "end", "axis1"], ["final"]),
        helper.make_node("MatMul", ["final", "head"], ["logits"]),
    ]
    integers = ["input_ids", "attention_mask", "position_ids", *([extra_input] if extra_input else [])]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", f"n.{name}"]) for name in integers]
    past, present = (
        [
            helper.make_tensor_value_info(f"{stem}.0.{name}", TensorProto.FLOAT, ["batch", HEADS, length, SIZE])
            for name in ("key", "value")
        ]
        for stem, length in (("past_key_values", "past"), ("present", "present"))
    )
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1, vocabulary])
    graph = helper.make_graph(nodes, "tiny", [*inputs, *past], [logits, *present], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def open_decoder(path: Path) -> Decoder:
    return Decoder(open_network(path, device="cpu"))
