"""The model in front stays there until another is clearly better."""

from __future__ import annotations

import random

import pytest

from signalbox.collector.live.leaders import Leaders, ranked_pools
from signalbox.policy.schema import Policy
from signalbox.types import Price
from signalbox.world import CircuitState, ModelState, Timing

POLICY = {
    "version": 1,
    "providers": {"cloud": {"endpoint": "https://api.cloud.test/v1"}},
    "models": {name: {"provider": "cloud"} for name in ("a", "b", "c")},
    "routers": {
        "quick": {"models": ["a", "b"], "prefer": "fastest"},
        "mixed": {
            "models": ["a", "b"],
            "prefer": "cheapest",
            "tasks": [
                {"name": "speedy", "models": ["a", "b", "c"], "prefer": "fastest"},
                {"name": "fair", "models": ["a", "b"], "prefer": "balanced"},
                {"name": "fixed", "models": ["a", "b"]},
            ],
            "balance": {"cost": 3, "latency": 1},
        },
    },
    "ranking": {"hysteresis": 0.2},
}


def took(seconds: float, samples: float = 10.0, **more: object) -> ModelState:
    return ModelState(ttft=Timing(seconds, seconds * 2, samples), **more)  # type: ignore[arg-type]


@pytest.fixture
def leaders() -> Leaders:
    made = Leaders(300.0)
    made.use(Policy.model_validate(POLICY))
    return made


def front(leaders: Leaders, **models: ModelState) -> str | None:
    return leaders.update(models, {}, {}).get("quick/quick")


def test_pools_ranked_by_speed_or_balance_are_named_by_router_and_route() -> None:
    pools = {pool.key: pool for pool in ranked_pools(Policy.model_validate(POLICY))}
    assert set(pools) == {"quick/quick", "mixed/speedy", "mixed/fair"}
    assert pools["mixed/speedy"].models == ("a", "b", "c")


def test_where_nothing_is_known_nobody_leads(leaders: Leaders) -> None:
    assert leaders.update({}, {}, {}) == {}
    assert front(leaders, a=took(1.0, 2.9)) is None


def test_the_fastest_leads(leaders: Leaders) -> None:
    assert front(leaders, a=took(1.0), b=took(0.9)) == "b"


def test_only_what_is_better_by_the_hysteresis_takes_the_lead(leaders: Leaders) -> None:
    assert front(leaders, a=took(1.0)) == "a"
    assert front(leaders, a=took(1.0), b=took(0.81)) == "a"
    assert front(leaders, a=took(1.0), b=took(0.79)) == "b"
    assert front(leaders, a=took(0.7), b=took(0.79)) == "b"


def test_an_anecdote_takes_no_lead(leaders: Leaders) -> None:
    assert front(leaders, a=took(1.0)) == "a"
    assert front(leaders, a=took(1.0), b=took(0.1, 2.9)) == "a"


def test_two_models_that_are_about_equal_do_not_take_turns(leaders: Leaders) -> None:
    dice = random.Random(7)
    fronts = [front(leaders, a=took(dice.gauss(1, 0.03)), b=took(dice.gauss(1, 0.03))) for _ in range(500)]
    assert len(set(fronts)) == 1


def test_a_leader_whose_circuit_is_open_is_replaced_and_none_such_takes_the_lead(leaders: Leaders) -> None:
    assert front(leaders, a=took(0.1), b=took(5.0)) == "a"
    assert front(leaders, a=took(0.1, circuit=CircuitState.OPEN), b=took(5.0)) == "b"
    assert front(leaders, a=took(0.1, circuit=CircuitState.OPEN), b=took(5.0)) == "b"
    assert front(leaders, a=took(0.1), b=took(5.0)) == "a"


def test_a_leader_nobody_can_replace_stays(leaders: Leaders) -> None:
    assert front(leaders, a=took(0.1)) == "a"
    assert front(leaders, a=took(0.1, circuit=CircuitState.OPEN)) == "a"
    assert front(leaders) == "a"


def test_expected_lengths_decide_between_a_quick_start_and_a_quick_pace(leaders: Leaders) -> None:
    models = {
        "a": ModelState(ttft=Timing(0.1, 0.2, 9), per_token=Timing(0.02, 0.1, 9)),
        "b": ModelState(ttft=Timing(1.0, 2.0, 9), per_token=Timing(0.001, 0.1, 9)),
    }
    assert leaders.update(models, {"quick": {"a": 10.0, "b": 10.0}}, {})["quick/quick"] == "a"
    assert leaders.update(models, {"quick": {"a": 1000.0, "b": 1000.0}}, {})["quick/quick"] == "b"


def test_balance_counts_the_price_and_one_that_nobody_knows_as_the_worst(leaders: Leaders) -> None:
    models = {"a": took(1.0), "b": took(3.0)}
    prices = {"a": Price(4.0, 16.0), "b": Price(1.0, 4.0)}
    assert "mixed/fair" not in leaders.update(models, {}, {})
    assert leaders.update(models, {}, prices)["mixed/fair"] == "b"
    assert leaders.update(models, {}, {"a": prices["a"]})["mixed/fair"] == "a"


def test_a_reload_keeps_the_leaders_of_pools_that_still_have_them(leaders: Leaders) -> None:
    front(leaders, a=took(1.0), b=took(1.1), c=took(0.5))
    changed = POLICY | {
        "routers": {"quick": {"models": ["b", "c"], "prefer": "fastest"}, "mixed": POLICY["routers"]["mixed"]}  # type: ignore[index]
    }
    leaders.use(Policy.model_validate(changed))
    assert leaders.update({}, {}, {}) == {"mixed/speedy": "c"}
