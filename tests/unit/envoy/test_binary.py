"""Where the Envoy binary is looked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from signalbox.envoy.binary import find_envoy
from signalbox.errors import SetupError


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGNALBOX_ENVOY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))


def test_the_variable_wins_over_the_one_beside_python_and_that_over_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = executable(tmp_path / "path" / "envoy")
    assert find_envoy() == on_path
    beside = executable(tmp_path / "venv" / "envoy")
    assert find_envoy() == beside
    named = executable(tmp_path / "mine")
    monkeypatch.setenv("SIGNALBOX_ENVOY", str(named))
    assert find_envoy() == named


def test_a_wrong_variable_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "path" / "envoy")
    monkeypatch.setenv("SIGNALBOX_ENVOY", str(tmp_path / "typo"))
    with pytest.raises(SetupError, match=r"SIGNALBOX_ENVOY is .*typo"):
        find_envoy()


def test_without_one_the_error_says_how_to_get_it() -> None:
    with pytest.raises(SetupError, match=r"pip install 'signalbox\[envoy\]'"):
        find_envoy()
