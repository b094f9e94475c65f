"""A router that leaves its decisions to others, one for each goal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signalbox.decide.headers import wanted_headers
from signalbox.decide.pipeline import Pipeline
from signalbox.errors import RequestError
from signalbox.policy.load import load_policy
from signalbox.policy.schema import Policy
from signalbox.types import Answer, Case, EngineOutcome, InOut, PinOutcome, Privacy, Reason, Threshold, ThresholdState
from signalbox.world import CircuitState, ModelState, Pin

from .cases import LOCAL_ONLY, decide, make_case, make_policy, names
from .worlds import seeing, streams, world

RESULT, UNSURE, LATE, FAILED = EngineOutcome
DOWN = ModelState(circuit=CircuitState.OPEN)
HASTE = {"router": "fastest", "header": "x-latency-sensitive", "when": {"metadata": {"kind": "autocomplete"}}}
GOALS: dict[str, Any] = {
    "modality": {"image_out": "pictures"},
    "latency_sensitive": HASTE,
    "described": "balanced",
    "complexity": {"threshold": 0.3, "below": "cheapest", "above": "best"},
}
WORK = [
    {"name": "code", "description": "Programs", "models": ["bolt-large"]},
    {"name": "other", "description": "The rest", "models": ["acme-mini"]},
]
TIERS = {"name": "judge", "strong": "hard", "weak": "easy", "target_share": 0.5}
ROUTERS: dict[str, Any] = {
    "r": {"goals": GOALS},
    "pictures": {"models": ["acme-large"]},
    "fastest": {"models": ["acme-mini", "home-small"]},
    "cheapest": {"models": ["acme-mini", "acme-large"], "prefer": "cheapest"},
    "best": {"models": ["acme-large"]},
    "balanced": {"tasks": WORK, "rules": [{"name": "traces", "when": {"keywords": ["traceback"]}, "task": "code"}],
                 "default_task": "other"},
}  # fmt: skip
ENGINES = {
    "arch": {"kind": "preference", "endpoint": "http://arch.test/v1", "model": "arch", "location": "local"},
    "judge": {"kind": "classifier", "bundle": "/models/judge"},
}


def policy(*, r: dict[str, Any] | None = None, without: str = "", **routers: dict[str, Any]) -> Policy:
    goals = {name: step for name, step in GOALS.items() if name != without}
    changed = {name: ROUTERS[name] | change for name, change in routers.items()}
    own = {"r": {"goals": goals, **(r or {})}}
    return make_policy(
        routers=ROUTERS | changed | own, default_router="r", privacy=LOCAL_ONLY, engines=ENGINES if routers else {}
    )


def picture(case: Case) -> Case:
    return replace(case, features=case.features._replace(modality=InOut.IMAGE_OUT))


URGENT = {"x-latency-sensitive": "true"}


@pytest.mark.parametrize(
    ("case", "goal", "reason"),
    [
        (make_case(complexity=0.29), "cheapest", Reason.COMPLEXITY),
        (make_case(complexity=0.3), "best", Reason.COMPLEXITY),
        (make_case(complexity=float("nan")), "best", Reason.ENGINE_FAILED),
        (make_case(text="a traceback", complexity=0.9), "balanced", Reason.RULE),
        (make_case(complexity=0.9, headers=URGENT), "fastest", Reason.GOAL),
        (make_case(text="a traceback", headers=URGENT), "fastest", Reason.GOAL),
        (make_case(complexity=0.9, metadata={"kind": "autocomplete"}), "fastest", Reason.GOAL),
        (picture(make_case(complexity=0.9, headers=URGENT)), "pictures", Reason.GOAL),
    ],
    ids=["simple", "complex", "unknown", "described", "header", "header over description", "policy", "modality"],
)
def test_modality_comes_first_then_haste_then_what_is_described_then_complexity(
    case: Case, goal: str, reason: Reason
) -> None:
    decision = decide(policy(), case)
    assert (decision.router, decision.goal, decision.reason) == ("r", goal, reason)


@pytest.mark.parametrize(
    ("value", "goal"),
    [("true", "fastest"), (" YES ", "fastest"), ("1", "fastest"), ("x, true", "fastest"), ("true, false", "fastest"),
     ("false", "best"), ("0", "best"), ("no", "best"), ("soon", "fastest"), ("", "fastest")],
)  # fmt: skip
def test_what_the_header_says_of_haste_counts_more_than_the_policys_conditions(value: str, goal: str) -> None:
    headers = {"x-latency-sensitive": value}
    case = make_case(complexity=0.9, headers=headers, metadata={"kind": "autocomplete"})
    assert decide(policy(), case).goal == goal
    bare = make_case(complexity=0.9, headers=headers)
    assert (decide(policy(), bare).goal == "fastest") is (goal == "fastest" and value not in ("soon", ""))


def test_the_header_of_haste_and_those_of_its_conditions_are_asked_of_envoy() -> None:
    goals = GOALS | {"latency_sensitive": HASTE | {"when": {"headers": {"x-kind": "chat"}}}}
    assert {"x-latency-sensitive", "x-kind"} <= set(wanted_headers(policy(r={"goals": goals})))


@pytest.mark.parametrize(
    ("case", "down", "goal"),
    [
        (make_case(headers=URGENT, complexity=0.1), ["acme-mini", "home-small"], "cheapest"),
        (make_case(complexity=0.9), ["acme-large"], "cheapest"),
        (make_case(complexity=0.1), ["acme-mini", "acme-large"], "cheapest"),
        (make_case(text="a traceback", complexity=0.1), ["bolt-large", "acme-mini"], "cheapest"),
        (picture(make_case(complexity=0.9)), ["acme-large"], "cheapest"),
    ],
    ids=["fastest is down", "best is down", "all are down", "described is down", "pictures is down"],
)
def test_a_router_without_a_model_that_is_able_and_up_is_passed_over(case: Case, down: list[str], goal: str) -> None:
    assert decide(policy(), seeing(case, models=dict.fromkeys(down, DOWN))).goal == goal


def test_the_routers_own_rules_come_before_its_goals() -> None:
    rules = [{"name": "gold", "when": {"headers": {"x-tier": "gold"}}, "models": ["bolt-large"]}]
    decision = decide(policy(r={"rules": rules}), make_case(headers={"x-tier": "gold"} | URGENT))
    assert (decision.rule, decision.goal, names(decision)) == ("gold", "", ["bolt-large"])


def test_the_routers_fallbacks_stand_behind_those_of_the_one_it_led_to() -> None:
    with_fallbacks = policy(r={"fallback": ["home-small"]}, best={"fallback": ["bolt-large"]})
    assert names(decide(with_fallbacks, make_case(complexity=0.9))) == ["acme-large", "bolt-large", "home-small"]


def test_the_model_in_front_of_a_goals_pool_is_in_front_whoever_led_there() -> None:
    fast = policy(fastest={"models": ["acme-mini", "bolt-large"], "prefer": "fastest"})
    states = world(acme_mini=streams(1.0), bolt_large=streams(0.9))  # too close to overtake who is in front
    for leader in ("acme-mini", "bolt-large"):
        case = seeing(make_case(headers=URGENT, stream=True), models=states, leaders={"fastest/fastest": leader})
        assert names(decide(fast, case))[0] == leader


# ---------------------------------------------------------------- engines


def answered(case: Case, **answers: Answer) -> Case:
    return replace(
        case, signals=replace(case.signals, answers=answers, cuts={"best": Threshold(0.4, ThresholdState.FOLLOWING)})
    )


def judged() -> Policy:
    tasks = [{"name": "easy", "models": ["acme-mini"]}, {"name": "hard", "models": ["acme-large"]}]
    best = {"tasks": tasks, "models": [], "default_task": "easy", "engine": TIERS}
    return policy(balanced={"engine": "arch"}, best=best)


def test_the_described_router_decides_when_its_engine_knows_the_work() -> None:
    arch = Answer(RESULT, "code", (("code", 0.9),))
    decision = decide(judged(), answered(make_case(complexity=0.9), arch=arch))
    assert (decision.goal, decision.route, decision.reason) == ("balanced", "code", Reason.ENGINE)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(UNSURE, Reason.ENGINE_UNSURE), (LATE, Reason.ENGINE_LATE), (FAILED, Reason.ENGINE_FAILED)],
)
def test_where_its_engine_does_not_complexity_decides_and_the_reason_says_so(
    outcome: EngineOutcome, reason: Reason
) -> None:
    decision = decide(judged(), answered(make_case(complexity=0.1), arch=Answer(outcome)))
    assert (decision.goal, decision.route, decision.reason) == ("cheapest", "cheapest", reason)
    assert decision.judged is not None
    assert (decision.judged.engine, decision.judged.outcome) == ("arch", outcome)


def test_the_next_routers_engine_then_decides_by_its_own_threshold() -> None:
    judge = Answer(RESULT, "weak", (("weak", 0.55), ("strong", 0.45)))
    decision = decide(judged(), answered(make_case(complexity=0.9), arch=Answer(UNSURE), judge=judge))
    assert (decision.goal, decision.route, decision.reason) == ("best", "hard", Reason.ENGINE)
    assert decision.judged is not None
    assert (decision.judged.engine, decision.judged.threshold) == ("judge", 0.4)


@pytest.mark.parametrize(
    ("case", "engines", "shares"),
    [
        (make_case(complexity=0.9), ["arch", "judge"], ["balanced", "best"]),
        (make_case(complexity=0.1), ["arch"], ["balanced"]),
        (make_case(text="a traceback", complexity=0.9), [], []),
        (make_case(complexity=0.9, headers=URGENT), [], []),
    ],
    ids=["both in question", "the described one alone", "a rule decides", "no time"],
)
def test_engines_in_question_are_asked_at_once_each_about_its_own_routers_tasks(
    case: Case, engines: list[str], shares: list[str]
) -> None:
    asks = Pipeline.compile(judged()).asks(case)
    questions = dict(asks.questions) if asks is not None else {}
    assert list(questions) == engines
    assert ([router for router, _ in asks.shares] if asks is not None else []) == shares
    tasks = {"arch": ["code", "other"], "judge": ["easy", "hard"]}
    for engine, routes in questions.items():
        assert [route.name for route in routes] == tasks[engine]


# ---------------------------------------------------------------- privacy, sessions, explanations


def test_a_local_only_request_goes_past_goals_without_a_local_model() -> None:
    restricted = {"x-data-class": "restricted"}
    local = policy(cheapest={"models": ["acme-mini", "home-small"]})
    decision = decide(local, make_case(complexity=0.9, headers=restricted))
    assert (decision.goal, decision.privacy, names(decision)) == ("cheapest", Privacy.LOCAL, ["home-small"])


def test_with_no_local_model_anywhere_it_is_refused() -> None:
    with pytest.raises(RequestError) as refusal:
        decide(policy(fastest={"models": ["acme-mini"]}), make_case(headers={"x-data-class": "restricted"}))
    assert (refusal.value.status, refusal.value.code) == (403, "no_candidate")


def test_what_is_local_only_for_one_goal_is_so_for_all() -> None:
    legal = {"local_only": {"headers": {"x-team": "legal"}}}
    decision = decide(policy(r={"fallback": ["home-small"]}, best={"privacy": legal}),
                      make_case(complexity=0.1, headers={"x-team": "legal"}))  # fmt: skip
    assert (decision.privacy, names(decision)) == (Privacy.LOCAL, ["home-small"])


def test_a_session_keeps_its_model_whatever_goal_it_came_from() -> None:
    sticky = policy(r={"affinity": {}})
    pinned = seeing(make_case(complexity=0.1), key="k", pin=Pin("bolt-large", 2, 0, 0))
    decision = decide(sticky, pinned)
    assert (decision.reason, decision.pin, names(decision)[0]) == (Reason.AFFINITY, PinOutcome.KEPT, "bolt-large")


def test_a_session_belongs_to_the_router_that_was_named_not_to_its_goal() -> None:
    pipeline = Pipeline.compile(policy(r={"affinity": {}}))
    keys = {
        session.key
        for complexity in (0.1, 0.9)
        if (session := pipeline.session(make_case(headers={"x-model-affinity": "s"}, complexity=complexity).request))
    }
    assert len(keys) == 1


def test_an_explanation_shows_each_step_and_why_it_was_passed_over() -> None:
    case = seeing(
        make_case(complexity=0.9, metadata={"kind": "autocomplete"}),
        models={"acme-mini": DOWN, "home-small": DOWN},
    )
    trace = Pipeline.compile(policy()).explain(case)
    told = trace["goals"]
    assert (told["modality"], told["latency_sensitive"], told["complexity"]) == (
        "text", True, {"score": 0.9, "threshold": 0.3},
    )  # fmt: skip
    assert told["steps"] == [
        {
            "step": "latency_sensitive",
            "router": "fastest",
            "passed_over": "no model of it can take the request and is up",
        },
        {"step": "complexity", "router": "best"},
    ]
    assert trace["choice"] == {"route": "best", "reason": "complexity", "rule": "", "goal": "best"}


def test_an_explanation_keeps_what_an_engine_said_with_the_router_that_asked_it() -> None:
    trace = Pipeline.compile(judged()).explain(answered(make_case(complexity=0.1), arch=Answer(UNSURE)))
    [described, taken] = trace["goals"]["steps"]
    assert described["engine"]["outcome"] == "unsure"
    assert described["passed_over"] == "neither a rule nor an engine of it decided"
    assert taken == {"step": "complexity", "router": "cheapest"}


EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "auto.yaml"


@pytest.mark.parametrize(
    ("case", "goal", "first"),
    [
        (make_case(text="Hello"), "lowest-cost", "qwen3-8b"),
        (make_case(complexity=0.5), "highest-quality", "gpt-5"),
        (make_case(headers=URGENT, complexity=0.5), "fastest", "gpt-5-mini"),
        (make_case(text="What does this traceback mean?"), "balanced", "qwen3-coder"),
        (make_case(text="Draw a picture of a cat"), "pictures", "painter"),
        (make_case(complexity=0.5, headers={"x-data-class": "restricted"}), "highest-quality", "qwen3-coder"),
    ],
    ids=["simple", "complex", "urgent", "described", "picture", "local only"],
)
def test_the_example_takes_each_request_to_its_goal_without_any_engine(case: Case, goal: str, first: str) -> None:
    loaded = load_policy(EXAMPLE).policy
    decision = decide(loaded, case)
    assert (decision.goal, names(decision)[0]) == (goal, first)
