"""Policies about prices."""

from __future__ import annotations

from typing import Any

import yaml

from signalbox.policy.load import load_text
from signalbox.policy.schema import Policy

PROVIDERS: dict[str, Any] = {
    "openai": {"endpoint": "https://api.openai.com/v1"},
    "gateway": {"endpoint": "https://llm.corp.example/v1"},
    "home": {"endpoint": "http://127.0.0.1:8000/v1", "location": "local"},
}


def policy(models: dict[str, Any], providers: dict[str, Any] | None = None, **more: Any) -> Policy:
    """Return a policy with these models; `PROVIDERS` are there."""
    document = {"version": 1, "providers": PROVIDERS | (providers or {}), "models": models, **more}
    return load_text(yaml.safe_dump(document).encode(), "policy.yaml").policy
