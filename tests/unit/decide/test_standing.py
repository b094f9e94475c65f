"""Models that are down, and models whose requests are moving on."""

from __future__ import annotations

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.world import CircuitState, ModelState

from .cases import decide, make_case, make_policy, names
from .worlds import in_session, seeing, world

POLICY = make_policy(
    routers={"r": {"models": ["home-small", "acme-mini"], "fallback": ["acme-large"]}}, default_router="r"
)
DOWN = ModelState(circuit=CircuitState.OPEN)


def test_a_model_that_is_down_stands_behind_everybody_else():
    assert names(decide(POLICY, seeing(make_case(), models=world(home_small=DOWN)))) == [
        "acme-mini",
        "acme-large",
        "home-small",
    ]


def test_when_all_are_down_they_are_tried_in_their_order():
    states = world(home_small=DOWN, acme_mini=DOWN, acme_large=DOWN)
    assert names(decide(POLICY, seeing(make_case(), models=states))) == ["home-small", "acme-mini", "acme-large"]


def test_a_half_open_circuit_lets_its_share_of_the_requests_through():
    states = world(home_small=ModelState(circuit=CircuitState.HALF_OPEN, probe_share=0.2))
    pipeline = Pipeline.compile(POLICY)
    firsts = [
        names(pipeline.decide(seeing(make_case(), models=states, dice=n / 2000 + 1 / 7919)))[0] for n in range(2000)
    ]
    assert firsts.count("home-small") / 2000 == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_shift_moves_its_share_of_the_sessions_behind_the_others(share):
    pipeline = Pipeline.compile(POLICY)
    shifts = {"r": {"home-small": share}}
    moved = [names(pipeline.decide(seeing(in_session(n), shifts=shifts)))[0] != "home-small" for n in range(4000)]
    assert sum(moved) / 4000 == pytest.approx(share, abs=0.02)


def test_a_growing_shift_moves_more_sessions_and_none_back():
    pipeline = Pipeline.compile(POLICY)

    def moved(share: float) -> set[int]:
        shifts = {"r": {"home-small": share}}
        return {
            n for n in range(500) if names(pipeline.decide(seeing(in_session(n), shifts=shifts)))[0] != "home-small"
        }

    assert moved(0.2) < moved(0.4) < moved(0.8)


def test_a_shift_belongs_to_its_router():
    assert names(decide(POLICY, seeing(make_case(), shifts={"other": {"home-small": 1.0}})))[0] == "home-small"


def test_a_local_only_request_stays_local_whatever_is_down_or_shifted():
    policy = make_policy(
        routers={"r": {"models": ["home-small", "acme-mini"]}},
        default_router="r",
        privacy={"local_only": {"headers": {"x-data-class": "restricted"}}},
    )
    case = make_case(headers={"x-data-class": "restricted"})
    seen = seeing(case, models=world(home_small=DOWN), shifts={"r": {"home-small": 1.0}})
    assert names(decide(policy, seen)) == ["home-small"]
