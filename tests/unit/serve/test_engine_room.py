"""A worker's engines: opened where it runs, with what it has to share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.serve.engine_room import PREPARED, EngineRoom
from tests.unit.decide.cases import make_policy
from tests.unit.engines.bundles import classifier_bundle, judged_policy


@pytest.fixture(autouse=True)
def switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_weights_are_prepared_in_the_run_directory_and_kept_engines_stay(tmp_path: Path) -> None:
    room = EngineRoom(tmp_path / "run", 1)
    policy = judged_policy(classifier_bundle(tmp_path / "b", external=True), engine={"device": "cpu"})
    engines = room.open(policy, None)
    assert engines is not None
    assert list((tmp_path / "run" / PREPARED).glob("*/model.onnx"))
    again = room.open(policy, engines)
    assert again is not None
    assert again._desks["judge"] is engines._desks["judge"]
    again.close()


def test_what_cannot_be_opened_is_one_line_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engines = EngineRoom(tmp_path, 1).open(judged_policy(tmp_path / "gone"), None)
    assert engines is not None
    [line] = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (line["level"], line["event"], line["engine"]) == ("warning", "engine", "judge")
    assert "router.json" in line["problem"]
    engines.close()


def test_a_policy_without_engines_opens_none_and_leaves_the_interpreter_as_it_is(tmp_path: Path) -> None:
    before = sys.getswitchinterval()
    assert EngineRoom(tmp_path, 1).open(make_policy(routers={"r": {"models": ["acme-mini"]}}), None) is None
    assert sys.getswitchinterval() == before
