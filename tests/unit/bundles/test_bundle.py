"""A bundle is opened whole or refused with every reason: file, found, expected, fix."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from signalbox.bundles import Dtype, Kind, Window, open_bundle
from signalbox.bundles.manifest import MANIFEST, MODEL, TENSORS, TOKENIZER
from signalbox.errors import BundleError
from tests.unit.bundles.tiny import classifier_graph, tokenizer_json, write_bundle, write_tensors


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert all(problem.file and problem.found for problem in caught.value.problems)
    return str(caught.value)


def edit(folder: Path, **members: Any) -> None:
    """Change router.json by hand."""
    file = folder / MANIFEST
    file.write_text(json.dumps({**json.loads(file.read_text()), **members}))


def test_a_bundle_opens_with_what_its_manifest_and_its_graph_say(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "b", window=Window(256, 192), licence="mit", external=True))
    assert bundle.manifest.kind is Kind.CLASSIFIER
    assert bundle.manifest.labels == ("strong", "tie", "weak")
    assert bundle.manifest.window == Window(256, 192)
    assert bundle.model.is_file()
    assert bundle.tokenizer.is_file()
    assert bundle.graph is not None
    assert [port.name for port in bundle.graph.inputs] == ["input_ids", "attention_mask"]
    assert bundle.graph.outputs[0].shape == ("batch", 3)
    assert bundle.graph.opsets == {"": 18}
    assert {external.location for external in bundle.graph.externals} == {"model.onnx.data"}


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    assert open_bundle("b").path == tmp_path / "b"


def test_tensors_of_a_matrix_factorisation_need_neither_graph_nor_tokenizer(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "b", kind="matrix_factorization"))
    assert bundle.graph is None
    assert np.load(bundle.tensors)["projection"].shape == (4, 8)


@pytest.mark.parametrize("kind", ["classifier", "modality", "encoder"])
def test_each_kind_wants_its_own_output(tmp_path: Path, kind: str) -> None:
    output = "last_hidden_state" if kind == "encoder" else "logits"
    graph = classifier_graph(3, per_token=kind == "encoder", output=output)
    assert open_bundle(write_bundle(tmp_path / "good", kind=kind, graph=graph)).manifest.kind == kind
    other = classifier_graph(3, per_token=kind == "encoder", output="something")
    assert f"outputs something\n  expected: {output}" in refused(write_bundle(tmp_path / "bad", kind=kind, graph=other))


def test_labels_for_each_token_need_logits_for_each_token(tmp_path: Path) -> None:
    graph = classifier_graph(3, per_token=True)
    assert open_bundle(write_bundle(tmp_path / "good", graph=graph, per_token=True)).manifest.per_token
    assert "3 dimensions: labels for each token" in refused(write_bundle(tmp_path / "bad", per_token=True))


def test_a_folder_without_a_manifest_says_how_to_get_one(tmp_path: Path) -> None:
    assert "signalbox models export" in refused(tmp_path)
    assert "No such file" in refused(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [MODEL, TOKENIZER, "model.onnx.data"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_bundle(tmp_path / "b", external=True)
    (folder / name).unlink()
    assert f"{folder / name}: missing" in refused(folder)


@pytest.mark.parametrize("name", [MODEL, TOKENIZER, "model.onnx.data"])
@pytest.mark.parametrize("sizes", [True, False], ids=["with sizes", "without"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, sizes: bool) -> None:
    folder = write_bundle(tmp_path / "b", external=True)
    if not sizes:
        edit(folder, sizes={})
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-7])
    message = refused(folder)
    assert str(folder / name) in message
    assert (f"{len(content) - 7} bytes; was it cut" if sizes else "SHA-256") in message


def test_a_changed_byte_is_named_with_both_hashes(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", external=True)
    content = bytearray((folder / "model.onnx.data").read_bytes())
    content[3] ^= 1
    (folder / "model.onnx.data").write_bytes(content)
    expected = json.loads((folder / MANIFEST).read_text())["files"]["model.onnx.data"]
    message = refused(folder)
    assert f"expected: SHA-256 {expected}" in message
    assert message.count("SHA-256") == 2
    assert open_bundle(folder, hashes=False).path == folder, "whoever has checked before may leave the hashes out"


@pytest.mark.parametrize("sizes", [True, False], ids=["with sizes", "without"])
def test_two_files_mixed_up_are_recognised(tmp_path: Path, sizes: bool) -> None:
    folder = write_bundle(tmp_path / "b")
    if not sizes:
        edit(folder, sizes={})
    model, tokenizer = (folder / MODEL).read_bytes(), (folder / TOKENIZER).read_bytes()
    (folder / MODEL).write_bytes(tokenizer)
    (folder / TOKENIZER).write_bytes(model)
    message = refused(folder)
    assert f"{folder / MODEL}: the content of tokenizer.json; are the two mixed up?" in message
    assert f"{folder / TOKENIZER}: the content of model.onnx" in message


@pytest.mark.parametrize("name", ["../other/model.onnx", "/etc/passwd", "..", "a/b", "", ".hidden", "router.json"])
def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_bundle(tmp_path / "b")
    files = json.loads((folder / MANIFEST).read_text())["files"]
    edit(folder, files={**files, name: "0" * 64})
    assert f"files: {name!r}" in refused(folder)


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_not(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / "..data").mkdir()  # how Kubernetes mounts a volume it may replace
    shutil.move(folder / TOKENIZER, folder / "..data" / TOKENIZER)
    (folder / TOKENIZER).symlink_to(Path("..data") / TOKENIZER)
    open_bundle(folder)
    outside = shutil.move(folder / "..data" / TOKENIZER, tmp_path / TOKENIZER)
    (folder / TOKENIZER).unlink()
    (folder / TOKENIZER).symlink_to(outside)
    assert "a link out of the folder" in refused(folder)


def test_weights_that_the_manifest_does_not_list_are_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", external=True)
    files = json.loads((folder / MANIFEST).read_text())["files"]
    edit(folder, files={name: files[name] for name in (MODEL, TOKENIZER)}, sizes={})
    assert "weights in 'model.onnx.data'" in refused(folder)


@pytest.mark.parametrize("location", ["../secret", "/etc/shadow"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    graph = classifier_graph()
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    folder = write_bundle(tmp_path / "b")
    (folder / MODEL).write_bytes(graph.SerializeToString())
    from tests.unit.bundles.tiny import seal

    seal(folder, schema=1, kind="classifier", architecture="Tiny", labels=("a", "b", "c"), max_tokens=512)
    assert f"weights in {location!r}" in refused(folder)


@pytest.mark.parametrize("opset", [9, 13, 24])
def test_an_opset_outside_the_supported_is_refused(tmp_path: Path, opset: int) -> None:
    message = refused(write_bundle(tmp_path / "b", graph=classifier_graph(opset=opset)))
    assert f"opset {opset}\n  expected: opset 14 to 23" in message


def test_operators_from_elsewhere_are_refused(tmp_path: Path) -> None:
    graph = classifier_graph()
    graph.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    assert "operators of domain 'com.example'" in refused(write_bundle(tmp_path / "b", graph=graph))


def test_a_wrong_number_of_labels_is_refused_with_both_numbers(tmp_path: Path) -> None:
    message = refused(write_bundle(tmp_path / "b", graph=classifier_graph(4)))
    assert "logits for 4 labels\n  expected: 3, the labels of router.json" in message


def test_a_model_that_generates_needs_its_past_among_inputs_and_outputs(tmp_path: Path) -> None:
    message = refused(write_bundle(tmp_path / "b", kind="preference", prompt="arch-router-1"))
    assert "0 inputs past_key_values.* and 0 outputs present.*" in message


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"schema": 2}, "schema: version 2\n  expected: version 1"),
        ({"schema": None}, "schema: version None"),
        ({"kind": "oracle"}, "Invalid enum value 'oracle'"),
        ({"labels": ["a", "a", "b"]}, "names, each once"),
        ({"labels": ["a"]}, "2 at least"),
        ({"max_tokens": 0}, "8 at least"),
        ({"max_tokens": "many"}, "$.max_tokens"),
        ({"pooling": "mean"}, "nothing for others"),
        ({"dtype": "int8"}, "how far the int8 model agrees"),
        ({"dtype": "int8", "agreement": {"share": 1.5, "n": 4}}, "0 to 1"),
        ({"window": {"tokens": 100, "stride": 101}}, "a stride of 1 to `tokens`"),
        ({"window": {"tokens": 1000, "stride": 10}}, "at most 512 tokens"),
        ({"kind": "preference"}, "prompt: nothing"),
        ({"kind": "encoder"}, "cls, mean or last"),
        ({"files": {}}, "no model.onnx"),
        ({"files": {MODEL: "abc"}}, "64 lower-case hex digits"),
        ({"sizes": {"other": 1}}, "names that `files` has"),
        ({"surprise": 1}, "unknown field `surprise`"),
    ],
)
def test_a_manifest_that_no_model_can_have_is_refused(tmp_path: Path, members: dict[str, Any], expected: str) -> None:
    folder = write_bundle(tmp_path / "b")
    edit(folder, **members)
    assert expected in refused(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 5000, b"{}", b" " * (1 << 20) + b"{}"])
def test_a_manifest_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / MANIFEST).write_bytes(content)
    assert str(folder / MANIFEST) in refused(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"model": 3}', b"[" * 5000])
def test_a_tokenizer_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / TOKENIZER).write_bytes(content)
    _seal_again(folder)
    assert str(folder / TOKENIZER) in refused(folder)


@pytest.mark.parametrize("cut", [0, 1, 17, 200, -1])
def test_a_graph_that_was_cut_before_it_was_hashed_is_refused(tmp_path: Path, cut: int) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:cut])
    _seal_again(folder)
    assert str(folder / MODEL) in refused(folder)


def test_data_that_was_cut_before_it_was_hashed_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", external=True)
    file = folder / "model.onnx.data"
    file.write_bytes(file.read_bytes()[:-1])
    _seal_again(folder)
    assert "within the file's" in refused(folder)


def test_every_problem_is_said_at_once(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", external=True)
    (folder / TOKENIZER).unlink()
    os.truncate(folder / "model.onnx.data", 5)
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"hidden": 4, "models": 3}, "rows for 3 models"),
        ({"projection": np.zeros((5, 8), np.float32)}, "expected: models (models, hidden)"),
        ({"head": np.zeros((2, 4), np.float32)}, "expected: models (models, hidden)"),
        ({"head": np.array([object()])}, "values of type object"),
        ({"head": np.zeros((1, 4), np.int64)}, "values of type int64"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, Any], expected: str) -> None:
    assert expected in refused(write_bundle(tmp_path / "b", kind="matrix_factorization", tensors=arrays))


def test_tensors_that_are_no_archive_are_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", kind="matrix_factorization")
    (folder / TENSORS).write_bytes(b"not a zip")
    _seal_again(folder)
    assert str(folder / TENSORS) in refused(folder)
    write_tensors(folder / TENSORS)
    (folder / TENSORS).write_bytes((folder / TENSORS).read_bytes()[:-30])
    _seal_again(folder)
    assert str(folder / TENSORS) in refused(folder)


def test_an_int8_model_says_how_well_it_agrees(tmp_path: Path) -> None:
    from signalbox.bundles import Agreement

    bundle = open_bundle(write_bundle(tmp_path / "b", dtype=Dtype.INT8, agreement=Agreement(0.99, 120)))
    assert bundle.manifest.agreement == Agreement(0.99, 120)


def _seal_again(folder: Path) -> None:
    from tests.unit.bundles.tiny import seal

    members = json.loads((folder / MANIFEST).read_text())
    for recorded in ("files", "sizes"):
        del members[recorded]
    seal(folder, **members)


def test_the_tiny_tokenizer_is_one(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    assert Tokenizer.from_str(tokenizer_json()).encode("hello worlds").tokens == ["hello", "world", "##s"]
