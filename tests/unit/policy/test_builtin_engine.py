"""What a policy may say of the built-in engine, which needs no entry, and of goals, which have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signalbox.envoy.listener import DECISION_SECONDS, decision_seconds
from signalbox.policy.problems import check_file

from .policies import VALID, errors_of, load, only_error

TIERS = {"name": "builtin", "strong": "hard", "weak": "simple"}
CLASSIFIER = {"kind": "classifier", "bundle": "/models/bert"}
FACTORIZATION = {"kind": "matrix_factorization", "bundle": "/models/mf", "embedding": {"bundle": "/models/minilm"}}


def with_router(router: Any, engines: Any = None) -> dict[str, Any]:
    everyday = {key: value for key, value in VALID["routers"]["everyday"].items() if key not in ("complexity",)}
    return (
        VALID
        | {"routers": VALID["routers"] | {"everyday": everyday | router}}
        | ({"engines": engines} if engines else {})
    )


@pytest.mark.parametrize("engine", ["builtin", TIERS, TIERS | {"target_share": 0.3}, TIERS | {"usd_per_1000": 4}])
def test_it_is_asked_by_its_name_without_an_entry(engine: Any) -> None:
    policy = load(with_router({"engine": engine})).policy
    assert policy.routers["everyday"].engines == ("builtin",)
    assert policy.known_engines["builtin"].is_builtin
    assert "builtin" not in policy.engines


def test_envoy_waits_no_longer_for_it(tmp_path: Any) -> None:
    assert decision_seconds(load(with_router({"engine": TIERS})).policy) == DECISION_SECONDS


@pytest.mark.parametrize("key", ["deadline_ms", "max_concurrent", "endpoint", "margin"])
def test_what_only_engines_on_threads_need_is_refused(key: str) -> None:
    value = "http://h/v1" if key == "endpoint" else 1
    document = with_router({"engine": TIERS | {"name": "mine"}}, {"mine": {"kind": "builtin", key: value}})
    assert f"`{key}` says nothing to an engine of kind builtin" in only_error(document).found


def test_nobody_else_may_have_its_name() -> None:
    problem = only_error(with_router({"engine": TIERS}, {"builtin": CLASSIFIER}))
    assert (problem.path, problem.fix) == ("engines.builtin", "rename the engine")


@pytest.mark.parametrize(
    ("goal", "judge"),
    [
        ("fastest", ("hard", "simple")),
        ("lowest_cost", ("hard", "simple")),
        ("highest_quality", ("hard", "simple")),
        ("balanced", (None, None)),
    ],
)
def test_a_goal_without_an_engine_has_it_and_the_first_of_two_tasks_is_the_weaker(goal: str, judge: Any) -> None:
    tasks = [
        {"name": "simple", "description": "Small talk", "models": ["small"]},
        {"name": "hard", "description": "Proofs", "models": ["large"]},
    ]
    router = {"tasks": tasks, "default_task": "simple", "goal": goal}
    found = load(VALID | {"routers": {"everyday": router}}).policy.routers["everyday"].judge
    assert found is not None
    assert (found.name, (found.strong, found.weak)) == ("builtin", judge)


@pytest.mark.parametrize(("goal", "found"), [("fastest", "needs two tasks"), ("balanced", "two described tasks")])
def test_a_goal_needs_the_tasks_to_choose_from(goal: str, found: str) -> None:
    router = {"tasks": [{"name": "one", "models": ["small"]}], "default_task": "one", "goal": goal}
    assert found in only_error(VALID | {"routers": {"everyday": router}}).found


@pytest.mark.parametrize(
    ("engines", "engine", "found"),
    [
        ({"bert": CLASSIFIER}, {**TIERS, "name": "bert", "then": "builtin"}, "is for what the built-in engine"),
        ({}, {**TIERS, "then": "builtin"}, "no second opinion"),
        ({}, {**TIERS, "then": "brt"}, "unknown engine"),
        ({}, {**TIERS, "then": {"name": "brt"}}, "unknown engine"),
        ({"mf": FACTORIZATION}, {"name": "builtin", "then": "mf"}, "tells two tiers apart"),
        (
            {"arch": {"kind": "preference", "bundle": "/models/arch"}},
            {**TIERS, "then": "arch"},
            "no second opinion here",
        ),
    ],
)
def test_a_second_opinion_has_to_be_one_that_can_be_had(engines: Any, engine: Any, found: str) -> None:
    assert any(found in problem.found for problem in errors_of(with_router({"engine": engine}, engines)))


def test_a_second_engine_is_asked_by_its_router() -> None:
    loaded = load(with_router({"engine": {**TIERS, "then": "bert"}}, {"bert": CLASSIFIER}))
    assert (loaded.policy.routers["everyday"].engines, loaded.warnings) == (("builtin", "bert"), ())


@pytest.mark.parametrize("labels", [["strong"], ["weak", "strong"], ["image_out"]])
def test_a_rule_may_ask_what_it_knows(labels: list[str]) -> None:
    rule = {"when": {"engine": {"name": "builtin", "labels": labels}}, "task": "hard"}
    assert load(with_router({"rules": [rule]})).warnings == ()


@pytest.mark.parametrize("labels", [["jailbreak"], ["strong", "image_out"]])
def test_a_rule_about_labels_that_no_head_has_together_is_an_error(labels: list[str]) -> None:
    rule = {"when": {"engine": {"name": "builtin", "labels": labels}}, "task": "hard"}
    problem = only_error(with_router({"rules": [rule]}))
    assert problem.path == "routers.everyday.rules[0].when.engine.labels"
    assert problem.expected == "strong and weak, or image_out"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"threshold_bounds": {"min": 0.2}}, "a threshold that moves"),
        ({"target_share": 0.3, "threshold_bounds": {"min": 0.7, "max": 0.2}}, "above the greatest"),
        ({"target_share": 0.3, "usd_per_1000": 5}, "two aims for one threshold"),
    ],
)
def test_an_aim_that_cannot_be_meant_is_refused(more: Any, found: str) -> None:
    assert any(found in problem.found for problem in errors_of(with_router({"engine": TIERS | more})))


MINE = {"mine": {"kind": "builtin", "bundle": "/models/mine"}}


@pytest.mark.parametrize(
    ("router", "found"),
    [
        ({"goal": "lowest_cost", "engine": "mine"}, ""),
        ({"engine": "mine"}, "nor a goal"),
        ({"goal": "lowest_cost", "engine": "builtin"}, "no model by its name"),
        ({"goal": "fastest", "engine": {"name": "mine", "then": "bert"}}, "nothing to choose from"),
    ],
)
def test_models_are_taken_by_their_chances_where_a_goal_and_heads_for_them_are_named(router: Any, found: str) -> None:
    document = VALID | {
        "engines": MINE | {"bert": CLASSIFIER},
        "routers": {"everyday": {"models": ["small", "large"], **router}},
    }
    if found:
        assert any(found in problem.found for problem in errors_of(document))
    else:
        assert load(document).policy.routers["everyday"].engines == ("mine",)


@pytest.mark.parametrize(
    ("manifest", "severity", "found"),
    [
        (None, "warning", "No such file"),
        ("", "error", "No such file"),
        ("{", "error", "not JSON"),
        ({"kind": "tasks"}, "error", "no manifest of capability heads"),
        ({"kind": "capability", "recommended": False}, "warning", "no better than counting words"),
        ({"kind": "capability", "recommended": True}, "", ""),
    ],
)
def test_heads_of_ones_own_are_looked_at(tmp_path: Path, manifest: Any, severity: str, found: str) -> None:
    folder = tmp_path / "mine"
    if manifest is not None:
        folder.mkdir()
    if manifest:
        (folder / "capability.json").write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    document = with_router({"engine": TIERS | {"name": "mine"}}, {"mine": {"kind": "builtin", "bundle": str(folder)}})
    path = tmp_path / "policy.yaml"
    path.write_text(json.dumps(document))
    problems = [problem for problem in check_file(path, strict=False).problems if problem.path == "engines.mine.bundle"]
    assert [problem.severity for problem in problems] == ([severity] if severity else [])
    assert all(found in problem.found for problem in problems)


def test_a_budget_over_models_without_a_price_is_a_warning() -> None:
    document = with_router({"engine": TIERS | {"usd_per_1000": 4}})
    models = {
        name: {key: value for key, value in model.items() if key != "price"} for name, model in VALID["models"].items()
    }
    [problem] = [
        problem
        for problem in load(document | {"models": models}).warnings
        if problem.path == "routers.everyday.engine.usd_per_1000"
    ]
    assert "without a price" in problem.found
