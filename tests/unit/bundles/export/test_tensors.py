"""RouteLLM's matrix factorisation becomes a bundle of arrays, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from signalbox.bundles import open_bundle
from signalbox.bundles.export.published import ROUTELLM_MODELS
from signalbox.bundles.export.request import Request
from signalbox.bundles.export.run import export
from signalbox.bundles.export.safetensors_file import read_tensors
from signalbox.bundles.manifest import Kind
from signalbox.cli import main
from signalbox.core.factorization import Factorization
from signalbox.errors import BundleError
from tests.unit.bundles.export.checkpoints import factorization_arrays, write_checkpoint, write_safetensors


def source(tmp_path: Path, **sizes: int) -> Path:
    folder = write_checkpoint(tmp_path / "mf_gpt4_augmented", {"dim": 8, "num_models": 64, "text_dim": 16})
    write_safetensors(folder / "model.safetensors", **factorization_arrays(**sizes))
    return folder


def test_the_published_tensors_become_a_bundle_by_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "export", str(source(tmp_path)), "--out", str(tmp_path / "mf")]) == 0
    assert "writing tensors" in capsys.readouterr().err
    bundle = open_bundle(tmp_path / "mf")
    assert bundle.manifest.kind is Kind.MATRIX_FACTORIZATION
    assert bundle.manifest.embedding == "text-embedding-3-small"
    assert bundle.manifest.labels == ROUTELLM_MODELS
    assert bundle.manifest.labels.index("gpt-4-1106-preview") == 24
    assert bundle.manifest.labels.index("mixtral-8x7b-instruct-v0.1") == 36


def test_scores_are_those_of_the_formula_in_the_checkpoints_own_terms(tmp_path: Path) -> None:
    export(Request(str(source(tmp_path)), tmp_path / "mf"))
    arrays = np.load(open_bundle(tmp_path / "mf").tensors)
    folded = Factorization.fold(arrays["models"], arrays["projection"], arrays["head"])
    given = factorization_arrays()
    p, w, c = given["P__weight"], given["text_proj__0__weight"], given["classifier__0__weight"]
    vector = np.random.default_rng(5).normal(size=16)
    unit = p / np.linalg.norm(p, axis=1, keepdims=True)
    expected = (unit * (w @ vector)) @ c[0]
    assert np.allclose(folded.directions @ vector, expected, atol=1e-5)


def test_without_a_projection_vectors_have_the_models_dimensions(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "own", {})
    arrays = factorization_arrays(models=2)
    del arrays["text_proj__0__weight"]
    write_safetensors(folder / "model.safetensors", **arrays)
    asked = Request(
        str(folder), tmp_path / "mf", kind=Kind.MATRIX_FACTORIZATION, labels=("big", "small"), embedding="mine"
    )
    export(asked)
    assert np.array_equal(np.load(open_bundle(tmp_path / "mf").tensors)["projection"], np.eye(8))


def test_tensors_that_do_not_fit_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    for sizes, expected in (({"models": 3}, "rows for 3 models, while there are 64 names"),):
        with pytest.raises(BundleError, match=expected):
            export(Request(str(source(tmp_path, **sizes)), tmp_path / "out" / "mf"))
    arrays = factorization_arrays()
    arrays["P__weight"][1, 1] = np.nan
    folder = tmp_path / "mf_gpt4_augmented"
    write_safetensors(folder / "model.safetensors", **arrays)
    with pytest.raises(BundleError, match="NaN"):
        export(Request(str(folder), tmp_path / "out" / "mf"))
    write_safetensors(folder / "model.safetensors", other=np.ones(3))
    with pytest.raises(BundleError, match=r"no tensor P\.weight; there are other"):
        export(Request(str(folder), tmp_path / "out" / "mf"))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bundle_is_replaced_when_asked(tmp_path: Path) -> None:
    folder = source(tmp_path)
    export(Request(str(folder), tmp_path / "mf", licence="first"))
    with pytest.raises(BundleError, match="--replace"):
        export(Request(str(folder), tmp_path / "mf", licence="second"))
    export(Request(str(folder), tmp_path / "mf", licence="second", replace=True))
    assert open_bundle(tmp_path / "mf").manifest.licence == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mf", "mf_gpt4_augmented"]


def test_files_of_a_bundle_can_be_read_by_others(tmp_path: Path) -> None:
    export(Request(str(source(tmp_path)), tmp_path / "mf"))
    assert (tmp_path / "mf").stat().st_mode & 0o777 == 0o755
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "mf").iterdir()} == {0o644}


def test_half_and_brain_floats_are_read_as_float32(tmp_path: Path) -> None:
    values = np.array([[1.5, -2.0], [0.25, 1024.0]], np.float32)
    brain = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    half = values.astype("<f2").tobytes()
    header = (
        b'{"__metadata__":{"format":"pt"},'
        b'"b":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},'
        b'"h":{"dtype":"F16","shape":[2,2],"data_offsets":[8,16]}}'
    )
    file = tmp_path / "m.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + brain + half)
    tensors = read_tensors(file)
    assert set(tensors) == {"b", "h"}
    for tensor in tensors.values():
        assert tensor.dtype == np.float32
        assert np.array_equal(tensor, values)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x10\0\0\0\0\0\0\0{}",
        b"\xff" * 8,
        b"\x02\0\0\0\0\0\0\0[]",
        b'\x2e\0\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}',
        b'\x0f\0\0\0\0\0\0\0{"a":"surprise"}',
        b'\x31\0\0\0\0\0\0\0{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}0',
    ],
)
def test_a_damaged_file_of_tensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ValueError):
        read_tensors(tmp_path / "m.safetensors")
