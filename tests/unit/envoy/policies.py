"""Policies that the tests of Envoy's configuration are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from signalbox.envoy.render import Layout
from signalbox.policy.schema import Policy

LAYOUT = Layout(run_dir=Path("/run/signalbox"), workers=2, ca_file="/etc/ssl/certs/ca-certificates.crt")


def document(**changes: Any) -> dict[str, Any]:
    """A policy with one of everything that matters to Envoy."""
    return {
        "version": 1,
        "gateway": {"max_attempts": 3, "first_byte_timeout_seconds": 7.5},
        "providers": {
            "openai": {"endpoint": "https://api.openai.com/v1", "key": {"file": "/keys/openai"}},
            "claude": {
                "endpoint": "https://api.anthropic.com/v1",
                "dialect": "anthropic",
                "key": {"file": "/keys/claude"},
                "headers": {"anthropic-version": "2023-06-01", "x-note": "50%off"},
            },
            "vllm": {
                "endpoint": "http://10.0.0.7:8000/v1",
                "location": "local",
                "health": {"path": "/health", "interval_seconds": 3},
            },
        },
        "models": {
            "gpt-5-mini": {"provider": "openai"},
            "claude-large": {"provider": "claude"},
            "meta/llama-3:70b": {"provider": "vllm", "name": "llama"},
        },
        "aliases": {"house": "gpt-5-mini"},
        "routers": {
            "everyday": {
                "description": "Whatever fits",
                "models": ["gpt-5-mini"],
                "fallback": ["meta/llama-3:70b"],
                "rules": [{"when": {"headers": {"x-tier": "gold"}}, "models": ["claude-large"]}],
                "privacy": {"local_only": {"headers": {"x-team": "legal"}}},
            }
        },
        "default_router": "everyday",
        "privacy": {"local_only": {"headers": {"x-data-class": "restricted"}}},
        **changes,
    }


def policy(**changes: Any) -> Policy:
    return Policy.model_validate(document(**changes))


def by_header() -> Policy:
    return policy(gateway={"mode": "cluster_header"})
