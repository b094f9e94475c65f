"""What `make models-demo` breaks is broken, what it shows is documented, and it fails when something is wrong."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx")

from scenarios.models import __main__ as command
from scenarios.models import trouble
from scenarios.models.checkpoints import CHECKPOINTS
from scenarios.models.damage import DAMAGES
from scenarios.models.exports import DemoError, called
from scenarios.models.gateway import policy
from scenarios.story import Row
from signalbox.bundles import open_bundle
from signalbox.bundles.export.published import published
from signalbox.engines.reading import lengths
from signalbox.engines.runtime import open_network
from signalbox.errors import BundleError, RouterError
from signalbox.policy.engines import Engine
from tests.unit.engines.bundles import classifier_bundle

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
LABELS = ("strong", "tie", "weak")
ON_DISK = [name for name in DAMAGES if name != "another kind of model"]  # which the policy's check finds


def first_cells(heading: str) -> list[str]:
    """First column of the documented table whose first heading this is."""
    table = PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return classifier_bundle(tmp_path / "sound", external=True)


@pytest.mark.parametrize("name", ON_DISK)
def test_each_damage_is_refused_with_its_cause(tmp_path: Path, bundle: Path, name: str) -> None:
    damage, says = DAMAGES[name]
    other = classifier_bundle(tmp_path / "other", external=True)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    (other / "tokenizer.json").write_text(json.dumps(tokenizer, indent=4))
    shutil.copytree(bundle, tmp_path / "damaged")
    damage(tmp_path / "damaged", other)
    with pytest.raises(BundleError, match=re.escape(says)):
        open_bundle(tmp_path / "damaged")


def test_a_model_without_numbers_and_one_without_bounds_open_as_sound_ones_do(tmp_path: Path, bundle: Path) -> None:
    sections = trouble.engines(tmp_path / "troubled", bundle)
    ruined, boundless = (
        open_network(open_bundle(sections[name]["bundle"]).model) for name in ("nan-logits", "out-of-memory")
    )
    assert str(ruined.run_ids([2, 5, 3])) == "[[nan nan nan]]"
    for loaded in (ruined, boundless):
        assert loaded.measure(lengths(128), vocabulary=16).points
    with pytest.raises(RouterError, match="ONNX Runtime failed"):
        boundless.run_ids([2, 5, 3])


def test_every_trouble_has_an_engine_the_policy_takes(tmp_path: Path, bundle: Path) -> None:
    sections = trouble.engines(tmp_path / "troubled", bundle)
    assert list(sections) == [trouble.key(name) for name in trouble.TROUBLES]
    for section in sections.values():
        place = section.get("endpoint", "").replace("{judge}", "http://127.0.0.1:1")
        Engine.model_validate({**section, **({"endpoint": place} if place else {})})


def test_every_checkpoint_is_called_as_it_is_published_and_has_a_router() -> None:
    assert all(published(checkpoint.folder) is not None for checkpoint in CHECKPOINTS.values())
    made = policy(Path("bundles"), {"house": "http://h/v1", "cloud": "http://c/v1"}, "http://j", "http://g")
    assert tuple(made["routers"]) == command.ROUTERS
    assert {*command.ROUTERS, "encoder"} == set(CHECKPOINTS)


def test_what_is_shown_is_documented_in_order() -> None:
    names = {name: checkpoint.published for name, checkpoint in CHECKPOINTS.items()}
    assert first_cells("checkpoint") == list(names.values())
    assert first_cells("router") == [names[router] for router in command.ROUTERS]
    assert first_cells("at load") == list(DAMAGES)
    assert first_cells("at run time") == list(trouble.TROUBLES)


def test_a_cause_is_told_without_places() -> None:
    error = (
        "/etc/policy.yaml:7: engines.bert.bundle: /bundles/b/model.onnx.data: SHA-256 " + "a1" * 32 + "\n"
        "  expected: SHA-256 " + "b2" * 32 + ", by router.json\n  fix: copy the folder again"
    )
    ready = json.dumps({"policy": {"error": error}})
    told = "model.onnx.data: SHA-256 a1a1a1a1…; expected: SHA-256 b2b2b2b2…, by router.json"
    assert command.cause(ready, Path("/bundles/b")) == told
    assert command.cause(None, Path("/bundles/b")) == "nothing"


def test_a_check_that_does_not_hold_and_a_command_that_fails_make_the_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_a_failing_command(*_: Any) -> Iterator[Row]:
        yield Row("something", "1", "1")
        called(["false"])

    monkeypatch.setattr(command, "find_envoy", lambda: Path("/bin/true"))
    monkeypatch.setattr(command, "play", lambda *_: iter([Row("answers", "2", "3", holds=False)]))
    assert command.main([]) == 1
    assert "broken: answers: 2, wanted 3" in capsys.readouterr().err
    monkeypatch.setattr(command, "play", lambda *_: iter([Row("answers", "3", "3")]))
    assert command.main([]) == 0
    monkeypatch.setattr(command, "play", with_a_failing_command)
    assert command.main([]) == 1
    assert "broken: false: status 1" in capsys.readouterr().err
    with pytest.raises(DemoError, match="status 2"):
        called(["bash", "-c", "exit 2"])
