"""Goals in a policy: routers that lead to other routers."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from .policies import VALID, errors_of, load, only_error, only_warning

GOALS: dict[str, Any] = {
    "modality": {"image_out": "best"},
    "latency_sensitive": {"router": "quick", "header": "x-latency-sensitive"},
    "described": "everyday",
    "complexity": {"threshold": 0.3, "below": "quick", "above": "everyday"},
}


def with_goals(goals: dict[str, Any] | None = None, routers: dict[str, Any] | None = None, **own: Any) -> Any:
    document = copy.deepcopy(VALID)
    del document["aliases"]["best"]
    document["routers"] |= {
        "quick": {"models": ["small"]},
        "best": {"models": ["large", "small"]},
        "leading": {"goals": GOALS | (goals or {}), **own},
        **(routers or {}),
    }
    return document


def test_a_router_may_have_goals_in_place_of_models() -> None:
    goals = load(with_goals()).policy.routers["leading"].goals
    assert goals is not None
    assert goals.routers == ("best", "quick", "everyday")
    assert not load(with_goals()).warnings


@pytest.mark.parametrize(
    ("goals", "path"),
    [
        ({"modality": {"image_out": "bset"}}, "modality.image_out"),
        ({"latency_sensitive": {"router": "qiuck", "header": "x-fast"}}, "latency_sensitive.router"),
        ({"described": "evryday"}, "described"),
        ({"complexity": {"threshold": 0.3, "below": "quikc", "above": "best"}}, "complexity.below"),
        ({"complexity": {"threshold": 0.3, "below": "quick", "above": "bets"}}, "complexity.above"),
    ],
)
def test_a_router_that_is_not_there_is_an_error_with_its_line_and_the_nearest_one(
    goals: dict[str, Any], path: str
) -> None:
    problem = only_error(with_goals(goals))
    assert problem.path == f"routers.leading.goals.{path}"
    assert problem.line is not None
    assert problem.fix.startswith("did you mean")


def test_a_model_is_no_router_for_a_goal() -> None:
    assert "only a router" in only_error(with_goals({"described": "large"})).found


@pytest.mark.parametrize(
    ("routers", "described", "found"),
    [
        ({}, "leading", '"leading" is this router itself'),
        ({"other": {"goals": {"complexity": GOALS["complexity"]}}}, "other", '"other" is a router with goals'),
    ],
)
def test_goals_lead_to_routers_that_decide_themselves(routers: dict[str, Any], described: str, found: str) -> None:
    problem = only_error(with_goals({"described": described}, routers))
    assert (problem.found, problem.path) == (found, "routers.leading.goals.described")
    assert problem.fix


@pytest.mark.parametrize(
    "own",
    [
        {"models": ["large"]},
        {"prefer": "cheapest"},
        {"complexity": {"threshold": 0.5, "below": "a", "above": "b"}, "tasks": [{"name": "a", "models": ["large"]}]},
        {"default_task": "a", "tasks": [{"name": "a", "models": ["large"]}]},
    ],
)
def test_what_decides_nothing_beside_goals_is_refused(own: dict[str, Any]) -> None:
    assert any("beside `goals`" in problem.found for problem in errors_of(with_goals(**own)))


@pytest.mark.parametrize(
    ("section", "found"),
    [
        ({"router": "quick"}, "needs `header`, `when` or both"),
        ({"router": "quick", "when": {"engine": {"name": "e", "labels": ["x"]}}}, "time that such requests do not"),
        ({"router": "quick", "when": {"regex": "("}}, "RE2 refuses"),
        ({"router": "quick", "when": {"keywords": [" "]}}, "a blank keyword"),
        ({"router": "quick", "header": "authorization"}, "can never match"),
        ({"router": "quick", "when": {"headers": {"x-envoy-fast": "1"}}}, "can never match"),
    ],
)
def test_haste_that_cannot_be_told_is_refused(section: dict[str, Any], found: str) -> None:
    assert any(found in problem.found for problem in errors_of(with_goals({"latency_sensitive": section})))


def test_a_dial_nobody_can_turn_is_refused() -> None:
    document = with_goals()
    document["engines"] = {"judge": {"kind": "classifier", "bundle": "/models/bert"}}
    tiers = {"name": "judge", "strong": "hard", "weak": "simple", "target_share": 0.5, "dial": "cookie"}
    document["routers"]["everyday"]["engine"] = tiers
    assert "can never match" in only_error(document).found


def test_a_described_router_that_cannot_tell_is_warned_of() -> None:
    assert "never taken" in only_warning(with_goals({"described": "best"})).found


def test_a_budget_that_does_not_hold_for_what_is_led_there_is_warned_of() -> None:
    routers = {"quick": {"models": ["small"], "budget": {"usd_per_day": 5}}}
    warning = only_warning(with_goals(routers=routers))
    assert "does not hold" in warning.found
    assert warning.fix == 'give router "leading" a budget'


def test_two_routers_in_question_at_once_may_not_ask_one_engine_about_different_tasks() -> None:
    tasks = [
        {"name": "a", "description": "A", "models": ["large"]},
        {"name": "b", "description": "B", "models": ["small"]},
    ]
    asking = {"tasks": tasks, "default_task": "a", "engine": "arch"}
    document = with_goals(
        {"described": "one", "complexity": {"threshold": 0.3, "below": "quick", "above": "two"}},
        {"one": asking, "two": asking},
    )
    document["engines"] = {"arch": {"kind": "preference", "endpoint": "http://arch.test/v1", "model": "arch"}}
    problem = only_error(document)
    assert problem.path == "routers.leading.goals.described"
    assert "asks the same engine" in problem.found


def test_the_local_models_of_its_goals_are_a_routers_own() -> None:
    document = with_goals({"complexity": {"threshold": 0.3, "below": "cloud", "above": "everyday"}, "modality": {}})
    document["routers"]["cloud"] = {"models": ["large"]}
    assert [problem.path for problem in load(document).warnings] == ["routers.cloud"]
