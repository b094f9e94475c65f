"""Policies for `signalbox up` when nobody gave one: real providers if their keys are here, else mocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import yaml

MOCKS = ("acme", "bolt", "home")


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """A public provider: the variable its key is usually in, its base URL and two of its models."""

    name: str
    variable: str
    endpoint: str
    cheap: str
    strong: str
    dialect: str = "openai"


# Model names date quickly; the policy that `up` writes is meant to be edited.
KNOWN_PROVIDERS = (
    KnownProvider("openai", "OPENAI_API_KEY", "https://api.openai.com/v1", "gpt-5-mini", "gpt-5"),
    KnownProvider(
        "anthropic", "ANTHROPIC_API_KEY", "https://api.anthropic.com/v1", "claude-haiku-4-5", "claude-sonnet-4-5",
        dialect="anthropic",
    ),
    KnownProvider(
        "gemini", "GEMINI_API_KEY", "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-2.5-flash", "gemini-2.5-pro",
    ),
    KnownProvider(
        "mistral", "MISTRAL_API_KEY", "https://api.mistral.ai/v1", "mistral-small-latest", "mistral-large-latest"
    ),
    KnownProvider("deepseek", "DEEPSEEK_API_KEY", "https://api.deepseek.com/v1", "deepseek-chat", "deepseek-reasoner"),
    KnownProvider(
        "groq", "GROQ_API_KEY", "https://api.groq.com/openai/v1", "llama-3.1-8b-instant", "llama-3.3-70b-versatile"
    ),
)  # fmt: skip


def found_keys(environment: Mapping[str, str]) -> dict[KnownProvider, str]:
    """The known providers whose key is set and not empty."""
    return {known: environment[known.variable] for known in KNOWN_PROVIDERS if environment.get(known.variable)}


def write_keys(keys: Mapping[KnownProvider, str], directory: Path) -> dict[str, Path]:
    """Put each key into a file of its own, readable by this user only. Returns provider name -> file."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = {}
    for known, key in keys.items():
        path = directory / known.name
        path.touch(mode=0o600)
        path.write_text(key.strip())
        paths[known.name] = path
    return paths


def provider_policy(key_files: Mapping[str, Path]) -> str:
    """A policy over the providers that have a key: what the built-in engine finds simple to the cheap models."""
    known = [provider for provider in KNOWN_PROVIDERS if provider.name in key_files]
    cheap, strong = [p.cheap for p in known], [p.strong for p in known]
    policy: dict[str, Any] = {
        "version": 1,
        "providers": {
            provider.name: {
                "endpoint": provider.endpoint,
                **({"dialect": provider.dialect} if provider.dialect != "openai" else {}),
                "key": {"file": str(key_files[provider.name])},
            }
            for provider in known
        },
        "models": {
            model: {"provider": provider.name, "modalities": ["text", "image"]}
            for provider in known
            for model in (provider.cheap, provider.strong)
        },
        "routers": {
            "everyday": {
                "tasks": [
                    {"name": "simple", "description": "Everyday questions", "models": cheap},
                    {"name": "hard", "description": "Questions that need reasoning", "models": strong},
                ],
                "engine": {"name": "builtin", "strong": "hard", "weak": "simple"},
                "complexity": {"threshold": 0.3, "below": "simple", "above": "hard"},
                "default_task": "simple",
            }
        },
        "default_router": "everyday",
    }
    head = "# Written by `signalbox up` from the API keys it found. Edit it while everything runs.\n"
    return head + yaml.safe_dump(policy, sort_keys=False, width=120)


def mock_policy(base_urls: Mapping[str, str], keys: Path) -> str:
    """The demo policy over mock providers; base_urls holds one URL for each of MOCKS, `keys` their key files."""
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in base_urls:
        (keys / name).write_text(f"key-of-{name}")
    text = files("signalbox.up").joinpath("demo.yaml").read_text(encoding="utf-8")
    return Template(text).substitute(base_urls, keys=keys)
