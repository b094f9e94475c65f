"""Rules that keep on the site what an engine sees, from sessions too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.decide.rules import RuleBook
from signalbox.envoy.listener import DECISION_SECONDS, decision_seconds
from signalbox.types import Answer, Case, EngineOutcome, PinOutcome, Reason
from signalbox.world import Pin

from .cases import decide, make_case, make_policy, names
from .worlds import seeing

SEEN, CLEAN = (Answer(EngineOutcome.RESULT, label, ((label, 0.9),)) for label in ("personal", "none"))
GUARD = {"name": "guard", "labels": ["personal"], "at_least": 0.7}
ENGINES = {name: {"kind": "modality", "bundle": f"/models/{name}"} for name in ("guard", "topic")}
TOPIC = {"name": "topic", "when": {"engine": {"name": "topic", "labels": ["law"], "without_answer": True}}}
RULES = (
    {"name": "gold", "when": {"headers": {"x-tier": "gold"}}, "models": ["bolt-large"]},
    TOPIC | {"models": ["bolt-large"]},
    {"name": "guarded", "when": {"engine": GUARD}, "models": ["home-small"]},
)


def policy(mode: str = "strict", rules: Any = RULES, **more: Any) -> Any:
    router = {"models": ["acme-mini", "acme-large", "home-small"], "affinity": {"mode": mode}, "rules": list(rules)}
    return make_policy(engines=ENGINES, routers={"r": {**router, **more}}, default_router="r")


def pinned(model: str, answer: Answer | None = None, **case: Any) -> Case:
    seen = seeing(make_case(**case), key="0" * 32, pin=Pin(model, turns=2))
    answers = {} if answer is None else {"guard": answer}
    return replace(seen, signals=replace(seen.signals, answers=answers))


def asked(using: Any, case: Case) -> tuple[str, ...]:
    asks = Pipeline.compile(using).asks(case)
    return () if asks is None else asks.keys


@pytest.mark.parametrize("mode", ["strict", "budgeted"])
def test_a_guard_takes_a_session_away_from_its_model_and_it_stays_away(mode: str) -> None:
    decision = decide(policy(mode), pinned("acme-large", SEEN))
    assert (decision.reason, decision.rule, decision.pin) == (Reason.RULE, "guarded", PinOutcome.MOVED)
    assert names(decision) == ["home-small"]
    assert decision.judged is not None
    assert (decision.judged.engine, decision.judged.score) == ("guard", 0.9)
    after = decide(policy("strict"), pinned("home-small", CLEAN))
    assert (after.pin, names(after)[0]) == (PinOutcome.KEPT, "home-small")


def test_a_session_keeps_its_model_past_a_guard_that_sees_nothing() -> None:
    decision = decide(policy(), pinned("acme-large", CLEAN))
    assert (decision.reason, decision.pin, names(decision)[0]) == (Reason.AFFINITY, PinOutcome.KEPT, "acme-large")


def test_a_session_that_has_a_guards_model_keeps_it() -> None:
    decision = decide(policy(), pinned("home-small", SEEN))
    assert (decision.reason, decision.pin) == (Reason.AFFINITY, PinOutcome.KEPT)


@pytest.mark.parametrize("without_answer", [True, False])
@pytest.mark.parametrize("answer", [None, Answer(EngineOutcome.LATE), Answer(EngineOutcome.FAILED)])
def test_a_guard_without_an_answer_holds_if_it_says_so(answer: Answer | None, *, without_answer: bool) -> None:
    rule = {"when": {"engine": GUARD | {"without_answer": without_answer}}, "models": ["home-small"]}
    decision = decide(policy(rules=[rule]), pinned("acme-large", answer))
    assert (decision.reason is Reason.RULE) is without_answer


def test_only_the_engines_of_guards_are_asked_about_a_session_that_keeps_its_model() -> None:
    assert asked(policy(), pinned("acme-large")) == ("guard",)
    assert asked(policy(), make_case()) == ("topic", "guard")
    gold = pinned("acme-large", headers={"x-tier": "gold"})
    assert asked(policy(), gold) == ()
    assert decide(policy(), gold).reason is Reason.AFFINITY


def test_a_rule_before_the_guard_counts_as_it_does_without_a_session() -> None:
    gold = pinned("acme-large", SEEN, headers={"x-tier": "gold"})
    assert decide(policy(), gold).reason is Reason.AFFINITY
    assert decide(policy(), make_case(headers={"x-tier": "gold"})).rule == "gold"


@pytest.mark.parametrize("models", [["acme-mini"], ["home-small", "acme-mini"]])
def test_a_rule_that_may_lead_off_the_site_leaves_sessions_alone(models: list[str]) -> None:
    using = policy(rules=[{"when": {"engine": GUARD}, "models": models}])
    assert asked(using, pinned("acme-large")) == ()
    assert decide(using, pinned("acme-large", SEEN)).reason is Reason.AFFINITY


def test_a_session_out_of_the_rollout_meets_no_guard() -> None:
    using = policy(rollout={"percent": 0, "otherwise": "acme-mini"})
    assert asked(using, pinned("acme-large")) == ()
    assert decide(using, pinned("acme-large", SEEN)).reason is Reason.ROLLOUT


def test_guards_of_the_routers_for_goals_hold_for_sessions_of_their_models() -> None:
    goals = {"complexity": {"threshold": 0.3, "below": "fast", "above": "best"}}
    guarded = {"when": {"engine": GUARD}, "models": ["home-small"]}
    using = make_policy(
        engines={"guard": ENGINES["guard"]},
        routers={
            "r": {"goals": goals, "affinity": {"mode": "strict"}},
            "fast": {"models": ["acme-mini"]},
            "best": {"models": ["acme-large"], "rules": [guarded]},
        },
        default_router="r",
    )
    assert asked(using, pinned("acme-large")) == ("guard",)
    assert asked(using, pinned("acme-mini")) == ()
    assert names(decide(using, pinned("acme-large", SEEN))) == ["home-small"]
    assert names(decide(using, pinned("acme-mini", SEEN)))[0] == "acme-mini"


def test_rules_that_fail_let_a_session_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(RuleBook, "guard", fail)
    case = pinned("acme-large", SEEN)
    assert decide(policy(), case).reason is Reason.AFFINITY
    assert Pipeline.compile(policy()).explain(case)["guard_failed"] == "ZeroDivisionError"


# ---------------------------------------------------------------- guards come before anybody off the site


SERVED = {"kind": "preference", "endpoint": "http://arch.test/v1", "model": "arch-router", "deadline_ms": 300}
TASKS = [
    {"name": name, "description": f"{name} work", "models": [model]}
    for name, model in (("simple", "acme-mini"), ("hard", "acme-large"))
]
HARD = Answer(EngineOutcome.RESULT, "hard")


def judged(location: str, *, guarded: str = "home-small", **more: Any) -> Any:
    rules = [{"name": "guarded", "when": {"engine": GUARD}, "models": [guarded]}]
    router = {"tasks": TASKS, "default_task": "simple", "engine": "arch", "rules": rules}
    engines = {"guard": ENGINES["guard"] | {"deadline_ms": 100}, "arch": SERVED | {"location": location}}
    return make_policy(engines=engines, routers={"r": router}, default_router="r", **more)


def with_answers(case: Case, **answers: Answer) -> Case:
    return replace(case, signals=replace(case.signals, answers=answers))


def test_an_engine_off_the_site_is_asked_when_the_guards_have_seen_nothing() -> None:
    pipeline = Pipeline.compile(judged("cloud"))
    first = pipeline.asks(make_case())
    assert first is not None
    assert (first.keys, first.held_back) == (("guard",), True)
    then = pipeline.asks(with_answers(make_case(), guard=CLEAN))
    assert then is not None
    assert (then.keys, then.held_back) == (("arch",), False)
    assert decide(judged("cloud"), with_answers(make_case(), guard=CLEAN, arch=HARD)).route == "hard"


def test_an_engine_off_the_site_is_not_asked_about_what_a_guard_keeps() -> None:
    seen = with_answers(make_case(), guard=SEEN)
    assert Pipeline.compile(judged("cloud")).asks(seen) is None
    assert names(decide(judged("cloud"), seen)) == ["home-small"]


def test_engines_of_the_site_are_asked_at_the_same_time() -> None:
    assert asked(judged("local"), make_case()) == ("guard", "arch")
    assert asked(judged("cloud", guarded="acme-mini"), make_case()) == ("guard", "arch")  # guards nothing


def test_engines_of_the_routers_for_goals_wait_for_guards_too() -> None:
    document = judged("cloud").model_dump(exclude_unset=True)
    rules = document["routers"]["r"].pop("rules")
    goals = {"complexity": {"threshold": 0.0, "below": "r", "above": "r"}}
    document["routers"]["leading"] = {"goals": goals, "rules": rules}
    pipeline = Pipeline.compile(type(judged("cloud")).model_validate(document | {"default_router": "leading"}))
    first = pipeline.asks(make_case())
    assert first is not None
    assert (first.keys, first.held_back) == (("guard",), True)
    then = pipeline.asks(with_answers(make_case(), guard=CLEAN))
    assert then is not None
    assert then.keys == ("arch",)


@pytest.mark.parametrize(("location", "seconds"), [("local", 0.3), ("cloud", 0.4)])
def test_envoy_waits_for_both_where_one_comes_after_the_other(location: str, seconds: float) -> None:
    assert decision_seconds(judged(location)) - DECISION_SECONDS == pytest.approx(seconds)
