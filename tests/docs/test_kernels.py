"""docs/kernels.md: the example runs, and the page knows every scoring kernel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from signalbox import core
from signalbox.core import score

PAGE = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text()


def test_the_example_runs_and_finds_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["best"].tolist() == [1]
    assert not names["is_empty"]


@pytest.mark.parametrize("name", [name for name in core.__all__ if getattr(score, name, None) is getattr(core, name)])
def test_every_scoring_kernel_is_on_the_page(name: str) -> None:
    assert re.search(rf"`{name}\(", PAGE)
