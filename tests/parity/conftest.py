"""Exports of small checkpoints made here, with the real classes of each architecture, held against torch.

They need the extra `export`, and are skipped without it: `make parity` installs it beside the development tools.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PACKAGES = ("torch", "transformers", "optimum")
MISSING = [name for name in PACKAGES if find_spec(name) is None]

if not MISSING:
    with warnings.catch_warnings():  # what those packages warn of while they are imported is theirs
        warnings.simplefilter("ignore")
        import optimum.exporters.onnx  # noqa: F401


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            if MISSING:
                item.add_marker(pytest.mark.skip(reason=f"{', '.join(MISSING)} missing: make parity"))
