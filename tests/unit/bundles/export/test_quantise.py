"""int8 is measured against float32 on texts in many languages, without torch: graphs of a few nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from signalbox.bundles import Pooling
from signalbox.bundles.export import quantise
from signalbox.bundles.export.calibration import LEAST_TEXTS, shipped_texts, texts_of
from signalbox.bundles.export.checkpoint import Checkpoint
from signalbox.bundles.export.parity import check_parity
from signalbox.bundles.export.plan import Family
from signalbox.bundles.manifest import MODEL, Manifest
from signalbox.bundles.onnx_file import read_graph
from signalbox.bundles.session import open_session, run
from signalbox.errors import BundleError
from tests.unit.bundles.export.checkpoints import BERT, checkpoint

WIDE, LABELS, WORDS = 64, 3, 50


@pytest.fixture
def found(tmp_path: Path) -> Checkpoint:
    return checkpoint(tmp_path / "checkpoint", BERT)


def network(file: Path, *, outlier: float = 1.0, seed: int = 0) -> Path:
    """Write a small network: rows of a table, widened, narrowed, and labelled from their mean."""
    dice = np.random.default_rng(seed)
    weights = {
        "table": dice.normal(size=(WORDS, 16)),
        "widen": dice.normal(size=(16, WIDE)),
        "narrow": dice.normal(size=(WIDE, 16)) / WIDE,
        "label": dice.normal(size=(16, LABELS)),
    }
    weights["widen"][:, 0] *= outlier
    weights["narrow"][0] /= outlier
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "widen"], ["wide"], name="widen"),
        helper.make_node("MatMul", ["wide", "narrow"], ["narrowed"], name="narrow"),
        helper.make_node("ReduceMean", ["narrowed", "axis"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "label"], ["logits"], name="label"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", LABELS])],
        [
            *(numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
        ],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), file)
    return file


def prompts(count: int = 60) -> list[Any]:
    dice = np.random.default_rng(1)
    return [dice.integers(0, WORDS, (1, int(dice.integers(1, 12)))) for _ in range(count)]


def answers(model: Path, **members: Any) -> list[Any]:
    manifest = Manifest(schema=1, kind="classifier", architecture="Tiny", files={}, **members)  # type: ignore[arg-type]
    return quantise.answers(model, prompts(), manifest, Family.SEQUENCE, lambda done, of: None)


def test_weights_become_int8_and_lie_beside_the_graph(tmp_path: Path) -> None:
    source = network(tmp_path / "source.onnx")
    assert quantise.quantise(source, tmp_path, keep_wide=False) == 0
    types = {tensor.data_type for tensor in onnx.load(tmp_path / MODEL, load_external_data=False).graph.initializer}
    assert TensorProto.INT8 in types
    assert {external.location for external in read_graph(tmp_path / MODEL).externals} == {"model.onnx.data"}
    assert not (tmp_path / "int8").exists()


def test_products_that_narrow_can_keep_float32(tmp_path: Path) -> None:
    source = network(tmp_path / "source.onnx")
    assert quantise.quantise(source, tmp_path, keep_wide=True) == 2, "narrow, and the labels"
    kept = [node for node in onnx.load(tmp_path / MODEL).graph.node if node.op_type == "MatMul"]
    assert {node.name for node in kept} == {"narrow", "label"}


def test_agreement_is_the_share_of_texts_with_the_same_label(found: Checkpoint, tmp_path: Path) -> None:
    good = network(tmp_path / "good.onnx")
    original = answers(good)
    assert quantise.agreement(found, Family.SEQUENCE, original, original, 0).share == 1
    quantise.quantise(good, tmp_path, keep_wide=False)
    measured = quantise.agreement(found, Family.SEQUENCE, original, answers(tmp_path / MODEL), 0)
    assert measured.share > 0.9
    assert measured.n == 60
    assert measured.worst is not None
    assert 0 < measured.worst < 0.2
    other = quantise.agreement(found, Family.SEQUENCE, original, answers(network(tmp_path / "o.onnx", seed=9)), 0)
    assert other.share < 0.7


def test_keeping_the_narrowing_products_helps_where_activations_have_outliers(
    found: Checkpoint, tmp_path: Path
) -> None:
    source = network(tmp_path / "source.onnx", outlier=3000.0)
    original = answers(source)
    shares = []
    for keep_wide in (False, True):
        out = tmp_path / str(keep_wide)
        out.mkdir()
        kept = quantise.quantise(source, out, keep_wide=keep_wide)
        measured = quantise.agreement(found, Family.SEQUENCE, original, answers(out / MODEL), kept)
        assert measured.kept_float32 == kept
        shares.append(measured.share)
    assert shares[0] < 0.95 < shares[1]


def test_vectors_are_alike_by_their_cosine(found: Checkpoint) -> None:
    vectors = [np.eye(4)[at][None] for at in range(4)]
    turned = [np.array([[0.999, np.sqrt(1 - 0.999**2), 0, 0]]), np.array([[0.5, np.sqrt(0.75), 0, 0]]), *vectors[2:]]
    measured = quantise.agreement(found, Family.ENCODER, vectors, turned, 0)
    assert measured.share == 0.75
    assert measured.alike == "cosine 0.98 at least"
    assert measured.worst == pytest.approx(1 - np.sqrt(0.75), abs=1e-4)


def test_tokens_count_one_by_one(found: Checkpoint) -> None:
    before = [np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.6, 0.4]])]
    after = [np.array([[0.8, 0.2], [0.7, 0.3]]), np.array([[0.6, 0.4]])]
    measured = quantise.agreement(found, Family.TOKEN, before, after, 0)
    assert (measured.share, measured.n) == (0.6667, 3)


def test_a_model_that_answers_nan_is_refused(found: Checkpoint) -> None:
    with pytest.raises(BundleError, match="answers NaN"):
        quantise.agreement(found, Family.SEQUENCE, [np.ones((1, 3))], [np.full((1, 3), np.nan)], 0)


def test_a_classifier_with_one_answer_to_everything_is_noticed() -> None:
    same, other = np.array([[0.9, 0.1]]), np.array([[0.1, 0.9]])
    assert quantise.says_one_thing(Family.SEQUENCE, [same, same])
    assert not quantise.says_one_thing(Family.SEQUENCE, [same, other])
    assert not quantise.says_one_thing(Family.ENCODER, [same, same])


def test_a_graph_that_differs_from_torch_is_refused_with_the_difference(found: Checkpoint, tmp_path: Path) -> None:
    model = network(tmp_path / "m.onnx")
    ids = prompts(3)
    session = open_session(model)
    right = [[run(session, each)["logits"]] for each in ids]
    assert check_parity(found, model, Family.SEQUENCE, ids, right) == 0
    right[1][0][0, 0] += 0.01
    with pytest.raises(BundleError, match=r"differs by 0\.01 from torch on"):
        check_parity(found, model, Family.SEQUENCE, ids, right)
    with pytest.raises(BundleError, match=r"answers with shape \(1, 3\)"):
        check_parity(found, model, Family.SEQUENCE, ids, [[np.ones((1, 2))]] * 3)
    with pytest.raises(BundleError, match="differs by nan"):
        check_parity(found, model, Family.SEQUENCE, ids, [[np.full((1, 3), np.nan)]] * 3)


@pytest.mark.parametrize("pooling", [Pooling.MEAN, Pooling.CLS, Pooling.LAST])
def test_vectors_have_unit_length_however_they_are_pooled(pooling: Pooling) -> None:
    hidden = np.random.default_rng(0).normal(size=(5, 8))
    assert np.linalg.norm(quantise._pooled(hidden, pooling)) == pytest.approx(1)


def test_the_shipped_texts_are_many_in_many_scripts_and_of_all_lengths() -> None:
    texts = shipped_texts()
    assert len(set(texts)) == len(texts) >= 80
    assert min(map(len, texts)) < 5
    assert max(map(len, texts)) > 1000
    together = "".join(texts)
    for script in "aяαאاहবช长の을":
        assert script in together
    assert "def mean(values):" in together


def test_texts_of_an_operators_own_are_read_by_line(tmp_path: Path) -> None:
    file = tmp_path / "texts"
    file.write_text("\n".join(f"text {at}\n" for at in range(20)))
    assert texts_of(file) == [f"text {at}" for at in range(20)]
    file.write_text("one\ntwo\n")
    with pytest.raises(BundleError, match=f"2 texts\n  expected: {LEAST_TEXTS} to"):
        texts_of(file)
    file.write_bytes(b"\xff\xfe" * 30)
    with pytest.raises(BundleError, match="cannot be read"):
        texts_of(file)
    with pytest.raises(BundleError, match="cannot be read"):
        texts_of(tmp_path / "nowhere")
