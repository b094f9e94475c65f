"""Laws of decisions: what holds for every policy and every request."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from signalbox.decide.counts import Counts
from signalbox.decide.filters import FILTERS, Demands
from signalbox.decide.headers import header_says
from signalbox.decide.outputs import ASKED_IN_WORDS, DEMANDED, DEMANDED_WITH_TEXT, NOTHING, PLAIN
from signalbox.decide.pipeline import Pipeline, describe
from signalbox.decide.pools import make_candidates
from signalbox.decide.rank import Measures, rank_cheapest
from signalbox.errors import RequestError
from signalbox.types import Case, Decision, Endpoint, Output, Privacy, Reason, Refusal
from tests.property.policies import LOCAL_ONLY, MODEL_NAMES, PROVIDER_NAMES, cases, features, policies
from tests.unit.decide.cases import make_case, make_policy

BASE = make_case().features
names_or_nothing = st.none() | st.lists(st.sampled_from(MODEL_NAMES)).map(tuple)
providers_or_nothing = st.none() | st.lists(st.sampled_from(PROVIDER_NAMES)).map(tuple)
demands = st.builds(
    Demands,
    endpoint=st.sampled_from(Endpoint),
    privacy=st.sampled_from(Privacy),
    features=features(BASE),
    counts=st.just(Counts(make_case(), {})),
    models=names_or_nothing,
    only=providers_or_nothing,
    ignore=providers_or_nothing,
    wanted=st.sampled_from([PLAIN, NOTHING, ASKED_IN_WORDS, DEMANDED, DEMANDED_WITH_TEXT]),
)


@given(policies(), demands, st.permutations(MODEL_NAMES), st.integers(0, len(MODEL_NAMES)))
def test_a_filter_adds_no_candidate_and_keeps_their_order(policy, demands, order, length):
    every = make_candidates(policy)
    candidates = tuple(every[name] for name in order[:length])
    for _, keep in FILTERS:
        kept = keep(candidates, demands)
        remaining = iter(candidates)
        assert all(any(candidate is other for other in remaining) for candidate in kept)
        assert keep(kept, demands) == kept


def outcome(pipeline: Pipeline, case: Case) -> Decision | RequestError:
    """What comes out; anything raised but a RequestError fails the test."""
    try:
        return pipeline.decide(case)
    except RequestError as refusal:
        return refusal


@given(policies(), cases())
@settings(max_examples=200)
def test_a_chain_is_never_empty_repeats_no_model_and_ends_at_the_most_attempts(policy, case):
    decision = outcome(Pipeline.compile(policy), case)
    assume(isinstance(decision, Decision))
    models = [candidate.model for candidate in decision.chain]
    assert 1 <= len(models) <= policy.gateway.max_attempts
    assert len(set(models)) == len(models)
    assert not set(models) & set(decision.removed)
    assert decision.id == case.signals.decision_id
    assert (decision.rule != "") == (decision.reason is Reason.RULE)


@given(policies(), cases())
@settings(max_examples=200)
def test_whatever_is_not_decided_is_refused_with_a_code_of_the_closed_set(policy, case):
    refusal = outcome(Pipeline.compile(policy), case)
    assume(isinstance(refusal, RequestError))
    assert refusal.code in (Refusal.MODEL_NOT_FOUND, Refusal.NO_CANDIDATE, Refusal.INVALID_REQUEST)
    assert refusal.status in (400, 403, 404)
    assert str(refusal).isprintable()


@given(policies(), cases())
@settings(max_examples=300)
def test_no_local_only_request_ever_has_a_cloud_model_in_its_chain(policy, case):
    with suppress(RequestError):
        decision = Pipeline.compile(policy).decide(case)
        if header_says(case.request.headers.get("x-data-class"), "restricted"):
            assert decision.privacy is Privacy.LOCAL
        taken = [policy.routers[name] for name in (decision.router, decision.goal) if name]
        if any(router.privacy is not None for router in taken) and case.request.headers.get("x-team") == "legal":
            assert decision.privacy is Privacy.LOCAL
        if decision.privacy is Privacy.LOCAL:
            assert all(candidate.is_local for candidate in decision.chain)


@given(policies(), cases())
@settings(max_examples=300)
def test_no_engine_outside_the_site_is_asked_about_a_local_only_request(policy, case):
    case = replace(case, signals=replace(case.signals, answers={}))
    asks = Pipeline.compile(policy).asks(case)
    with suppress(RequestError):
        if asks is not None and Pipeline.compile(policy).decide(case).privacy is Privacy.LOCAL:
            assert "far" not in asks.engines


@given(policies(), cases())
def test_a_router_with_goals_leads_to_one_of_them_unless_a_rule_of_its_own_decides(policy, case):
    with suppress(RequestError):
        decision = Pipeline.compile(policy).decide(case)
        goals = policy.routers[decision.router].goals if decision.router else None
        if goals is None:
            assert decision.goal == ""
        else:
            assert decision.goal in goals.routers or decision.reason is Reason.RULE
            assert decision.reason is not Reason.DEFAULT


@given(policies(), cases())
def test_every_candidate_in_a_chain_can_take_the_request(policy, case):
    with suppress(RequestError):
        for candidate in Pipeline.compile(policy).decide(case).chain:
            assert case.request.endpoint in candidate.endpoints
            assert case.features.modalities <= candidate.modalities
            assert candidate.tools or not case.features.tools
            assert candidate.json_schema or not case.features.json_schema
            assert Output.IMAGE in candidate.outputs or not (candidate.outputs and case.features.image_demanded)


@given(policies(), cases())
@settings(max_examples=200)
def test_words_that_ask_for_an_image_refuse_nothing_that_plain_words_would_not(policy, case):
    plain = replace(case, features=case.features._replace(image_asked=0.0))
    asking = replace(case, features=case.features._replace(image_asked=1.0))
    refused = [outcome(Pipeline.compile(policy), each) for each in (plain, asking)]
    assert isinstance(refused[0], RequestError) == isinstance(refused[1], RequestError)


@given(policies(), cases())
def test_the_same_case_gives_the_same_decision_and_the_explanation_agrees(policy, case):
    pipeline, another = Pipeline.compile(policy), Pipeline.compile(policy)
    first, second = outcome(pipeline, case), outcome(another, case)
    explained = json.loads(json.dumps(pipeline.explain(case), allow_nan=False))
    if isinstance(first, Decision):
        assert second == first
        assert explained["decision"] == describe(first)
    else:
        assert (type(second), str(second)) == (RequestError, str(first))
        assert explained["refused"] == {"status": first.status, "code": first.code, "message": str(first)}


@given(policies(), features(BASE), st.permutations(MODEL_NAMES))
def test_shuffling_candidates_never_changes_the_cheapest(policy, features, order):
    every = make_candidates(policy)
    in_order = tuple(every.values())
    shuffled = tuple(every[name] for name in order)
    case = replace(make_case(), features=features)
    measures = Measures.of(case, Counts(case, {}), "any", in_order)
    assert rank_cheapest(in_order, measures) == rank_cheapest(shuffled, measures)


SESSIONS = [f"session-{number}" for number in range(10_000)]


def picks(policy, alias: str) -> list[str]:
    """The model each session gets."""
    pipeline = Pipeline.compile(policy)
    split = pipeline.resolver.targets[alias]
    return [split.pool(session).candidates[0].model for session in SESSIONS]


@pytest.mark.parametrize(
    "weights", [{"acme-mini": 90, "acme-large": 10}, {"acme-mini": 1, "acme-large": 1, "home-small": 2}]
)
def test_a_weighted_alias_shares_sessions_out_as_its_weights_say(weights):
    chosen = picks(make_policy(aliases={"house": weights}), "house")
    for model, weight in weights.items():
        assert chosen.count(model) / len(SESSIONS) == pytest.approx(weight / sum(weights.values()), abs=0.01)


def test_two_aliases_share_sessions_out_independently():
    weights = {"acme-mini": 1, "acme-large": 1}
    policy = make_policy(aliases={"one": weights, "two": weights})
    same = sum(one == two for one, two in zip(picks(policy, "one"), picks(policy, "two"), strict=True))
    assert same / len(SESSIONS) == pytest.approx(0.5, abs=0.02)


def test_a_larger_share_only_takes_sessions_and_gives_none_away():
    before = picks(make_policy(aliases={"house": {"acme-mini": 90, "acme-large": 10}}), "house")
    after = picks(make_policy(aliases={"house": {"acme-large": 20, "acme-mini": 80}}), "house")
    moved = {(old, new) for old, new in zip(before, after, strict=True) if old != new}
    assert moved == {("acme-mini", "acme-large")}


def test_a_policy_that_grows_elsewhere_moves_no_session():
    weights = {"acme-mini": 3, "acme-large": 1}
    before = picks(make_policy(aliases={"house": weights}), "house")
    grown = make_policy(
        aliases={"first": {"home-small": 1, "acme-mini": 9}, "house": weights},
        routers={"new": {"models": ["home-small"]}},
        privacy=LOCAL_ONLY,
    )
    assert picks(grown, "house") == before
