"""Files appear whole, in order, and only when they changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from signalbox.envoy import files
from signalbox.envoy.files import write
from signalbox.envoy.render import Rendered

TEXTS = {"bootstrap.yaml": "b", "lds.yaml": "l", "secrets/openai.yaml": "s", "rds.yaml": "r", "cds.yaml": "c"}


def rendered(texts: Mapping[str, str]) -> Rendered:
    return Rendered(texts, {})


def test_nothing_is_named_before_it_is_there(tmp_path: Path) -> None:
    assert write(rendered(TEXTS), tmp_path) == (
        "secrets/openai.yaml", "cds.yaml", "rds.yaml", "lds.yaml", "bootstrap.yaml",
    )  # fmt: skip
    assert {name: (tmp_path / name).read_text() for name in TEXTS} == TEXTS


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    write(rendered(TEXTS), tmp_path)
    untouched = (tmp_path / "cds.yaml").stat().st_ino
    assert write(rendered({**TEXTS, "rds.yaml": "new"}), tmp_path) == ("rds.yaml",)
    assert (tmp_path / "cds.yaml").stat().st_ino == untouched


def test_a_changed_file_is_another_file_so_that_no_reader_sees_half_of_it(tmp_path: Path) -> None:
    write(rendered(TEXTS), tmp_path)
    with (tmp_path / "rds.yaml").open() as reading:
        write(rendered({**TEXTS, "rds.yaml": "new"}), tmp_path)
        assert reading.read() == "r"


def test_secrets_that_nobody_uses_any_more_go_and_strangers_stay(tmp_path: Path) -> None:
    write(rendered(TEXTS), tmp_path)
    (tmp_path / "worker-0.sock").touch()
    (tmp_path / "secrets" / "README").touch()
    write(rendered({name: text for name, text in TEXTS.items() if not name.startswith("secrets/")}), tmp_path)
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == ["README"]
    assert (tmp_path / "worker-0.sock").exists()


def test_only_owner_and_group_can_read(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write(rendered(TEXTS), run)
    assert {oct((run / name).stat().st_mode & 0o777) for name in TEXTS} == {"0o640"}
    assert {oct(path.stat().st_mode & 0o007) for path in (run, run / "secrets")} == {"0o0"}


def test_a_failed_rename_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(rendered(TEXTS), tmp_path)

    def refuse(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(OSError, match="no"):
        write(rendered({**TEXTS, "cds.yaml": "new"}), tmp_path)
    assert (tmp_path / "cds.yaml").read_text() == "c"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
