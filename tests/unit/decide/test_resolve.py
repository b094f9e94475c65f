from __future__ import annotations

import pytest

from signalbox.errors import RequestError
from signalbox.types import Endpoint, Reason
from tests.unit.decide.cases import decide, make_case, make_policy, names

TWO_ROUTERS = {
    "everyday": {"models": ["acme-mini"]},
    "careful": {"models": ["acme-large"]},
}


@pytest.mark.parametrize("model", ["router:careful", "router/careful"])
def test_a_router_is_named_with_a_colon_or_a_slash(model):
    decision = decide(make_policy(routers=TWO_ROUTERS), make_case(model))
    assert (decision.router, decision.route, names(decision)) == ("careful", "careful", ["acme-large"])
    assert decision.reason is Reason.DEFAULT


@pytest.mark.parametrize("model", ["auto", "inference-router"])
def test_auto_stands_for_the_default_router(model):
    decision = decide(make_policy(routers=TWO_ROUTERS, default_router="everyday"), make_case(model))
    assert decision.router == "everyday"


def test_routing_preference_chooses_the_router_behind_auto_and_only_there():
    policy = make_policy(routers=TWO_ROUTERS, default_router="everyday", routing_preference={"quality": "careful"})
    assert decide(policy, make_case("auto", routing_preference="quality")).router == "careful"
    assert decide(policy, make_case("auto", routing_preference="budget")).router == "everyday"
    assert decide(policy, make_case("router:everyday", routing_preference="quality")).router == "everyday"


@pytest.mark.parametrize("preference", ["best", 1, ["quality"]])
def test_a_routing_preference_nobody_knows_is_refused(preference):
    policy = make_policy(routers=TWO_ROUTERS, default_router="everyday")
    with pytest.raises(RequestError, match="one of balanced, budget, quality") as refusal:
        decide(policy, make_case("auto", routing_preference=preference))
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_request")


def test_auto_without_a_default_router_is_a_404_that_says_so():
    with pytest.raises(RequestError, match="default router, and this gateway has none") as refusal:
        decide(make_policy(routers=TWO_ROUTERS), make_case("auto"))
    assert (refusal.value.status, refusal.value.code) == (404, "model_not_found")


def test_a_known_model_is_followed_by_its_fallbacks():
    decision = decide(make_policy(), make_case("bolt-large"))
    assert (decision.router, decision.route) == ("", "bolt-large")
    assert names(decision) == ["bolt-large", "acme-large"]
    assert decision.chain[0].upstream_model == "bolt/large"
    assert decision.reason is Reason.REQUESTED


def test_an_alias_stands_for_a_model_or_a_router():
    policy = make_policy(aliases={"gpt-4o": "bolt-large", "helper": "careful"}, routers=TWO_ROUTERS)
    assert names(decide(policy, make_case("gpt-4o"))) == ["bolt-large", "acme-large"]
    assert decide(policy, make_case("helper")).router == "careful"


def test_a_weighted_alias_keeps_a_session_and_offers_its_other_models_last():
    policy = make_policy(aliases={"house": {"acme-mini": 1, "bolt-large": 1}})
    chains = {session: names(decide(policy, make_case("house", session=session))) for session in map(str, range(20))}
    again = {session: names(decide(policy, make_case("house", session=session))) for session in map(str, range(20))}
    assert chains == again
    assert {tuple(chain) for chain in chains.values()} == {
        ("acme-mini", "bolt-large"),
        ("bolt-large", "acme-large", "acme-mini"),
    }


def test_a_router_captures_known_and_unknown_names_in_file_order():
    policy = make_policy(
        routers={
            "everyday": {"models": ["acme-mini"], "capture": ["acme-*", "gpt-5*"]},
            "careful": {"models": ["acme-large"], "capture": ["gpt-*"]},
        }
    )
    assert decide(policy, make_case("acme-large")).router == "everyday"
    assert decide(policy, make_case("gpt-5-mini")).router == "everyday"
    assert decide(policy, make_case("gpt-4")).router == "careful"
    assert decide(policy, make_case("bolt-large")).router == ""


def test_a_router_may_use_the_models_it_captures():
    policy = make_policy(routers={"everyday": {"models": ["acme-mini", "acme-large"], "capture": ["acme-*"]}})
    assert names(decide(policy, make_case("acme-large"))) == ["acme-mini", "acme-large"]


def test_an_alias_is_stronger_than_a_pattern_and_reaches_a_captured_model():
    policy = make_policy(
        aliases={"gpt-4o": "acme-large"},
        routers={"everyday": {"models": ["acme-mini"], "capture": ["*"]}},
    )
    decision = decide(policy, make_case("gpt-4o"))
    assert (decision.router, names(decision)) == ("", ["acme-large"])


def test_an_unknown_model_is_a_404_naming_the_nearest_names():
    with pytest.raises(RequestError) as refusal:
        decide(make_policy(), make_case("Acme-Larg"))
    assert (refusal.value.status, refusal.value.code) == (404, "model_not_found")
    assert str(refusal.value) == 'no model is called "Acme-Larg"; nearest: "acme-large"'


def test_a_name_like_nothing_is_pointed_to_the_list_of_models():
    with pytest.raises(RequestError, match="GET /v1/models"):
        decide(make_policy(), make_case("zzzzzz"))


def test_a_misspelt_router_is_a_404_naming_routers_even_when_everything_is_captured():
    policy = make_policy(
        routers={**TWO_ROUTERS, "rest": {"models": ["acme-mini"], "capture": ["*"]}}, unknown_model={"use": "rest"}
    )
    with pytest.raises(RequestError) as refusal:
        decide(policy, make_case("router:carefull"))
    assert (refusal.value.status, str(refusal.value)) == (
        404,
        'no router is called "router:carefull"; nearest: "router:careful"',
    )


@pytest.mark.parametrize("name", ["x\r\nset-cookie: a=b", "x\u202ey", "x" * 5_000, "x\u0000" * 200])
def test_a_clients_name_is_shown_on_one_line_cut_and_without_control_characters(name):
    with pytest.raises(RequestError) as refusal:
        decide(make_policy(), make_case(name))
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 200


def test_the_unknown_model_rule_takes_names_nobody_knows():
    decision = decide(make_policy(unknown_model={"use": "bolt-large"}), make_case("gpt-9"))
    assert (names(decision), decision.reason) == (["bolt-large", "acme-large"], Reason.UNKNOWN_MODEL)


@pytest.mark.parametrize("use", ["everyday", "helper"])
def test_the_unknown_model_rule_may_name_a_router_or_an_alias_of_one(use):
    policy = make_policy(routers=TWO_ROUTERS, aliases={"helper": "everyday"}, unknown_model={"use": use})
    decision = decide(policy, make_case("gpt-9"))
    assert (decision.router, decision.reason) == ("everyday", Reason.UNKNOWN_MODEL)


def test_a_rule_of_the_router_is_the_reason_even_for_an_unknown_model():
    router = {"models": ["acme-mini"], "rules": [{"when": {"tools": False}, "models": ["acme-large"]}]}
    policy = make_policy(routers={"everyday": router}, unknown_model={"use": "everyday"})
    assert decide(policy, make_case("gpt-9")).reason is Reason.RULE


EMBEDDING_MODELS = {
    "models": {
        "embed": {"provider": "acme", "endpoints": ["embeddings"]},
        "acme-mini": {"provider": "acme", "endpoints": ["chat_completions"]},
    },
}


def test_embeddings_go_to_a_model_even_when_a_router_captures_its_name():
    policy = make_policy(
        **EMBEDDING_MODELS, aliases={"vectors": "embed"}, routers={"all": {"models": ["acme-mini"], "capture": ["*"]}}
    )
    for name in ("embed", "vectors"):
        decision = decide(policy, make_case(name, endpoint=Endpoint.EMBEDDINGS))
        assert (decision.router, names(decision)) == ("", ["embed"])


@pytest.mark.parametrize("name", ["auto", "router:all", "helper"])
def test_embeddings_are_never_routed(name):
    policy = make_policy(
        **EMBEDDING_MODELS, aliases={"helper": "all"}, routers={"all": {"models": ["acme-mini"]}}, default_router="all"
    )
    with pytest.raises(RequestError, match="not by a router") as refusal:
        decide(policy, make_case(name, endpoint=Endpoint.EMBEDDINGS))
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_request")


def test_embeddings_of_an_unknown_model_are_a_404():
    policy = make_policy(**EMBEDDING_MODELS, routers={"all": {"models": ["acme-mini"]}}, unknown_model={"use": "all"})
    with pytest.raises(RequestError, match='nearest: "embed"') as refusal:
        decide(policy, make_case("embedd", endpoint=Endpoint.EMBEDDINGS))
    assert refusal.value.status == 404
