"""The built-in models reach whoever installs the package, and their card tells of each."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from signalbox.brain.artifact import MODELS, open_artifact

ROOT = Path(__file__).parents[3]
CARD = (MODELS / "MODEL_CARD.md").read_text()


def test_every_file_of_the_models_is_put_into_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["signalbox"]
    package = MODELS.parents[1]
    files = [path.relative_to(package).as_posix() for path in MODELS.rglob("*") if path.is_file()]
    assert len(files) > 2
    assert [file for file in files if not any(fnmatch(file, pattern) for pattern in patterns)] == []


@pytest.mark.parametrize("manifest", sorted(MODELS.glob("*.json")), ids=lambda path: path.stem)
def test_every_model_is_whole_and_has_a_section_in_the_card(manifest: Path) -> None:
    open_artifact(manifest.stem)
    assert re.search(rf"^## {manifest.stem}$", CARD, re.MULTILINE)


def test_all_models_together_stay_within_what_a_package_may_weigh() -> None:
    assert sum(path.stat().st_size for path in MODELS.iterdir()) <= 25 * 2**20
