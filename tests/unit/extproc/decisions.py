"""A policy, its pipeline, and values for tests that need a decision without caring which."""

from __future__ import annotations

from signalbox.decide.pipeline import Pipeline
from signalbox.extproc.exchange import Exchange
from signalbox.policy.schema import Policy
from signalbox.types import Candidate, Endpoint, Modality

POLICY_SHA256 = "0123456789abcdef" * 4
POLICY = Policy.model_validate(
    {
        "version": 1,
        "providers": {
            "cloud": {"endpoint": "https://cloud.example/v1"},
            "house": {"endpoint": "http://house.example:11434/v1", "location": "local"},
        },
        "models": {
            "small": {"provider": "house", "name": "small-8b"},
            "large": {"provider": "cloud", "name": 'large "v2"'},
        },
        "routers": {"main": {"models": ["large", "small"]}},
        "default_router": "main",
        "privacy": {"local_only": {"headers": {"x-data-class": "restricted"}}},
    }
)


def exchange(policy: Policy = POLICY, *, stream_usage: bool = False, journal: bool = False) -> Exchange:
    made = Exchange()
    made.use(Pipeline.compile(policy), POLICY_SHA256, stream_usage=stream_usage, journal=journal)
    return made


def candidate(provider: str = "cloud", model: str = "large", upstream_model: str = "large-v2") -> Candidate:
    return Candidate(
        model=model,
        provider=provider,
        upstream_model=upstream_model,
        is_local=False,
        endpoints=frozenset(Endpoint),
        modalities=frozenset({Modality.TEXT}),
        tools=True,
        json_schema=True,
        context_tokens=None,
        max_output_tokens=None,
        price=None,
    )
