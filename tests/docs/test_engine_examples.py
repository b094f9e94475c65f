"""Policies in the documents about engines are policies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from signalbox.policy.load import load_text

DOCS = Path(__file__).parents[2] / "docs"
REST = {
    "version": 1,
    "providers": {"acme": {"endpoint": "https://api.acme.test/v1"}},
    "models": {"gpt-5": {"provider": "acme"}, "gpt-5-mini": {"provider": "acme"}, "qwen3-8b": {"provider": "acme"}},
}


@pytest.mark.parametrize("name", ["engines.md", "preference.md", "deliberate.md"])
def test_every_example_loads_with_models_beside_it(name: str) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (DOCS / name).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        document = {**REST, **yaml.safe_load(block)}
        assert load_text(yaml.safe_dump(document).encode(), name).policy.engines
