"""`signalbox models inspect` says everything a bundle says, and everything that is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signalbox.bundles import Agreement
from signalbox.bundles.describe import describe, readable
from signalbox.bundles.manifest import MODEL, TOKENIZER, Manifest
from signalbox.cli import main
from tests.unit.bundles.tiny import write_bundle


def test_inspect_prints_members_files_and_ports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_bundle(
        tmp_path / "b",
        dtype="int8",
        agreement=Agreement(0.975, 120, "same label", 0.02),
        source="who/what",
        parity=1e-6,
    )
    assert main(["models", "inspect", str(folder)]) == 0
    out = capsys.readouterr().out
    for expected in (
        "kind         classifier",
        "labels       3: strong, tie, weak",
        "97.5% of 120 texts as float32 (same label), worst difference 0.02",
        "licence      not stated",
        "source       who/what",
        "within 1.0e-06 of the checkpoint",
        "input        input_ids  int64 [batch, sequence]",
        "output       logits  float32 [batch, 3]",
        "opset        ai.onnx 18; 7 nodes",
        f"model.onnx  {readable((folder / MODEL).stat().st_size)}  sha256 ",
        "every file is what router.json says",
    ):
        assert expected in out


def test_inspect_as_json_has_every_member_of_the_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_bundle(tmp_path / "b", external=True)
    assert main(["models", "inspect", "--json", str(folder)]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["usable"]
    assert out["problems"] == []
    assert set(out["manifest"]) == set(Manifest.__struct_fields__)
    assert out["bytes"]["model.onnx.data"] == (folder / "model.onnx.data").stat().st_size
    assert out["graph"]["inputs"][0] == {"name": "input_ids", "dtype": "int64", "shape": ["batch", "sequence"]}
    assert out["graph"]["external_tensors"] == 3


def test_a_broken_bundle_is_described_as_far_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / TOKENIZER).unlink()
    assert main(["models", "inspect", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "kind         classifier" in out
    assert "file         tokenizer.json  missing" in out
    assert "opset        ai.onnx 18" in out
    assert "cannot be used: 1 problem\n" in out
    assert main(["models", "inspect", "--json", str(folder)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["usable"]
    assert found["problems"][0]["file"] == str(folder / TOKENIZER)
    assert found["bytes"]["tokenizer.json"] is None


def test_a_folder_without_a_manifest_is_a_problem_and_no_folder_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "inspect", str(tmp_path)]) == 1
    assert "router.json" in capsys.readouterr().out
    assert main(["models", "inspect", str(tmp_path / "nowhere")]) == 1
    assert "router.json" in capsys.readouterr().err


def test_nothing_in_a_bundle_steers_the_terminal(tmp_path: Path) -> None:
    assert "\x1b" not in describe(write_bundle(tmp_path / "b", source="\x1b[2Jmodel", labels=("a\r", "b", "c"))).text


def test_tensors_are_described_without_a_graph(tmp_path: Path) -> None:
    description = describe(write_bundle(tmp_path / "b", kind="matrix_factorization"))
    assert description.exit_status == 0
    assert "embedding    an-encoder" in description.text
    assert description.as_json()["graph"] is None


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (22_900_000, "22.9 MB"), (1.2e9, "1.2 GB")])
def test_sizes_are_readable(size: int, text: str) -> None:
    assert readable(size) == text
