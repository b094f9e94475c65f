"""A router for a share of the sessions, and a shadow beside it."""

from __future__ import annotations

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.types import Reason
from signalbox.world import RolloutState

from .cases import decide, make_case, make_policy, names
from .worlds import in_session, seeing

SESSIONS = 10_000


def policy(**rollout):
    return make_policy(
        routers={"r": {"models": ["acme-mini"], "rollout": {"otherwise": "bolt-large", **rollout}}}, default_router="r"
    )


def inside(pipeline: Pipeline, **world) -> set[int]:
    return {n for n in range(SESSIONS) if pipeline.decide(seeing(in_session(n), **world)).rollout == "in"}


@pytest.mark.parametrize("percent", [10, 50])
def test_its_share_of_the_sessions_is_in_within_one_percent(percent):
    found = inside(Pipeline.compile(policy(percent=percent)))
    assert len(found) / SESSIONS == pytest.approx(percent / 100, abs=0.01)


def test_a_session_outside_goes_where_it_went_before_with_that_models_fallbacks():
    decision = decide(policy(percent=0), make_case())
    assert (decision.rollout, decision.reason) == ("out", Reason.ROLLOUT)
    assert names(decision) == ["bolt-large", "acme-large"]


def test_steps_begin_with_the_first_and_follow_the_world():
    pipeline = Pipeline.compile(policy(steps=[10, 50, 100]))
    first = inside(pipeline)
    second = inside(pipeline, rollouts={"r": RolloutState(0.5)})
    assert len(first) / SESSIONS == pytest.approx(0.1, abs=0.01)
    assert first < second
    assert len(inside(pipeline, rollouts={"r": RolloutState(1.0)})) == SESSIONS


def test_a_rollout_that_was_rolled_back_takes_nobody():
    pipeline = Pipeline.compile(policy(percent=50))
    assert inside(pipeline, rollouts={"r": RolloutState(0.0, "error_rate")}) == set()


def test_a_request_of_a_client_that_names_a_model_is_no_part_of_it():
    assert decide(policy(percent=0), make_case("acme-mini")).rollout == ""


SHADOWED = make_policy(
    routers={
        "live": {"models": ["acme-large", "acme-mini"], "shadow": "idea"},
        "idea": {"models": ["acme-mini", "acme-large"]},
        "broken": {"models": ["home-small"]},
        "loop": {"models": ["acme-mini"], "shadow": "loop"},
    },
    default_router="live",
)


def test_a_shadow_is_decided_and_not_used():
    decision = decide(SHADOWED, make_case())
    assert decision.shadow == ("idea", "acme-mini")
    assert names(decision) == ["acme-large", "acme-mini"]


def test_a_shadow_with_nobody_left_says_nothing_and_costs_nothing():
    made = SHADOWED.model_copy(
        update={
            "routers": {**SHADOWED.routers, "live": SHADOWED.routers["live"].model_copy(update={"shadow": "broken"})}
        }
    )
    decision = decide(made, make_case(max_tokens=100_000))
    assert decision.shadow is None
    assert names(decision) == ["acme-large"]


def test_a_router_may_be_its_own_shadow():
    assert decide(SHADOWED, make_case("router:loop")).shadow == ("loop", "acme-mini")
