"""Benchmarks that commands and documents name are there, and each may be run as a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "Makefile", ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BENCHMARKS = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_benchmark_that_is_named_exists(source: Path) -> None:
    assert set(re.findall(r"-m benchmarks\.(\w+)", source.read_text())) <= BENCHMARKS


def test_no_benchmark_is_named_like_a_module_of_python() -> None:
    """Run as a file, its folder comes first on the path: whatever imports that module would get the benchmark."""
    assert BENCHMARKS & sys.stdlib_module_names == set()
