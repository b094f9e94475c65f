"""What follows from an engine's answer, and when one is asked at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from signalbox.decide.headers import wanted_headers
from signalbox.decide.pipeline import Pipeline
from signalbox.errors import RequestError
from signalbox.policy.world import Budget
from signalbox.types import Answer, Case, EngineOutcome, Reason, Threshold, ThresholdState
from signalbox.world import CircuitState, ModelState, Pin
from tests.unit.decide.cases import LOCAL_ONLY, decide, make_case
from tests.unit.decide.worlds import seeing
from tests.unit.engines.bundles import judged_policy

RESULT, UNSURE, LATE, FAILED = EngineOutcome


def says(strong: float) -> Answer:
    tiers = (("strong", strong), ("weak", 1 - strong))
    best_first = tuple(sorted(tiers, key=lambda tier: -tier[1]))
    return Answer(RESULT, best_first[0][0], best_first, microseconds=1500)


def label(route: str, score: float = 0.9) -> Answer:
    return Answer(RESULT, route, ((route, score),))


def answered(case: Case, answer: Answer, **cuts: float) -> Case:
    running = {router: Threshold(value, ThresholdState.FOLLOWING) for router, value in cuts.items()}
    return replace(case, signals=replace(case.signals, answers={"judge": answer}, cuts=running))


def policy(judge: Any = None, **more: Any) -> Any:
    return judged_policy("/models/judge", judge, **more)


TIERS = {"name": "judge", "strong": "hard", "weak": "simple"}


@pytest.mark.parametrize(
    ("threshold", "score", "task"),
    [(None, 0.5, "hard"), (None, 0.499, "simple"), (0.2, 0.2, "hard"), (0.9, 0.89, "simple"), (0.0, 0.0, "hard")],
)
def test_from_the_threshold_on_a_request_is_for_the_strong_tier(
    threshold: float | None, score: float, task: str
) -> None:
    judge = TIERS if threshold is None else TIERS | {"threshold": threshold}
    decision = decide(policy(judge), answered(make_case(), says(score)))
    assert (decision.route, decision.reason) == (task, Reason.ENGINE)
    assert decision.judged is not None
    assert (decision.judged.score, decision.judged.threshold) == (score, 0.5 if threshold is None else threshold)
    assert decision.judged.microseconds == 1500


def test_a_target_share_uses_the_threshold_of_the_moment_and_its_own_until_there_is_one() -> None:
    shared = policy(TIERS | {"target_share": 0.3, "threshold": 0.8})
    assert decide(shared, answered(make_case(), says(0.7), r=0.6)).route == "hard"
    assert decide(shared, answered(make_case(), says(0.5), r=0.6)).route == "simple"
    assert decide(shared, answered(make_case(), says(0.7))).route == "simple"


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("router-judge-0.4", "hard"),
        ("router-r-0.4", "hard"),
        ("router-r-0.45001", "simple"),
        ("router-judge-1", "simple"),
        ("router-judge-0", "hard"),
    ],
)
def test_clients_may_name_the_threshold_as_routellm_does(name: str, route: str) -> None:
    decision = decide(policy(TIERS | {"target_share": 0.1}), answered(make_case(name), says(0.45), r=0.99))
    assert (decision.router, decision.route, decision.reason) == ("r", route, Reason.ENGINE)


@pytest.mark.parametrize(
    "name", ["router-judge-1.5", "router-judge-", "router-jury-0.4", "router-judge-0.4x", "router-"]
)
def test_what_is_no_such_name_is_a_model_nobody_knows(name: str) -> None:
    with pytest.raises(RequestError) as refusal:
        decide(policy(), make_case(name))
    assert refusal.value.code == "model_not_found"


def test_a_label_is_the_name_of_a_task_or_what_the_router_makes_of_it() -> None:
    assert decide(policy("judge"), answered(make_case(), label("hard"))).route == "hard"
    mapped = policy({"name": "judge", "tasks": {"maths": "hard", "chat": "simple"}})
    assert decide(mapped, answered(make_case(), label("maths"))).route == "hard"


@pytest.mark.parametrize(
    ("judge", "answer", "detail"),
    [
        ("judge", label("cooking"), "unknown_route"),
        ({"name": "judge", "min_score": 0.5}, label("hard", 0.49), "low_score"),
        (TIERS, label("hard"), "no_tiers"),
        ("judge", Answer(RESULT), "no_route"),
        (TIERS, Answer(UNSURE, detail="no_text"), "no_text"),
    ],
)
def test_an_answer_that_decides_nothing_is_unsure_and_says_why(judge: Any, answer: Answer, detail: str) -> None:
    decision = decide(policy(judge), answered(make_case(), answer))
    assert (decision.route, decision.reason) == ("simple", Reason.ENGINE_UNSURE)
    assert decision.judged is not None
    assert (decision.judged.outcome, decision.judged.detail) == (UNSURE, detail)


STEPS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {}, "simple"),
    ({"otherwise": "hard"}, {}, "hard"),
    ({}, {"complexity": {"threshold": 0.3, "below": "simple", "above": "hard"}}, "hard"),
    ({"otherwise": "simple"}, {"complexity": {"threshold": 0.3, "below": "simple", "above": "hard"}}, "simple"),
]


@pytest.mark.parametrize(("outcome", "reason"), [
    (UNSURE, Reason.ENGINE_UNSURE), (LATE, Reason.ENGINE_LATE), (FAILED, Reason.ENGINE_FAILED),
])  # fmt: skip
@pytest.mark.parametrize(("judge", "router", "task"), STEPS)
def test_without_an_answer_the_named_next_step_decides(
    outcome: EngineOutcome, reason: Reason, judge: dict[str, Any], router: dict[str, Any], task: str
) -> None:
    decision = decide(policy(TIERS | judge, router=router), answered(make_case(complexity=0.9), Answer(outcome)))
    assert (decision.route, decision.reason) == (task, reason)


def test_nobody_asked_is_no_failure() -> None:
    decision = decide(policy(), make_case())
    assert (decision.route, decision.reason, decision.judged) == ("simple", Reason.DEFAULT, None)


def test_the_explanation_shows_what_the_engine_said() -> None:
    trace = Pipeline.compile(policy(TIERS | {"threshold": 0.25})).explain(answered(make_case(), says(0.75)))
    assert trace["engine"] == {
        "name": "judge",
        "outcome": "result",
        "detail": "",
        "microseconds": 1500,
        "scores": {"strong": 0.75, "weak": 0.25},
        "threshold": 0.25,
        "task": "hard",
    }
    assert trace["decision"]["engine"]["score"] == 0.75


# ---------------------------------------------------------------- who is asked


def is_asked(case: Case, **router: Any) -> bool:
    return Pipeline.compile(policy(router=router, privacy=LOCAL_ONLY)).asks(case) is not None


def test_an_engine_is_asked_about_a_request_that_its_router_has_to_decide() -> None:
    asks = Pipeline.compile(policy()).asks(make_case())
    assert asks is not None
    [(engine, routes)] = asks.questions
    assert (engine, [route.name for route in routes], asks.shares) == ("judge", ["simple", "hard"], (("r", None),))


def test_nobody_is_asked_where_a_rule_decides() -> None:
    rules = [{"when": {"keywords": ["hello"]}, "task": "hard"}]
    assert not is_asked(make_case(text="hello"), rules=rules)
    assert is_asked(make_case(text="bye"), rules=rules)


def test_nobody_is_asked_for_a_named_model_or_a_refused_request() -> None:
    assert not is_asked(make_case("acme-mini"))
    assert not is_asked(make_case("nobody"))


def test_nobody_is_asked_for_a_session_that_keeps_its_model() -> None:
    pinned = seeing(make_case(), key="k", pin=Pin("acme-large", 2, 0, 0))
    assert not is_asked(pinned, affinity={})
    assert is_asked(pinned, affinity={"mode": "budgeted"})
    gone = seeing(make_case(), key="k", pin=Pin("acme-large", 2, 0, 0), models={"acme-large": DOWN})
    assert is_asked(replace(gone, request=gone.request), affinity={}, fallback=["home-small"]) is False  # one is left
    assert is_asked(seeing(make_case(), key="k", pin=Pin("nobody", 2, 0, 0)), affinity={})


def test_nobody_is_asked_for_a_session_out_of_the_rollout() -> None:
    assert not is_asked(make_case(), rollout={"percent": 0, "otherwise": "acme-mini"})
    assert is_asked(make_case(), rollout={"percent": 100, "otherwise": "acme-mini"})


def test_nobody_is_asked_when_a_budget_is_spent() -> None:
    budget = {"usd_per_day": 1, "when_spent": "cheapest"}
    compiled = Pipeline.compile(policy(budget=budget))
    fresh = seeing(make_case())
    [hold] = compiled.decide(fresh).holds
    assert compiled.asks(fresh) is not None
    assert compiled.asks(seeing(make_case(), spent=(hold.budget,))) is None


DOWN = ModelState(circuit=CircuitState.OPEN)


def test_nobody_is_asked_when_one_model_alone_could_take_the_request() -> None:
    assert not is_asked(seeing(make_case(), models={"acme-large": DOWN}))
    assert not is_asked(make_case(provider={"ignore": ["acme"]}))
    assert not is_asked(make_case(headers={"x-data-class": "restricted"}))
    assert not is_asked(make_case(models=["acme-large"]))


# ---------------------------------------------------------------- rules that ask what an engine says


GUARD = {"name": "guard", "labels": ["jailbreak"], "at_least": 0.7}


def guarded(judge: Any = TIERS, condition: dict[str, Any] | None = None, **when: Any) -> Any:
    rules = [
        {"name": "guarded", "when": {"engine": GUARD | (condition or {}), **when}, "models": ["home-small"]},
        {"name": "plain", "when": {"keywords": ["plain"]}, "task": "hard"},
    ]
    engines = {
        "judge": {"kind": "classifier", "bundle": "/models/judge"},
        "guard": {"kind": "modality", "bundle": "/models/guard"},
    }
    return judged_policy("/models/judge", judge, router={"rules": rules}, engines_besides=engines)


def saying(case: Case, **answers: Answer) -> Case:
    return replace(case, signals=replace(case.signals, answers=answers))


@pytest.mark.parametrize(("score", "route", "reason"), [(0.7, "r", Reason.RULE), (0.69, "hard", Reason.ENGINE)])
def test_a_rule_holds_from_the_probability_on_that_it_names(score: float, route: str, reason: Reason) -> None:
    decision = decide(guarded(), saying(make_case(), guard=label("jailbreak", score), judge=says(0.9)))
    assert (decision.route, decision.reason) == (route, reason)
    if reason is Reason.RULE:
        assert (decision.rule, [candidate.model for candidate in decision.chain]) == ("guarded", ["home-small"])
        assert decision.judged is not None
        assert (decision.judged.engine, decision.judged.score) == ("guard", 0.7)


@pytest.mark.parametrize("without_answer", [True, False])
@pytest.mark.parametrize("outcome", [UNSURE, LATE, FAILED])
def test_a_rule_says_what_holds_without_an_answer(outcome: EngineOutcome, without_answer: bool) -> None:
    policy = guarded(condition={"without_answer": without_answer})
    decision = decide(policy, saying(make_case(), guard=Answer(outcome), judge=says(0.9)))
    assert (decision.reason is Reason.RULE) is without_answer


@pytest.mark.parametrize(
    ("text", "when", "engines"),
    [
        ("hello", {}, ("guard", "judge")),
        ("plain", {}, ("guard",)),  # the second rule would decide, if the first does not
        ("hello", {"keywords": ["other"]}, ("judge",)),
        ("plain", {"keywords": ["other"]}, ()),
    ],
)
def test_the_engines_of_rules_are_asked_as_far_as_they_may_decide(
    text: str, when: dict[str, Any], engines: tuple[str, ...]
) -> None:
    asks = Pipeline.compile(guarded(**when)).asks(make_case(text=text))
    assert (asks.keys if asks is not None else ()) == engines


def test_one_engine_for_a_rule_and_for_the_router_is_asked_once() -> None:
    asks = Pipeline.compile(guarded("guard")).asks(make_case())
    assert asks is not None
    assert asks.keys == ("guard",)


def test_an_explanation_names_the_rule_whose_engine_said_otherwise() -> None:
    case = saying(make_case(), guard=label("benign", 0.9), judge=says(0.9))
    assert {"rule": "guarded", "failed": "engine"} in Pipeline.compile(guarded()).explain(case)["rules"]


@pytest.mark.parametrize(
    ("header", "share"),
    [
        ("0.25", 0.25),
        ("1", 1.0),
        (" 0 ", 0.0),
        ("1.5", None),
        ("-0.1", None),
        ("nan", None),
        ("high", None),
        ("", None),
    ],
)
def test_a_request_may_name_its_own_share(header: str, share: float | None) -> None:
    dialled = policy(TIERS | {"target_share": 0.3, "dial": "x-quality"})
    asks = Pipeline.compile(dialled).asks(make_case(headers={"x-quality": header}))
    assert asks is not None
    assert asks.shares == (("r", share),)
    assert "x-quality" in wanted_headers(dialled)


def test_a_threshold_in_a_name_is_not_lost_to_a_pattern_that_takes_everything() -> None:
    greedy = policy(TIERS, router={"capture": ["*"]})
    assert decide(greedy, answered(make_case("router-judge-0.9"), says(0.8))).route == "simple"
    assert decide(greedy, answered(make_case("anything"), says(0.8))).route == "hard"


def test_a_target_share_needs_the_store_that_keeps_its_scores() -> None:
    assert Pipeline.compile(policy(TIERS | {"target_share": 0.3})).needs_store
    assert not Pipeline.compile(policy(TIERS)).needs_store


def test_a_spent_budget_silences_the_routers_engine_and_not_those_of_its_rules() -> None:
    budget = {"usd_per_day": 1, "when_spent": "cheapest"}
    compiled = Pipeline.compile(guarded().model_copy(update={"budget": Budget.model_validate(budget)}))
    [hold] = compiled.decide(seeing(make_case())).holds
    asks = compiled.asks(seeing(make_case(), spent=(hold.budget,)))
    assert asks is not None
    assert asks.keys == ("guard",)
