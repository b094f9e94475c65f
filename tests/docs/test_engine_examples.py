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
    "models": {name: {"provider": "acme"} for name in ("gpt-5", "gpt-5-mini", "gpt-image", "qwen3-8b")},
}


@pytest.mark.parametrize("name", ["builtin.md", "engines.md", "preference.md", "deliberate.md"])
def test_every_example_loads_with_models_beside_it(name: str) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (DOCS / name).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        document = {**REST, **yaml.safe_load(block)}
        policy = load_text(yaml.safe_dump(document).encode(), name).policy
        assert policy.engines or policy.routers
