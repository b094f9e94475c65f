"""Graphs are written with their weights beside them, and large weights are moved, not copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from signalbox.bundles.export.causal import keep_last_position
from signalbox.bundles.export.graph import DATA, move
from signalbox.bundles.manifest import MODEL
from signalbox.bundles.onnx_file import read_graph
from signalbox.bundles.session import open_session
from signalbox.errors import BundleError, SetupError

HIDDEN, WORDS = 32, 40


def generator() -> Any:
    """A graph of embeddings and a head, with a constant in a node: logits for each position."""
    dice = np.random.default_rng(0)
    shift = numpy_helper.from_array(dice.normal(size=(1, 1, HIDDEN)).astype(np.float32), "shift")
    nodes = [
        helper.make_node("Constant", [], ["shift"], value=shift),
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Add", ["rows", "shift"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "head"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "generator",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "tokens", WORDS])],
        [
            numpy_helper.from_array(dice.normal(size=(WORDS, HIDDEN)).astype(np.float32), "table"),
            numpy_helper.from_array(dice.normal(size=(HIDDEN, WORDS)).astype(np.float32), "head"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def logits(model: Path, ids: Any) -> Any:
    return open_session(model).run(["logits"], {"input_ids": ids})[0]


@pytest.fixture(params=["inside", "beside", "in several files"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The graph as an exporter leaves it, its weights in one of three places, constants of nodes included."""
    folder = tmp_path / "source"
    folder.mkdir()
    onnx.save_model(
        generator(),
        folder / MODEL,
        save_as_external_data=request.param != "inside",
        all_tensors_to_one_file=request.param == "beside",
        location="model.onnx_data" if request.param == "beside" else None,
        size_threshold=0,
        convert_attribute=True,
    )
    return folder / MODEL


def test_a_moved_graph_answers_as_before_and_has_its_weights_in_one_file(source: Path, tmp_path: Path) -> None:
    ids = np.arange(6)[None]
    before = logits(source, ids)
    out = tmp_path / "out"
    out.mkdir()
    move(source, out)
    assert np.array_equal(logits(out / MODEL, ids), before)
    assert sorted(file.name for file in out.iterdir()) == [MODEL, DATA]
    assert {external.location for external in read_graph(out / MODEL).externals} == {DATA}


def test_only_the_last_position_gets_logits(source: Path, tmp_path: Path) -> None:
    ids = np.arange(12).reshape(2, 6)
    before = logits(source, ids)
    out = tmp_path / "out"
    out.mkdir()
    move(source, out, keep_last_position)
    assert np.array_equal(logits(out / MODEL, ids), before[:, -1:])
    assert read_graph(out / MODEL).outputs[0].shape == ("batch", 1, WORDS)


def test_a_head_that_is_no_product_is_refused() -> None:
    graph = generator()
    graph.graph.node[-1].op_type = "Softmax"
    with pytest.raises(SetupError, match="logits come from Softmax, expected MatMul"):
        keep_last_position(graph)


def test_a_graph_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(b"no graph")
    with pytest.raises(BundleError, match="ONNX Runtime cannot open it"):
        open_session(tmp_path / MODEL)
