"""How what was measured becomes an order."""

from __future__ import annotations

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.decide.speed import expected_seconds
from signalbox.types import Price
from signalbox.world import ModelState, Pin

from .cases import decide, make_case, make_policy, names
from .worlds import seeing, streams, timing, world

POOL = ["acme-large", "acme-mini", "bolt-large"]


def router(prefer: str, **more):
    return make_policy(routers={"r": {"models": POOL, "prefer": prefer, **more}}, default_router="r")


FASTEST = router("fastest")


def test_the_fastest_is_the_one_whose_answer_is_expected_first():
    states = world(acme_large=streams(1.0), acme_mini=streams(0.5), bolt_large=streams(0.8))
    assert names(decide(FASTEST, seeing(make_case(stream=True), models=states))) == [
        "acme-mini",
        "bolt-large",
        "acme-large",
    ]


def test_a_long_answer_goes_to_the_one_that_writes_faster_though_it_begins_later():
    states = world(acme_large=streams(0.2, 0.05), acme_mini=streams(1.0, 0.01), bolt_large=streams(5.0, 0.05))
    case = make_case(stream=True)
    short = seeing(case, models=states, output_tokens={"r": {"acme-large": 10.0, "acme-mini": 10.0}})
    long = seeing(case, models=states, output_tokens={"r": {"acme-large": 500.0, "acme-mini": 500.0}})
    assert names(decide(FASTEST, short))[0] == "acme-large"
    assert names(decide(FASTEST, long))[0] == "acme-mini"


def test_what_nothing_is_known_of_follows_in_the_order_given():
    states = world(bolt_large=streams(9.0))
    assert names(decide(FASTEST, seeing(make_case(stream=True), models=states))) == [
        "bolt-large",
        "acme-large",
        "acme-mini",
    ]


def test_without_any_measurement_the_order_given_is_kept():
    assert names(decide(FASTEST, seeing(make_case()))) == POOL


def test_the_leader_stays_in_front_until_another_is_better_by_the_hysteresis():
    def first(challenger_seconds: float) -> str:
        states = world(acme_large=streams(1.0, 0.0), acme_mini=streams(challenger_seconds, 0.0))
        return names(decide(FASTEST, seeing(make_case(stream=True), models=states, leaders={"r/r": "acme-large"})))[0]

    assert first(0.9) == "acme-large"
    assert first(0.8) == "acme-mini"


def test_exploration_tries_what_nothing_recent_is_known_of_for_its_share_of_the_requests():
    stale = ModelState(ttft=timing(9.0, samples=0.4), per_token=timing(0.01))
    states = world(acme_large=streams(1.0), acme_mini=stale, bolt_large=streams(2.0))
    policy = make_policy(
        routers={"r": {"models": POOL, "prefer": "fastest"}}, default_router="r", ranking={"explore": 0.1}
    )
    pipeline = Pipeline.compile(policy)
    thrown = [n / 1000 for n in range(1000)]
    made = [pipeline.decide(seeing(make_case(stream=True), models=states, dice=dice)) for dice in thrown]
    tried = [decision for decision in made if decision.explored]
    assert len(tried) == pytest.approx(100, abs=1)
    assert {names(decision)[0] for decision in tried} == {"acme-mini"}
    assert {names(decision)[0] for decision in made if not decision.explored} == {"acme-large"}


def test_nobody_is_explored_when_everything_is_fresh():
    states = world(acme_large=streams(1.0), acme_mini=streams(2.0), bolt_large=streams(3.0))
    decision = decide(FASTEST, seeing(make_case(stream=True), models=states, dice=0.0))
    assert not decision.explored
    assert names(decision)[0] == "acme-large"


def test_balance_weighs_cost_against_time():
    states = world(acme_large=streams(0.5, 0.0), acme_mini=streams(2.0, 0.0))
    pool = {"models": ["acme-large", "acme-mini"], "prefer": "balanced"}

    def first(cost: float, latency: float) -> str:
        policy = make_policy(routers={"r": {**pool, "balance": {"cost": cost, "latency": latency}}}, default_router="r")
        return names(decide(policy, seeing(make_case(stream=True), models=states)))[0]

    assert first(cost=1, latency=0) == "acme-mini"  # 19 times cheaper
    assert first(cost=0, latency=1) == "acme-large"  # 4 times faster
    assert first(cost=1, latency=1) == "acme-mini"
    assert first(cost=1, latency=3) == "acme-large"


def test_an_unknown_price_neither_wins_a_balance_nor_is_ruled_out():
    states = world(acme_large=streams(1.0, 0.0), bolt_large=streams(0.2, 0.0), acme_mini=streams(1.0, 0.0))
    policy = router("balanced")
    assert names(decide(policy, seeing(make_case(stream=True), models=states)))[0] == "acme-mini"
    slow = world(acme_large=streams(1.0, 0.0), bolt_large=streams(1.0, 0.0), acme_mini=streams(99.0, 0.0))
    assert names(decide(policy, seeing(make_case(stream=True), models=slow)))[0] == "acme-large"


def test_answers_that_are_not_streamed_are_compared_by_their_whole_time():
    states = world(
        acme_large=ModelState(ttft=timing(0.1), per_token=timing(0.001), whole=timing(9.0)),
        acme_mini=ModelState(ttft=timing(5.0), per_token=timing(0.1), whole=timing(1.0)),
        bolt_large=ModelState(whole=timing(2.0)),
    )
    assert names(decide(FASTEST, seeing(make_case(), models=states))) == ["acme-mini", "bolt-large", "acme-large"]


@pytest.mark.parametrize("stream", [True, False])
def test_one_kind_of_measurement_stands_in_for_the_other(stream):
    assert expected_seconds(ModelState(), 100, stream=stream) is None
    assert expected_seconds(ModelState(whole=timing(2.0)), 100, stream=stream) == 2.0
    assert expected_seconds(streams(1.0, 0.01), 100, stream=stream) == pytest.approx(1.99)


def test_cheapest_goes_by_the_length_answers_really_have():
    policy = make_policy(
        models={
            "wordy": {"provider": "acme", "price": {"input": 0.1, "output": 1}},
            "terse": {"provider": "acme", "price": {"input": 0.1, "output": 5}},
        },
        routers={"r": {"models": ["wordy", "terse"], "prefer": "cheapest"}},
        default_router="r",
    )
    assert names(decide(policy, make_case()))[0] == "wordy"
    learned = {"r": {"wordy": 2000.0, "terse": 20.0}}
    decision = decide(policy, seeing(make_case(), output_tokens=learned))
    assert names(decision)[0] == "terse"
    assert decision.expected_output == 20


def test_a_price_list_fills_in_what_the_policy_leaves_out_and_never_overrules_it():
    case = make_case()
    listed = world(
        bolt_large=ModelState(price=(0.001, 0.001, 0.001)), acme_mini=ModelState(price=(900.0, 900.0, 900.0))
    )
    policy = router("cheapest")
    assert names(decide(policy, case)) == ["acme-mini", "acme-large", "bolt-large"]
    assert names(decide(policy, seeing(case, models=listed))) == ["bolt-large", "acme-mini", "acme-large"]


def test_the_expected_cost_counts_the_share_a_session_reads_from_the_cache_at_the_cached_price():
    policy = make_policy(
        models={"cached": {"provider": "acme", "price": {"input": 3, "output": 3, "cached_input": 0.3}}},
        routers={"r": {"models": ["cached"], "affinity": {}}},
        default_router="r",
    )
    case = make_case(text="x" * 30_000)
    cold = decide(policy, case)
    tokens = cold.counts["cached"].tokens
    assert cold.expected_usd == pytest.approx((tokens * 3 + 300 * 3) / 1e6)
    warm = decide(policy, seeing(case, key="k", pin=Pin("cached", turns=3, input_tokens=1000, cached_tokens=900)))
    assert warm.expected_usd == pytest.approx((0.1 * tokens * 3 + 0.9 * tokens * 0.3 + 300 * 3) / 1e6)


def test_an_estimate_is_scaled_by_what_the_provider_reported():
    case = make_case(text="x" * 3000)
    plain = decide(FASTEST, case).counts["acme-large"]
    states = world(acme_large=ModelState(token_scale=0.5))
    scaled = decide(FASTEST, seeing(case, models=states)).counts["acme-large"]
    assert scaled.estimated
    assert scaled.tokens == pytest.approx(plain.tokens / 2, abs=1)


def test_a_price_of_the_catalogue_counts_where_nobody_else_has_one() -> None:
    policy = make_policy(
        routers={"r": {"models": ["acme-mini", "bolt-large", "acme-large"], "prefer": "cheapest"}}, default_router="r"
    )
    listed = {"bolt-large": Price(0.01, 0.02), "acme-large": Price(0.001, 0.001)}
    pipeline = Pipeline.compile(policy, listed)
    assert names(pipeline.decide(make_case())) == ["bolt-large", "acme-mini", "acme-large"]
    dearer = seeing(make_case(), models={"bolt-large": ModelState(price=(1.0, 2.0, 0.5))})
    assert names(pipeline.decide(dearer)) == ["acme-mini", "bolt-large", "acme-large"]
