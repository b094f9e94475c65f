"""Policies for tests of loading: one that is fine, and the problems of one that is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from signalbox.errors import PolicyError, Problem
from signalbox.policy.load import LoadedPolicy, load_text

VALID: dict[str, Any] = {
    "version": 1,
    "gateway": {"port": 10443, "max_attempts": 4},
    "providers": {
        "acme": {"endpoint": "https://api.acme.test/v1", "key": {"file": "/keys/acme"}},
        "claude": {"endpoint": "https://api.claude.test/v1", "dialect": "anthropic"},
        "home": {"endpoint": "http://home.test:8000/v1", "location": "local", "health": {"path": "/v1/models"}},
    },
    "models": {
        "large": {"provider": "acme", "modalities": ["text", "image"], "price": {"input": 3, "output": 15}},
        "mini": {"provider": "acme", "price": {"input": 0.2, "output": 0.8}, "fallback": ["small"]},
        "small": {"provider": "home", "context_tokens": 8192, "price": {"input": 0, "output": 0}},
        "gpt-4.1": {"provider": "acme", "endpoints": ["chat_completions"]},
    },
    "aliases": {"house": {"mini": 90, "small": 10}, "best": "large", "desk": "everyday"},
    "routers": {
        "everyday": {
            "tasks": [
                {"name": "simple", "models": ["small", "mini"], "prefer": "cheapest"},
                {"name": "hard", "models": ["large"]},
            ],
            "rules": [
                {"name": "traces", "when": {"keywords": ["traceback"], "regex": "^Error: \\w+"}, "task": "hard"},
                {"when": {"headers": {"x-team": "batch"}, "prompt_tokens": {"max": 100}}, "models": ["small"]},
            ],
            "complexity": {"threshold": 0.5, "below": "simple", "above": "hard"},
            "default_task": "simple",
            "fallback": ["mini"],
            "capture": ["gpt-5*"],
        }
    },
    "default_router": "everyday",
    "routing_preference": {"quality": "everyday"},
    "unknown_model": {"use": "desk"},
    "privacy": {"local_only": {"headers": {"x-data-class": "restricted"}}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """VALID with one value set; `path` is keys and list positions between slashes."""
    document = copy.deepcopy(VALID)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place: Any = document
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
    place[last] = value
    return document


def load(document: dict[str, Any] | str | bytes) -> LoadedPolicy:
    if isinstance(document, dict):
        document = yaml.safe_dump(document, sort_keys=False)
    return load_text(document.encode() if isinstance(document, str) else document, "policy.yaml")


def errors_of(document: dict[str, Any] | str | bytes) -> list[Problem]:
    """Problems that refuse a policy, which must be refused."""
    with pytest.raises(PolicyError) as caught:
        load(document)
    return [problem for problem in caught.value.problems if problem.severity == "error"]


def only_error(document: dict[str, Any] | str | bytes) -> Problem:
    """The one problem a policy is refused for."""
    problems = errors_of(document)
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


def only_warning(document: dict[str, Any] | str | bytes) -> Problem:
    """The one warning of a policy that can be used."""
    warnings = load(document).warnings
    assert len(warnings) == 1, "\n".join(map(str, warnings))
    return warnings[0]
