"""Small policies and requests for tests of decisions. Requests go through the real scanner and features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from signalbox.core import scan
from signalbox.decide.pipeline import Pipeline
from signalbox.features.extract import extract
from signalbox.policy.schema import Policy
from signalbox.types import Case, Decision, Endpoint, ParsedRequest, Signals

PROVIDERS: dict[str, Any] = {
    "acme": {"endpoint": "https://api.acme.test/v1", "serves": [endpoint.value for endpoint in Endpoint]},
    "bolt": {"endpoint": "https://api.bolt.test/v1"},
    "home": {"endpoint": "http://home.test:8000/v1", "location": "local"},
}
MODELS: dict[str, Any] = {
    "acme-large": {"provider": "acme", "context_tokens": 200_000, "price": {"input": 3, "output": 15}},
    "acme-mini": {"provider": "acme", "context_tokens": 100_000, "price": {"input": 0.2, "output": 0.8}},
    "bolt-large": {"provider": "bolt", "name": "bolt/large", "context_tokens": 200_000, "fallback": ["acme-large"]},
    "home-small": {"provider": "home", "context_tokens": 8_000, "price": {"input": 0, "output": 0}},
}
LOCAL_ONLY = {"local_only": {"headers": {"x-data-class": "Restricted"}}}


def make_policy(**sections: Any) -> Policy:
    """A policy over three providers and four models; `sections` add to it or replace a part of it."""
    return Policy.model_validate({"version": 1, "providers": PROVIDERS, "models": MODELS, **sections})


def make_request(
    body: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS,
) -> ParsedRequest:
    raw = json.dumps(body, ensure_ascii=False).encode()
    return ParsedRequest(endpoint, raw, scan(raw), dict(headers or {}))


def make_case(
    model: str = "auto",
    text: str = "hello",
    *,
    headers: Mapping[str, str] | None = None,
    endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS,
    session: str = "session-1",
    complexity: float | None = None,
    **members: Any,
) -> Case:
    """One request with one user turn. `members` are further members of the body, `messages` among them."""
    body: dict[str, Any] = {"model": model}
    if endpoint is Endpoint.EMBEDDINGS:
        body["input"] = text
    else:
        body["messages"] = [{"role": "user", "content": text}]
    request = make_request({**body, **members}, headers=headers, endpoint=endpoint)
    features = extract(request)
    if complexity is not None:
        features = features._replace(complexity=complexity)
    return Case(request, features, Signals("sb-000000000000000000000001", 0.0, session))


def decide(policy: Policy, case: Case) -> Decision:
    return Pipeline.compile(policy).decide(case)


def names(decision: Decision) -> list[str]:
    """Models of the chain, best first."""
    return [candidate.model for candidate in decision.chain]
