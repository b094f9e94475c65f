"""`signalbox lint`: tasks that cannot be told apart, and tasks that say nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signalbox.cli import main

POLICY = """
version: 1
providers: {local: {endpoint: "http://127.0.0.1:11434/v1", location: local}}
models: {small: {provider: local}}
routers:
  desk:
    tasks:
"""

APART = {
    "coding": "Write, debug and review computer programs",
    "travel": "Plan trips: flights, hotels and trains",
    "cooking": "Recipes, ingredients and meals",
}


def linted(tmp_path: Path, capsys: pytest.CaptureFixture[str], tasks: dict[str, str]) -> tuple[int, dict[str, Any]]:
    lines = [json.dumps({"name": name, "description": text, "models": ["small"]}) for name, text in tasks.items()]
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY + "".join(f"      - {line}\n" for line in lines) + "    models: [small]\n")
    status = main(["lint", str(path), "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert main(["lint", str(path)]) == status
    capsys.readouterr()
    return status, found


def test_tasks_of_different_subjects_are_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = linted(tmp_path, capsys, APART)
    assert (status, found["tasks"], found["overlaps"]) == (0, 3, [])


def test_two_tasks_with_the_same_words_are_named_with_what_they_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = linted(tmp_path, capsys, {**APART, "journeys": "Plan journeys: trains, hotels and flights"})
    assert status == 1
    (pair,) = found["overlaps"]
    assert (pair["router"], pair["first"], pair["second"]) == ("desk", "journeys", "travel")
    assert 0.3 <= pair["alike"] <= 0.7


def test_a_description_without_words_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = linted(tmp_path, capsys, {**APART, "a1": "...", "42": "!?"})
    assert status == 1
    assert found["speechless"] == [{"router": "desk", "task": "42"}]


def test_a_policy_that_cannot_be_used_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "policy.yaml").write_text("version: 2\n")
    assert main(["lint", str(tmp_path / "policy.yaml")]) == 1
    assert "policy.yaml" in capsys.readouterr().err
