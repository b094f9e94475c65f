"""What the README shows is true: its policy loads, its code parses, its links lead somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import signalbox
from signalbox.policy.load import load_text

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_policy_loads_without_a_warning() -> None:
    (policy,) = blocks("yaml")
    assert load_text(policy.encode(), "README.md").warnings == ()


def test_the_python_parses() -> None:
    for block in blocks("python"):
        ast.parse(block)


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", README + (ROOT / "docs" / "development.md").read_text()))
    assert named
    assert named <= targets


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_links_lead_to_files_that_exist(page: str) -> None:
    folder = (ROOT / page).parent
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        if "://" not in link:
            assert (folder / link).exists(), f"{page} links to {link}"


def test_the_changelog_knows_this_version() -> None:
    assert f"## [{signalbox.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
