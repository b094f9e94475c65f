"""The reader of ONNX files agrees with the library of ONNX, and survives what is none."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from signalbox.bundles.onnx_file import Port, read_graph
from tests.unit.bundles.tiny import classifier_graph


def test_ports_have_names_types_and_shapes(tmp_path: Path) -> None:
    onnx.save_model(classifier_graph(5, per_token=True), tmp_path / "m.onnx")
    graph = read_graph(tmp_path / "m.onnx")
    assert graph.inputs[0] == Port("input_ids", "int64", ("batch", "sequence"))
    assert graph.outputs == [Port("logits", "float32", ("batch", "sequence", 5))]
    assert graph.nodes == 2
    assert graph.externals == []


def test_weights_in_the_branches_of_a_node_are_found(tmp_path: Path) -> None:
    inner = classifier_graph().graph
    outer = helper.make_graph(
        [helper.make_node("If", ["cond"], ["out"], then_branch=inner, else_branch=inner)],
        "outer",
        [helper.make_tensor_value_info("cond", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones(4, np.float32), "unused")],
    )
    model = helper.make_model(outer)
    branch = model.graph.node[0].attribute[0].g.initializer[0]
    branch.data_location = TensorProto.EXTERNAL
    branch.external_data.add(key="location", value="there")
    branch.external_data.add(key="offset", value="64")
    branch.external_data.add(key="length", value="12")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    graph = read_graph(tmp_path / "m.onnx")
    assert [tuple(external) for external in graph.externals] == [("table", "there", 64, 12)]
    assert [port.name for port in graph.inputs] == ["cond"]
    assert graph.outputs[0].shape == ()


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_model_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.onnx"
    file.write_bytes(content)
    with pytest.raises(ValueError):
        read_graph(file)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_model_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(classifier_graph().SerializeToString())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "damaged.onnx"
    file.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(ValueError):
        read_graph(file)
