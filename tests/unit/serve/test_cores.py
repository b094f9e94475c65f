"""How many cores a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signalbox.serve.cores import cpu_limit, usable_cores

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("text", "cores"), [("150000 100000", 1.5), ("max 100000", None), ("50000 100000", 0.5)])
def test_the_limit_of_a_container_is_read_in_cores(tmp_path: Path, text: str, cores: float | None) -> None:
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert cpu_limit(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("200000", 2.0), ("-1", None)])
def test_so_is_the_limit_on_an_older_kernel(tmp_path: Path, quota: str, cores: float | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_limit(tmp_path) == cores


@pytest.mark.parametrize("text", ["", "nonsense", "1 0", "a b"])
def test_a_limit_nobody_can_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_limit(tmp_path) is None
    assert usable_cores(tmp_path) == ALL


def test_part_of_a_core_is_one_and_a_wide_limit_is_what_the_machine_has(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("10000 100000")
    assert usable_cores(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("99900000 100000")
    assert usable_cores(tmp_path) == ALL
