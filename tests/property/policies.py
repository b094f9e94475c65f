"""Strategies for policies and requests, small enough that hypothesis reaches their odd corners."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from signalbox.policy.schema import Policy
from signalbox.types import Answer, Case, Endpoint, EngineOutcome, Features, InOut, Modality
from tests.unit.decide.cases import make_case

PROVIDER_NAMES = ("cloud-a", "cloud-b", "local-a")
MODEL_NAMES = tuple("abcdef")
ROUTER_NAMES = ("r1", "r2")
ENGINES = {
    "near": {"kind": "preference", "endpoint": "http://near.test/v1", "model": "near", "location": "local"},
    "far": {"kind": "preference", "endpoint": "https://far.test/v1", "model": "far"},
}
LOCAL_ONLY = {"local_only": {"headers": {"x-data-class": "restricted"}}}
ROUTER_LOCAL_ONLY = {"local_only": {"headers": {"x-team": "legal"}}}

prices = st.none() | st.fixed_dictionaries({"input": st.sampled_from([0, 1, 3]), "output": st.sampled_from([0, 4, 9])})
some_models = st.lists(st.sampled_from(MODEL_NAMES), max_size=4)
pools = st.lists(st.sampled_from(MODEL_NAMES), min_size=1, max_size=4)

models = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(PROVIDER_NAMES),
        "context_tokens": st.sampled_from([None, 10, 1_000, 100_000]),
        "max_output_tokens": st.sampled_from([None, 50]),
        "modalities": st.sampled_from([["text"], ["text", "image"]]),
        "outputs": st.sampled_from([None, ["text"], ["text", "image"], ["image"]]),
        "tools": st.booleans(),
        "json_schema": st.booleans(),
        "endpoints": st.sampled_from([None, None, ["chat_completions"], ["embeddings", "messages"]]),
        "price": prices,
        "fallback": some_models,
    }
)

conditions = st.sampled_from(
    [
        {"keywords": ["hello"]},
        {"tools": True},
        {"headers": {"x-kind": "*"}},
        {"metadata": {"team": "search"}},
        {"prompt_tokens": {"min": 50}},
    ]
)
rules = st.fixed_dictionaries({"when": conditions, "models": pools}) | st.fixed_dictionaries(
    {"when": conditions, "task": st.sampled_from(["low", "high"])}
)


@st.composite
def routers(draw: st.DrawFn) -> dict[str, Any]:
    prefer = st.sampled_from(["manual", "cheapest"])
    return {
        "tasks": [{"name": name, "models": draw(pools), "prefer": draw(prefer)} for name in ("low", "high")],
        "models": draw(pools),
        "prefer": draw(prefer),
        "default_task": draw(st.sampled_from([None, "low"])),
        "rules": draw(st.lists(rules, max_size=2)),
        "engine": draw(st.sampled_from([None, "near", "far"])),
        "complexity": draw(st.sampled_from([None, {"threshold": 0.3, "below": "low", "above": "high"}])),
        "fallback": draw(some_models),
        "capture": draw(st.sampled_from([[], ["a*"], ["?"], ["gpt-*"]])),
        "privacy": draw(st.sampled_from([None, ROUTER_LOCAL_ONLY])),
    }


@st.composite
def leading_routers(draw: st.DrawFn) -> dict[str, Any]:
    """A router with goals; each of the others may stand anywhere among them."""
    other = st.sampled_from(ROUTER_NAMES)
    haste = {"router": draw(other), "header": "x-urgent", "when": draw(st.sampled_from([None, {"tools": True}]))}
    return {
        "goals": {
            "modality": draw(st.dictionaries(st.sampled_from(["image_out", "text"]), other, max_size=1)),
            "latency_sensitive": draw(st.sampled_from([None, haste])),
            "described": draw(st.none() | other),
            "complexity": {"threshold": 0.3, "below": draw(other), "above": draw(other)},
        },
        "rules": draw(st.lists(st.fixed_dictionaries({"when": conditions, "models": pools}), max_size=1)),
        "fallback": draw(some_models),
        "privacy": draw(st.sampled_from([None, ROUTER_LOCAL_ONLY])),
    }


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    serves = [endpoint.value for endpoint in Endpoint]
    return Policy.model_validate(
        {
            "version": 1,
            "gateway": {"max_attempts": draw(st.integers(1, 5))},
            "providers": {
                name: {
                    "endpoint": f"https://{name}.test/v1",
                    "location": "local" if name.startswith("local") else "cloud",
                    "serves": serves,
                }
                for name in PROVIDER_NAMES
            },
            "models": {name: draw(models) for name in MODEL_NAMES},
            "aliases": {
                "one": draw(st.sampled_from(MODEL_NAMES + ROUTER_NAMES)),
                "many": draw(st.dictionaries(st.sampled_from(MODEL_NAMES), st.integers(1, 9), min_size=1)),
            },
            "engines": ENGINES,
            "routers": {name: draw(routers()) for name in ROUTER_NAMES} | {"leading": draw(leading_routers())},
            "default_router": draw(st.sampled_from([None, "r1", "leading"])),
            "unknown_model": draw(st.sampled_from([None, {"use": "a"}, {"use": "many"}, {"use": "r2"}])),
            "privacy": LOCAL_ONLY,
        }
    )


requested = st.sampled_from(
    [
        "a",
        "f",
        "one",
        "many",
        "auto",
        "router:r1",
        "router/r2",
        "router:r9",
        "router:leading",
        "gpt-9",
        "nobody",
        "inference-router",
    ]
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "x-data-class": st.sampled_from(["restricted", "public", "public, Restricted"]),
        "x-team": st.sampled_from(["legal", "sales"]),
        "x-kind": st.just("batch"),
        "x-urgent": st.sampled_from(["true", "false"]),
    },
)
members = st.fixed_dictionaries(
    {},
    optional={
        "models": st.none() | st.lists(st.sampled_from([*MODEL_NAMES, "nobody"]), max_size=4) | st.just("a"),
        "provider": st.none()
        | st.just([])
        | st.fixed_dictionaries(
            {},
            optional={
                "only": st.lists(st.sampled_from(PROVIDER_NAMES)),
                "ignore": st.lists(st.sampled_from(PROVIDER_NAMES)),
            },
        ),
        "routing_preference": st.sampled_from(["budget", "quality", "nonsense"]),
        "metadata": st.sampled_from([None, [], {}, {"team": "search"}, {"team": 1}]),
        "max_tokens": st.sampled_from([1, 40, 500]),
        "modalities": st.sampled_from([["image"], ["text", "image"], ["text"]]),
        "tools": st.just([{"type": "function", "function": {"name": "f"}}]),
        "response_format": st.just({"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}),
    },
)


answers = st.dictionaries(
    st.sampled_from(list(ENGINES)),
    st.builds(
        Answer,
        outcome=st.sampled_from(EngineOutcome),
        route=st.sampled_from([None, "low", "high", "nobody"]),
        scores=st.sampled_from([(), (("low", 0.7), ("high", 0.3))]),
    ),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    case = make_case(
        draw(requested),
        draw(st.sampled_from(["hello", "word " * 40, "word " * 4_000])),
        headers=draw(headers),
        endpoint=draw(st.just(Endpoint.CHAT_COMPLETIONS) | st.sampled_from(Endpoint)),
        session=draw(st.sampled_from(["s1", "s2", "s3"])),
        complexity=draw(st.sampled_from([0.0, 0.3, 0.9, float("nan")])),
        **draw(members),
    )
    asked = draw(st.sampled_from([0.0, 0.0, 1.0]))
    modality = draw(st.sampled_from([InOut.TEXT, InOut.IMAGE_OUT]))
    features = case.features._replace(modality=modality, image_asked=asked)
    return replace(case, features=features, signals=replace(case.signals, answers=draw(answers)))


@st.composite
def features(draw: st.DrawFn, base: Features) -> Features:
    """The features of another request: every demand a filter looks at may be there or not."""
    return base._replace(
        prompt_tokens=draw(st.sampled_from([1, 20, 200, 20_000])),
        tokens_estimated=draw(st.booleans()),
        output_tokens=draw(st.sampled_from([None, 1, 60])),
        tools=draw(st.integers(0, 1)),
        json_schema=draw(st.booleans()),
        modalities=draw(st.sampled_from([frozenset({Modality.TEXT}), frozenset({Modality.TEXT, Modality.IMAGE})])),
    )
