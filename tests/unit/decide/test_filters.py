from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from signalbox.decide.filters import FILTERS, keep_asked, keep_context
from signalbox.errors import RequestError
from signalbox.types import Endpoint, Privacy
from tests.unit.decide.cases import LOCAL_ONLY, MODELS, decide, make_case, make_policy, names

ROUTER = {"models": ["acme-large", "home-small"], "fallback": ["acme-mini"]}


def routed(case: Any = None, /, *, models: dict[str, Any] | None = None, **sections: Any) -> Any:
    """Decide with a router over all but one model; `models` changes facts of some."""
    changed = {name: {**facts, **(models or {}).get(name, {})} for name, facts in MODELS.items()}
    policy = make_policy(models=changed, routers={"r": ROUTER}, default_router="r", **sections)
    return decide(policy, case or make_case())


TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
IMAGE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ],
    }
]


@pytest.mark.parametrize(
    ("name", "facts", "case"),
    [
        ("endpoint", {"endpoints": ["messages"]}, {}),
        ("modality", {"modalities": ["image"]}, {}),
        ("tools", {"tools": False}, {"tools": TOOLS}),
        ("json_schema", {"json_schema": False}, {"response_format": SCHEMA}),
        ("models", {}, {"models": ["home-small", "acme-mini"]}),
        ("output", {"max_output_tokens": 99}, {"max_tokens": 100}),
        ("context", {"context_tokens": 5}, {}),
        ("context", {"context_tokens": 1_000}, {"max_tokens": 999}),
    ],
)
def test_a_model_that_cannot_take_the_request_is_left_out_and_the_filter_is_named(name, facts, case):
    decision = routed(make_case(**case), models={"acme-large": facts})
    assert names(decision) == ["home-small", "acme-mini"]
    assert decision.removed == {"acme-large": name}


def test_nothing_is_removed_when_the_request_asks_for_nothing_special():
    decision = routed()
    assert names(decision) == ["acme-large", "home-small", "acme-mini"]
    assert decision.removed == {}


def test_images_go_only_to_models_that_take_images():
    decision = routed(make_case(messages=IMAGE), models={"acme-mini": {"modalities": ["text", "image"]}})
    assert names(decision) == ["acme-mini"]
    assert decision.removed == {"acme-large": "modality", "home-small": "modality"}


def test_the_bodys_models_restrict_the_chain_and_order_it():
    assert names(routed(make_case(models=["acme-mini", "nobody", "acme-large"]))) == ["acme-mini", "acme-large"]


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ({"only": ["home"]}, ["home-small"]),
        ({"ignore": ["home"]}, ["acme-large", "acme-mini"]),
        ({"only": ["home", "acme"], "ignore": ["acme"]}, ["home-small"]),
        ({"sort": "price"}, ["acme-large", "home-small", "acme-mini"]),
        (None, ["acme-large", "home-small", "acme-mini"]),
    ],
)
def test_the_bodys_provider_restricts_the_chain(provider, expected):
    assert names(routed(make_case(provider=provider))) == expected


@pytest.mark.parametrize(
    "members",
    [
        {"models": "acme-large"},
        {"models": [1]},
        {"models": {}},
        {"models": ["x" * 70_000]},
        {"provider": ["acme"]},
        {"provider": {"only": "acme"}},
        {"provider": {"ignore": [None]}},
    ],
)
def test_a_malformed_restriction_is_refused_without_quoting_it(members):
    with pytest.raises(RequestError) as refusal:
        routed(make_case(**members))
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_request")
    assert "acme" not in str(refusal.value)
    assert "xxx" not in str(refusal.value)


@pytest.mark.parametrize("value", ["restricted", "RESTRICTED", " Restricted ", "public, restricted", "restricted,x"])
def test_a_local_only_header_keeps_the_whole_chain_local(value):
    decision = routed(make_case(headers={"x-data-class": value}), privacy=LOCAL_ONLY)
    assert decision.privacy is Privacy.LOCAL
    assert names(decision) == ["home-small"]
    assert decision.removed == {"acme-large": "privacy", "acme-mini": "privacy"}


@pytest.mark.parametrize("value", ["", "public", "restricted-not", "unrestricted"])
def test_another_value_of_the_header_leaves_the_request_free(value):
    assert routed(make_case(headers={"x-data-class": value}), privacy=LOCAL_ONLY).privacy is Privacy.ANY


def test_a_routers_own_privacy_is_added_to_the_policys():
    own = {"local_only": {"headers": {"x-team": "legal"}}}
    policy = make_policy(
        privacy=LOCAL_ONLY, routers={"r": {**ROUTER, "privacy": own}, "free": ROUTER}, default_router="r"
    )
    assert decide(policy, make_case(headers={"x-team": "legal"})).privacy is Privacy.LOCAL
    assert decide(policy, make_case(headers={"x-data-class": "restricted"})).privacy is Privacy.LOCAL
    assert decide(policy, make_case("router:free", headers={"x-team": "legal"})).privacy is Privacy.ANY


def test_a_local_only_request_for_a_cloud_model_is_forbidden_rather_than_sent():
    with pytest.raises(RequestError) as refusal:
        decide(make_policy(privacy=LOCAL_ONLY), make_case("bolt-large", headers={"x-data-class": "restricted"}))
    assert (refusal.value.status, refusal.value.code) == (403, "no_candidate")
    assert str(refusal.value) == (
        "no model can take this request: privacy removed bolt-large, acme-large. "
        "It is local-only, and none of them is local."
    )


def test_a_weighted_alias_serves_a_local_only_session_whatever_it_drew():
    policy = make_policy(privacy=LOCAL_ONLY, aliases={"house": {"acme-mini": 1, "home-small": 1}})
    for session in map(str, range(20)):
        case = make_case("house", session=session, headers={"x-data-class": "restricted"})
        assert names(decide(policy, case)) == ["home-small"]


def test_an_empty_pool_is_a_400_naming_each_filter_and_what_it_removed():
    small = {name: {"context_tokens": 1_000} for name in MODELS}
    case = make_case(text="word " * 10_000, tools=TOOLS, max_tokens=50)
    with pytest.raises(RequestError) as refusal:
        routed(case, models={**small, "acme-mini": {"tools": False}})
    assert (refusal.value.status, refusal.value.code) == (400, "no_candidate")
    tokens = case.features.prompt_tokens
    assert str(refusal.value) == (
        "no model can take this request: tools removed acme-mini; context removed acme-large, home-small. "
        f"The prompt has about {tokens} tokens and 50 are reserved for the answer."
    )


def test_an_endpoint_no_model_serves_is_a_400():
    with pytest.raises(RequestError, match="None of them serves /v1/messages") as refusal:
        decide(make_policy(), make_case("home-small", endpoint=Endpoint.MESSAGES))
    assert refusal.value.status == 400


def test_the_refusal_stays_short_when_many_models_are_removed():
    models = {f"m{number}": {"provider": "bolt"} for number in range(50)}
    policy = make_policy(models=models, routers={"r": {"models": list(models)}}, privacy=LOCAL_ONLY)
    with pytest.raises(RequestError, match="m4 and 45 more") as refusal:
        decide(policy, make_case("router:r", headers={"x-data-class": "restricted"}))
    assert len(str(refusal.value)) < 512


def test_an_estimate_prefers_roomier_models_but_does_not_turn_away_what_may_fit():
    text = "word " * 4_000  # about 6,700 tokens by the estimate, really some 4,000
    tight = {"acme-large": {"context_tokens": 5_000}, "home-small": {"context_tokens": 3_000}}
    assert names(routed(make_case(text=text), models=tight)) == ["acme-mini"]
    decision = routed(make_case(text=text), models={**tight, "acme-mini": {"context_tokens": 4_000}})
    assert names(decision) == ["acme-large"]
    assert decision.removed == {"home-small": "context", "acme-mini": "context"}


def test_an_exact_count_has_no_slack():
    case = make_case(text="word " * 4_000)
    exact = replace(case, features=case.features._replace(tokens_estimated=False))
    tight = {name: {"context_tokens": 5_000} for name in MODELS}
    with pytest.raises(RequestError, match=r"The prompt has \d+ tokens\."):
        routed(exact, models=tight)


def test_an_unknown_window_holds_anything():
    decision = routed(make_case(text="word " * 200_000), models={"acme-large": {"context_tokens": None}})
    assert names(decision) == ["acme-large"]


def test_the_chain_is_cut_at_the_most_attempts_the_policy_allows():
    decision = routed(gateway={"max_attempts": 2})
    assert names(decision) == ["acme-large", "home-small"]
    assert decision.removed == {"acme-mini": "max_attempts"}


def test_only_a_wish_comes_after_context_whose_slack_needs_the_final_pool():
    assert FILTERS[-2:] == (("context", keep_context), ("asked", keep_asked))
