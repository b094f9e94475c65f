"""What `signalbox check` prints and exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.errors import PolicyError
from signalbox.policy.load import load_policy
from signalbox.policy.problems import check_file, render_report, to_json

from .policies import VALID, changed, load


def write(path: Path, document: dict[str, Any]) -> Path:
    (path / "acme").write_text("key")
    document["providers"]["acme"]["key"]["file"] = str(path / "acme")
    file = path / "policy.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def test_a_policy_in_order_is_ok(tmp_path: Path) -> None:
    file = write(tmp_path, changed("version", 1))
    report = check_file(file, strict=True)
    assert report.text == f"{file}: ok"
    assert report.exit_status == 0
    assert report.as_json()["ok"] is True
    assert len(report.as_json()["sha256"]) == 64


def test_a_warning_fails_only_when_strict(tmp_path: Path) -> None:
    file = write(tmp_path, changed("gateway/mode", "cluster_header"))
    assert check_file(file).exit_status == 0
    report = check_file(file, strict=True)
    assert report.exit_status == 1
    assert report.text.startswith(f"warning: {file}:")
    assert report.text.endswith("0 errors, 1 warning")


def test_errors_come_with_place_expectation_fix_and_a_count(tmp_path: Path) -> None:
    file = write(tmp_path, changed("gateway/mdoe", "x") | {"version": 3})
    report = check_file(file)
    assert report.exit_status == 1
    assert f"{file}:" in report.text
    assert '  fix: did you mean "mode"? otherwise remove it' in report.text
    assert report.text.endswith("2 errors, 0 warnings")


def test_key_files_are_looked_at_by_check(tmp_path: Path) -> None:
    file = write(tmp_path, changed("version", 1))
    (tmp_path / "acme").unlink()
    assert [problem.path for problem in check_file(file).problems] == ["providers.acme.key.file"]


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_cannot_be_read_is_a_report_too(tmp_path: Path, name: str) -> None:
    report = check_file(tmp_path / name)
    assert report.exit_status == 1
    assert "cannot be read" in report.text


def test_reports_are_json_for_machines() -> None:
    with pytest.raises(PolicyError) as caught:
        load(changed("version", 2))
    report = json.loads(to_json(caught.value))
    assert (report["ok"], report["sha256"], report["errors"]) == (False, None, 1)
    assert report["problems"][0]["path"] == "version"
    assert json.loads(to_json(load(VALID)))["ok"] is True
    assert render_report(load(VALID)) == "policy.yaml: ok"


def test_a_loaded_policy_carries_its_bytes_and_their_hash(tmp_path: Path) -> None:
    file = write(tmp_path, changed("version", 1))
    loaded = load_policy(file)
    assert loaded.text == file.read_bytes()
    assert loaded.file == str(file)
    assert loaded.sha256 == check_file(file).sha256
