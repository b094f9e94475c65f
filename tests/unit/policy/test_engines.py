"""Engines in a policy, and what routers make of their answers."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.policy.engines import Engine

from .policies import VALID, errors_of, load, only_error, only_warning

CLASSIFIER = {"kind": "classifier", "bundle": "/models/bert"}
TIERS = {"name": "judge", "strong": "hard", "weak": "simple"}


def with_engine(engine: dict[str, Any], use: Any) -> dict[str, Any]:
    document = VALID | {"engines": {"judge": engine}}
    document["routers"] = VALID["routers"] | {"everyday": VALID["routers"]["everyday"] | {"engine": use}}
    return document


def test_an_engine_is_named_by_its_router_and_asked_with_what_the_router_says() -> None:
    judge = load(with_engine(CLASSIFIER, TIERS | {"target_share": 0.3})).policy.routers["everyday"].judge
    assert judge is not None
    assert (judge.name, judge.strong, judge.weak, judge.target_share, judge.threshold) == (
        "judge", "hard", "simple", 0.3, None,
    )  # fmt: skip


def test_a_bare_name_takes_the_engines_labels_for_names_of_tasks() -> None:
    judge = load(with_engine(CLASSIFIER, "judge")).policy.routers["everyday"].judge
    assert judge is not None
    assert not judge.has_tiers


@pytest.mark.parametrize(
    ("use", "path"),
    [
        ("jugde", "routers.everyday.engine"),
        (TIERS | {"name": "jugde"}, "routers.everyday.engine.name"),
        (TIERS | {"strong": "hrad"}, "routers.everyday.engine.strong"),
        (TIERS | {"otherwise": "hrad"}, "routers.everyday.engine.otherwise"),
        ({"name": "judge", "tasks": {"law": "hrad"}}, "routers.everyday.engine.tasks.law"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_with_its_place_and_the_nearest_one(use: Any, path: str) -> None:
    problem = next(problem for problem in errors_of(with_engine(CLASSIFIER, use)) if problem.path == path)
    assert problem.found.startswith("unknown ")
    assert problem.fix.startswith("did you mean")


@pytest.mark.parametrize(
    ("engine", "found"),
    [
        ({"kind": "classifier"}, "needs `bundle`"),
        ({"kind": "matrix_factorization", "bundle": "/m"}, "needs `embedding`"),
        ({"kind": "preference"}, "one of the two"),
        ({"kind": "preference", "endpoint": "http://h/v1"}, "needs `model`"),
        ({"kind": "deliberate"}, "one of the two"),
        ({"kind": "deliberate", "endpoint": "http://h/v1"}, "needs `model`"),
        (
            {"kind": "deliberate", "bundle": "/m", "mode": "answer"},
            "`mode` says nothing to a model that deliberates at a `bundle`",
        ),
        ({"kind": "deliberate", "bundle": "/m", "pool": "http://h/v1"}, "`pool` says nothing"),
        (
            {"kind": "deliberate", "endpoint": "http://h/v1", "model": "m", "think_tokens": 9},
            "`think_tokens` says nothing",
        ),
        (CLASSIFIER | {"pool": "http://h/v1"}, "`pool` says nothing to an engine of kind classifier"),
        (CLASSIFIER | {"mode": "answer"}, "`mode` says nothing to an engine of kind classifier"),
        (CLASSIFIER | {"cache_entries": 3}, "`cache_entries` says nothing to an engine of kind classifier"),
        (
            {"kind": "preference", "endpoint": "http://h/v1", "model": "m", "compare": "choices"},
            "`compare` is for a bundle",
        ),
        (
            {"kind": "deliberate", "endpoint": "http://h/v1", "model": "m", "compare": "choices"},
            "`compare` says nothing to an engine of kind deliberate",
        ),
        (CLASSIFIER | {"rounds": 3}, "`rounds` says nothing to an engine of kind classifier"),
        ({"kind": "preference", "bundle": "/m", "tokenizer_file": "/t"}, "a bundle has its own tokenizer"),
        (CLASSIFIER | {"weak_model": 3}, "`weak_model` says nothing to an engine of kind classifier"),
        (
            {"kind": "matrix_factorization", "bundle": "/m", "embedding": {"bundle": "/e", "endpoint": "http://h/v1"}},
            "one of the two",
        ),
        (
            {"kind": "matrix_factorization", "bundle": "/m", "embedding": {"endpoint": "http://h/v1"}},
            "needs `model`",
        ),
    ],
)
def test_an_engine_without_what_its_kind_needs_is_refused(engine: dict[str, Any], found: str) -> None:
    assert found in only_error(with_engine(engine, TIERS)).found


@pytest.mark.parametrize(
    ("use", "found"),
    [
        ({"name": "judge", "strong": "hard"}, "`strong` and `weak` go together"),
        (TIERS | {"tasks": {"law": "hard"}}, "with `strong` and `weak` there are none"),
        ({"name": "judge", "threshold": 0.4}, "name both"),
        (TIERS | {"dial": "x-quality"}, "`dial` needs `target_share`"),
    ],
)
def test_a_use_that_contradicts_itself_is_refused(use: dict[str, Any], found: str) -> None:
    assert any(found in problem.found for problem in errors_of(with_engine(CLASSIFIER, use)))


def test_tiers_and_kinds_that_know_none_are_told_apart() -> None:
    preference = {"kind": "preference", "bundle": "/models/arch"}
    described = VALID["routers"]["everyday"] | {
        "tasks": [task | {"description": "Work"} for task in VALID["routers"]["everyday"]["tasks"]]
    }
    document = with_engine(preference, TIERS)
    document["routers"]["everyday"] = described | {"engine": TIERS}
    assert "knows no `strong` and `weak`" in only_error(document).found
    factorization = {"kind": "matrix_factorization", "bundle": "/m", "embedding": {"bundle": "/e"}}
    assert "tells two tiers apart" in only_error(with_engine(factorization, "judge")).found


def ruled(says: dict[str, Any], kind: str = "modality") -> dict[str, Any]:
    document = VALID | {"engines": {"guard": {"kind": kind, "bundle": "/models/guard"}}}
    rules = [{"when": {"engine": says}, "task": "hard"}]
    document["routers"] = VALID["routers"] | {"everyday": VALID["routers"]["everyday"] | {"rules": rules}}
    return document


def test_a_rule_may_ask_what_an_engine_says() -> None:
    loaded = load(ruled({"name": "guard", "labels": ["jailbreak"]}))
    assert (loaded.warnings, loaded.policy.routers["everyday"].engines) == ((), ("guard",))


def test_a_rule_about_an_engine_nobody_knows_or_that_has_no_labels_is_an_error() -> None:
    problem = next(iter(errors_of(ruled({"name": "gaurd", "labels": ["x"]}))))
    assert problem.path == "routers.everyday.rules[0].when.engine.name"
    assert 'did you mean "guard"' in problem.fix
    assert "gives no labels" in only_error(ruled({"name": "guard", "labels": ["x"]}, "preference")).found


def test_an_engine_nobody_asks_is_a_warning() -> None:
    assert only_warning(VALID | {"engines": {"judge": CLASSIFIER}}).path == "engines.judge"


def test_a_task_without_a_description_is_nothing_to_choose_by() -> None:
    loaded = load(with_engine({"kind": "preference", "bundle": "/models/arch"}, "judge"))
    assert [warning.path for warning in loaded.warnings] == ["routers.everyday.tasks[0]", "routers.everyday.tasks[1]"]


def test_an_engine_that_consults_models_needs_tasks_named_after_them_and_never_hears_of_local_only_requests() -> None:
    served = {"kind": "deliberate", "endpoint": "http://h/v1", "model": "r1", "location": "local"}
    assert not load(with_engine(served, "judge")).policy.engines["judge"].leaves_the_site
    consulting = served | {"pool": "http://127.0.0.1:10000/v1"}
    problems = errors_of(with_engine(consulting, "judge"))
    assert [problem.path for problem in problems] == [f"routers.everyday.tasks[{index}].name" for index in (0, 1)]
    assert "consults models by the names of tasks" in problems[0].found
    assert Engine.model_validate(consulting).leaves_the_site


ARCH = {"kind": "preference", "endpoint": "http://arch.test/v1", "model": "arch"}
JOURNAL = {"directory": "/var/lib/signalbox/journal"}


def with_shadow(engine: dict[str, Any] = ARCH, shadow: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    document = VALID | {"engines": {"judge": engine}, "journal": JOURNAL} | more
    section = {"name": "judge", "per_day": 100} | (shadow or {})
    document["routers"] = VALID["routers"] | {"everyday": VALID["routers"]["everyday"] | {"shadow_engine": section}}
    return document


def test_a_shadow_engine_is_opened_and_has_no_part_in_what_envoy_waits_for() -> None:
    loaded = load(with_shadow())
    assert not loaded.warnings
    router = loaded.policy.routers["everyday"]
    assert (router.engines, router.judge) == ((), None)
    assert router.labeller is not None
    assert router.labeller.name == "judge"


def test_a_shadow_engine_that_is_not_there_is_an_error() -> None:
    problem = only_error(with_shadow(shadow={"name": "jugde"}))
    assert problem.path == "routers.everyday.shadow_engine.name"
    assert problem.fix.startswith("did you mean")


def test_a_shadow_engine_chooses_among_tasks_that_there_are() -> None:
    mf = {"kind": "matrix_factorization", "bundle": "/m", "embedding": {"bundle": "/e"}}
    assert "chooses no task" in only_error(with_shadow(mf)).found
    document = with_shadow()
    document["routers"] = {"everyday": {"models": ["mini", "small"], "shadow_engine": {"name": "judge", "per_day": 1}}}
    assert "no tasks" in only_error(document).found


def test_labels_without_a_journal_are_warned_of() -> None:
    document = with_shadow()
    del document["journal"]
    assert "goes to the journal" in only_warning(document).found


def with_shadow_router(**everyday: Any) -> dict[str, Any]:
    tasks = {"tasks": [{"name": "hard", "models": ["mini"]}, {"name": "easy", "models": ["small"]}]}
    candidate = {**tasks, "default_task": "easy", "engine": {"name": "judge", "strong": "hard", "weak": "easy"}}
    document = VALID | {"engines": {"judge": CLASSIFIER}}
    own = VALID["routers"]["everyday"] | {"shadow": "candidate"} | everyday
    document["routers"] = VALID["routers"] | {"everyday": own, "candidate": candidate}
    return document


def test_a_shadow_whose_engine_nobody_asks_is_warned_of() -> None:
    problem = only_warning(with_shadow_router())
    assert problem.path == "routers.everyday.shadow"
    assert '"judge"' in problem.found
    assert "shadow_engine" in problem.fix
    assert load(with_shadow_router(engine=TIERS)).warnings == ()
