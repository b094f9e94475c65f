"""Which vocabulary, chat template and image formula a model has, by the name its provider gives it.

The first pattern that fits decides. A name nobody knows gets no family, and its prompts are estimated: a wrong
vocabulary would look exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from signalbox.tokens.images import ANTHROPIC, GEMINI, PIXTRAL, QWEN_VL, ImageFormula, openai_patches, openai_tiles
from signalbox.tokens.templates import TemplateName


@dataclass(frozen=True, slots=True)
class Family:
    """What models of one kind share. vocabulary: empty where none is public (Claude, Gemini)."""

    vocabulary: str
    template: TemplateName | None
    images: ImageFormula | None = None


@dataclass(frozen=True, slots=True)
class Shipped:
    """A vocabulary inside an installed package."""

    package: str
    file: str
    pattern: str | None = None


_GPT_4O = openai_tiles(85, 170)
_MISTRAL_V3 = Family("mistral-sentencepiece-v3", "mistral-v3")

_FAMILIES: tuple[tuple[str, Family], ...] = (
    (r"gpt-4o-mini", Family("o200k", "openai", openai_tiles(2833, 5667))),
    (r"gpt-4\.1-mini|gpt-5(\.\d)?-mini", Family("o200k", "openai", openai_patches(1.62))),
    (r"gpt-4\.1-nano|gpt-5(\.\d)?-nano", Family("o200k", "openai", openai_patches(2.46))),
    (r"o4-mini", Family("o200k", "openai", openai_patches(1.72))),
    (r"gpt-4o|chatgpt-4o|gpt-4\.[15]", Family("o200k", "openai", _GPT_4O)),
    (r"gpt-5", Family("o200k", "openai", openai_tiles(70, 140))),
    (r"o[13](?![a-z0-9])", Family("o200k", "openai", openai_tiles(75, 150))),
    (r"gpt-4(?![.a-z0-9])|gpt-3\.?5|text-embedding-(3|ada)", Family("cl100k", "openai", _GPT_4O)),
    (r"(meta-)?llama-?4", Family("llama4", None)),
    (r"(meta-)?llama-?3[.-][123](?!\d)", Family("llama3", "llama3.1")),
    (r"(meta-)?llama-?3", Family("llama3", "llama3")),
    (r"qwen-?2\.5-vl", Family("qwen2", "qwen2", QWEN_VL)),
    (r"qwen-?2\.5", Family("qwen2", "qwen2.5")),
    (r"qwen-?2-vl", Family("qwen2", "qwen2", QWEN_VL)),
    (r"qwen-?2(?![.\d])", Family("qwen2", "qwen2")),
    (r"qwen-?3(?![.\d])", Family("qwen2", "chatml")),
    # As mistral-common's table of models has them; it has no Mistral Small 3, and no file for one.
    (r"(open-)?mistral-nemo|ministral-8b-(instruct-)?2410", Family("mistral-tekken-v3", "mistral-v3")),
    (r"pixtral-12b", Family("mistral-tekken-v3", "mistral-v3", PIXTRAL)),
    (r"mistral-small-(3|25)", Family("mistral-tekken-v7", "mistral-v7")),
    (r"mistral-7b-(instruct-)?v0\.3|(open-)?mixtral-8x22b-(instruct-)?(v0\.3|2404)", _MISTRAL_V3),
    (r"mistral-large-(instruct-)?2407|codestral-2405", _MISTRAL_V3),
    (r"mistral-large-(instruct-)?2411", Family("mistral-sentencepiece-v7", "mistral-v7")),
    (r"pixtral-large-(instruct-)?2411", Family("mistral-sentencepiece-v7", "mistral-v7", PIXTRAL)),
    (r"gemma", Family("gemma", "gemma")),
    (r"deepseek-(v3|chat|r1(?!-distill))", Family("deepseek", "deepseek")),
    (r"claude", Family("", None, ANTHROPIC)),
    (r"gemini", Family("", None, GEMINI)),
)
_COMPILED = tuple((re.compile(pattern), family) for pattern, family in _FAMILIES)

_LITELLM = "litellm_core_utils/tokenizers/"
SHIPPED: dict[str, Shipped] = {
    "o200k": Shipped("litellm", _LITELLM + "fb374d419588a4632f3f557e76b4b70aebbca790", "o200k"),
    "cl100k": Shipped("litellm", _LITELLM + "9b5ad71b2ce5302211f9c61530b329a4922fc6a4", "cl100k"),
    "deepseek": Shipped("litellm", _LITELLM + "deepseek_tokenizer.json"),
    "llama3": Shipped("llama_models", "llama3/tokenizer.model", "llama3"),
    "llama4": Shipped("llama_models", "llama4/tokenizer.model", "llama4"),
    "qwen2": Shipped("dashscope", "resources/qwen.tiktoken", "qwen2"),
    "mistral-tekken-v3": Shipped("mistral_common", "data/tekken_240718.json"),
    "mistral-sentencepiece-v3": Shipped("mistral_common", "data/mistral_instruct_tokenizer_240323.model.v3"),
    "mistral-sentencepiece-v7": Shipped("mistral_common", "data/mistral_instruct_tokenizer_241114.model.v7"),
}
"""Vocabulary -> where an installed package keeps it. tiktoken's files carry the SHA-1 of their address as a name."""

VOCABULARIES = tuple(sorted({family.vocabulary for _, family in _FAMILIES} - {""}))
"""Every vocabulary the catalogue names; a policy defines one by giving a tokenizer that name."""


def find_family(model: str) -> Family | None:
    """Return the family of a model, by the provider's name for it; owner prefixes (`Qwen/`) do not count."""
    name = model.lower().rpartition("/")[2]
    return next((family for pattern, family in _COMPILED if pattern.match(name)), None)


def template_of(vocabulary: str) -> TemplateName | None:
    """Return the template most models of a vocabulary use; None where they differ."""
    templates = {family.template for _, family in _FAMILIES if family.vocabulary == vocabulary}
    return templates.pop() if len(templates) == 1 else None


def find_shipped(vocabulary: str) -> tuple[Path, str | None] | None:
    """Return file and split pattern of a vocabulary some installed package ships; the package is not imported."""
    shipped = SHIPPED.get(vocabulary)
    if shipped is None:
        return None
    try:
        spec = find_spec(shipped.package)
    except (ImportError, ValueError):  # ValueError: a module that took its own spec away
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / shipped.file).is_file():
            return path, shipped.pattern
    return None
