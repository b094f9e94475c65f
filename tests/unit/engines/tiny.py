"""Models of a few hundred bytes with the inputs and outputs of real ones: what words weigh is written into them.

The graph adds up a row of weights for each token and means over the text, so that a test can say what it will answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ("hello", "proof", "theorem", "hi", "thanks", "draw", "secret", "the", "of", "a", "word", "why")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
OPSET, IR_VERSION = 17, 8


def tokenizer(path: Path, words: Sequence[str] = WORDS, *, truncation: int | None = None) -> Path:
    """Write a tokenizer.json whose tokens are whole words, with [CLS] and [SEP] around a text."""
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *words))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    if truncation is not None:
        made.enable_truncation(truncation)
        made.enable_padding(length=truncation)
    file = path / "tokenizer.json"
    made.save(str(file))
    return file


def table(weights: Mapping[str, Sequence[float]], width: int, words: Sequence[str] = WORDS) -> np.ndarray:
    """Rows for every token: those of `weights`, zeros for the others."""
    rows = np.zeros((len(SPECIAL) + len(words), width), dtype=np.float32)
    for word, row in weights.items():
        rows[len(SPECIAL) + words.index(word)] = row
    return rows


def save(graph: onnx.GraphProto, file: Path, *, external: bool = False) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    onnx.save(
        model, str(file), save_as_external_data=external, location=f"{file.name}.data" if external else None,
        size_threshold=100,  # shapes and axes have to be in the graph
    )  # fmt: skip
    return file


def classifier(
    file: Path,
    weights: Mapping[str, Sequence[float]],
    labels: int,
    *,
    bias: Sequence[float] | None = None,
    slow: int = 0,
    external: bool = False,
    per_token: bool = False,
    output: str = "logits",
) -> Path:
    """Write a classifier: the mean of its tokens' rows, times ten, plus a bias.

    slow: multiplications of a 512 by 512 matrix that each run does besides, some milliseconds each.
    """
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"])
    shape = ["batch", "tokens", labels] if per_token else ["batch", labels]
    logits = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
    initializers = [
        numpy_helper.from_array(table(weights, labels), "rows"),
        numpy_helper.from_array(np.array(bias or [0.0] * labels, dtype=np.float32), "bias"),
        numpy_helper.from_array(np.array(10.0, dtype=np.float32), "ten"),
    ]
    nodes = [
        helper.make_node("Gather", ["rows", "input_ids"], ["states"]),
        helper.make_node("Cast", ["attention_mask"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["ones", "last"], ["weights"]),
        helper.make_node("Mul", ["states", "weights"], ["masked"]),
    ]
    initializers.append(numpy_helper.from_array(np.array([2], dtype=np.int64), "last"))
    if per_token:
        nodes.append(helper.make_node("Identity", ["masked"], ["means"]))
    else:
        nodes.append(helper.make_node("ReduceMean", ["masked"], ["means"], axes=[1], keepdims=0))
    nodes += [
        helper.make_node("Mul", ["means", "ten"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["sum"]),
    ]
    end = "sum"
    if slow:
        # A loop whose result is zero times a product: nothing a graph optimizer could leave out.
        body = helper.make_graph(
            [
                helper.make_node("Identity", ["going"], ["on"]),
                helper.make_node("MatMul", ["square", "block"], ["product"]),
                helper.make_node("Tanh", ["product"], ["next"]),
            ],
            "body",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("going", TensorProto.BOOL, []),
                helper.make_tensor_value_info("square", TensorProto.FLOAT, [512, 512]),
            ],
            [
                helper.make_tensor_value_info("on", TensorProto.BOOL, []),
                helper.make_tensor_value_info("next", TensorProto.FLOAT, [512, 512]),
            ],
        )
        block = np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32) / 30
        initializers += [
            numpy_helper.from_array(block, "block"),
            numpy_helper.from_array(np.array(slow, dtype=np.int64), "rounds"),
            numpy_helper.from_array(np.array(True), "go"),
            numpy_helper.from_array(np.array(0.0, dtype=np.float32), "zero"),
        ]
        nodes += [
            helper.make_node("ReduceSum", [end], ["seed"], keepdims=0),
            helper.make_node("Add", ["block", "seed"], ["start"]),
            helper.make_node("Loop", ["rounds", "go", "start"], ["square_end"], body=body),
            helper.make_node("ReduceMean", ["square_end"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", [end, "nothing"], ["delayed"]),
        ]
        end = "delayed"
    nodes.append(helper.make_node("Identity", [end], [output]))
    return save(helper.make_graph(nodes, "tiny", [ids, mask], [logits], initializers), file, external=external)


def as_json(file: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(file.read_text())
    return found


def encoder(file: Path, weights: Mapping[str, Sequence[float]], dims: int) -> Path:
    """Write a sentence encoder: the state of a token is its row."""
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"])
    states = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", dims])
    nodes = [
        helper.make_node("Gather", ["rows", "input_ids"], ["found"]),
        helper.make_node("Cast", ["attention_mask"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["ones", "last"], ["weights"]),
        helper.make_node("Mul", ["found", "weights"], ["last_hidden_state"]),
    ]
    initializers = [
        numpy_helper.from_array(table(weights, dims), "rows"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
    ]
    return save(helper.make_graph(nodes, "tiny", [ids, mask], [states], initializers), file)
