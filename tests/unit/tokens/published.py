"""Vocabularies that installed packages ship, found without importing what carries them. Tests skip where one lacks."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from signalbox.tokens.tokenizer import Tokenizer
from signalbox.tokens.vocabulary import load_tokenizer

HOW = "pip install '.[test-tokens]'"


def folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed: {HOW}")
    return Path(spec.submodule_search_locations[0])


@cache
def openai(name: str) -> tuple[Path, Tokenizer]:
    pytest.importorskip("tiktoken", reason=HOW)
    files = {
        "cl100k": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "o200k": "fb374d419588a4632f3f557e76b4b70aebbca790",
    }
    path = folder("litellm") / "litellm_core_utils/tokenizers" / files[name]
    return path, load_tokenizer(path, pattern=name)
