"""docs/architecture.md stays true: modules import from their left only."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "signalbox").rglob("*.py"))


def order() -> dict[str, int]:
    """Package -> its place in the documented line; those that share a place are separated by commas."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    line = re.search(r"^types, errors.*<-.*$", text, re.MULTILINE)
    assert line
    groups = [group.split(",") for group in line[0].split("<-")]
    return {name.strip(): place for place, group in enumerate(groups) for name in group}


def imports(path: Path) -> set[str]:
    """Top-level packages of signalbox that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("signalbox.")}
    return found


def owner(path: Path) -> str:
    return path.relative_to(ROOT / "src" / "signalbox").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_module_imports_from_its_left_only(path: Path) -> None:
    places = order()
    mine = owner(path)
    if mine in ("__init__", "__main__", "_pb"):
        return
    assert mine in places, f"{mine} is not in the documented order"
    packages = {name for name in imports(path) if (ROOT / "src" / "signalbox" / name).exists() or name in places}
    for other in packages - {mine, "__version__", "_pb"}:
        assert places[other] < places[mine] or (places[other], places[mine]) == (0, 0), f"{mine} imports {other}"


@pytest.mark.parametrize("name", sorted(order()))
def test_every_package_in_the_line_exists(name: str) -> None:
    package = ROOT / "src" / "signalbox" / name
    assert package.is_dir() or package.with_suffix(".py").is_file()
