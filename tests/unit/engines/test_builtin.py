"""The built-in engine: what it is asked by which router, what it answers, and what it never does."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.decide.asking import answer_at_once
from signalbox.decide.pipeline import Pipeline
from signalbox.engines.base import Answer, Outcome
from signalbox.engines.cuts import Cuts
from signalbox.engines.desk import Desk
from signalbox.engines.open import Engines, open_engines
from signalbox.errors import RouterError
from signalbox.policy.schema import Policy
from signalbox.types import Case, Decision, Reason, Threshold, ThresholdState
from tests.unit.decide.cases import MODELS as MODELS_OF_CASES
from tests.unit.decide.cases import make_case, make_policy

from .brains import BROKEN, HARD, ODD, Brain, use

TASKS = [
    {"name": "simple", "description": "small talk and greetings", "models": ["acme-mini"]},
    {"name": "hard", "description": "mathematics and proof", "models": ["acme-large"]},
]
TIERS = {"name": "builtin", "strong": "hard", "weak": "simple"}


@pytest.fixture
def brain(monkeypatch: pytest.MonkeyPatch) -> Brain:
    return use(monkeypatch)


def policy(engine: Any = None, *, engines: Any = None, **router: Any) -> Policy:
    own = {"tasks": TASKS, "default_task": "simple", **({"engine": engine} if engine else {}), **router}
    return make_policy(routers={"r": own}, default_router="r", **({"engines": engines} if engines else {}))


def opened(policy: Policy) -> Engines:
    engines = open_engines(policy)
    assert engines is not None
    return engines


def decided(policy: Policy, case: Case, engines: Engines | None = None) -> Decision:
    pipeline = Pipeline.compile(policy)
    answered, asks = answer_at_once(pipeline, engines or opened(policy), case)
    assert asks is None
    return pipeline.decide(answered)


@pytest.mark.parametrize(("text", "route"), [(f"{HARD} {HARD} of it", "hard"), ("good morning to you", "simple")])
def test_with_two_tiers_it_says_which_one_a_request_needs(brain: Brain, text: str, route: str) -> None:
    decision = decided(policy(TIERS), make_case(text=text))
    assert (decision.route, decision.reason) == (route, Reason.ENGINE)
    assert decision.judged is not None
    assert (decision.judged.engine, decision.judged.score) == ("builtin", 0.5 if route == "hard" else 0.0)


@pytest.mark.parametrize(
    ("text", "route", "reason"),
    [
        ("a mathematics question", "hard", Reason.ENGINE),
        ("greetings to you", "simple", Reason.ENGINE),
        ("quarterly turnover", "simple", Reason.ENGINE_UNSURE),
    ],
)
def test_by_its_name_alone_it_matches_the_tasks_descriptions(
    brain: Brain, text: str, route: str, reason: Reason
) -> None:
    decision = decided(policy("builtin"), make_case(text=text))
    assert (decision.route, decision.reason) == (route, reason)


def test_a_follow_up_is_read_with_the_turns_before_it(brain: Brain) -> None:
    turns = [
        {"role": "system", "content": "greetings small talk"},
        {"role": "user", "content": "a mathematics question"},
        {"role": "assistant", "content": "here you are"},
        {"role": "tool", "content": "greetings small talk"},
        {"role": "user", "content": "and the other one?"},
    ]
    assert decided(policy("builtin"), make_case(messages=turns)).route == "hard"


@pytest.mark.parametrize(
    ("text", "detail", "outcome"),
    [
        ("quarterly turnover", "other", Outcome.UNSURE),
        (f"a mathematics {ODD}", "close", Outcome.RESULT),
        (f"turnover {ODD}", "close", Outcome.UNSURE),
        ("", "no_text", Outcome.UNSURE),
        (f"a mathematics {BROKEN}", "defect", Outcome.FAILED),
    ],
)
def test_what_it_cannot_say_is_an_outcome(brain: Brain, text: str, detail: str, outcome: Outcome) -> None:
    judged = decided(policy("builtin"), make_case(text=text)).judged
    assert judged is not None
    assert (judged.outcome, judged.detail) == (outcome, detail)


def test_a_chance_that_is_no_number_is_a_failure_and_one_it_does_not_trust_keeps_its_score(brain: Brain) -> None:
    failed = decided(policy(TIERS), make_case(text=f"{HARD} {BROKEN}")).judged
    assert failed is not None
    assert (failed.outcome, failed.detail, failed.score) == (Outcome.FAILED, "not_finite", None)
    unsure = decided(policy(TIERS | {"otherwise": "hard"}), make_case(text=f"{HARD} {ODD}"))
    assert unsure.judged is not None
    assert (unsure.judged.outcome, unsure.judged.score, unsure.route) == (Outcome.UNSURE, 0.5, "hard")


@pytest.mark.parametrize(
    ("goal", "score"),
    [("fastest", 0.25), ("lowest_cost", 1 - 0.8 * 0.75), ("highest_quality", 0.5 + (0.875 - 0.6) / 2)],
)
def test_a_goal_without_an_engine_has_the_built_in_one_and_asks_it_for_its_own_chance(
    brain: Brain, goal: str, score: float
) -> None:
    judged = decided(policy(goal=goal), make_case(text=f"{HARD} of a theorem")).judged
    assert judged is not None
    assert (judged.engine, judged.score) == ("builtin", pytest.approx(score))


def test_a_balanced_router_without_an_engine_matches_its_tasks(brain: Brain) -> None:
    assert decided(policy(goal="balanced"), make_case(text="a mathematics question")).route == "hard"


def test_one_embedding_serves_every_head_a_request_is_asked_about(brain: Brain) -> None:
    rules = [{"when": {"engine": {"name": "builtin", "labels": ["image_out"]}}, "models": ["bolt-large"]}]
    made = policy(TIERS, rules=rules)
    assert decided(made, make_case(text="a proof")).route == "hard"
    assert brain.encoder.texts.count(b"a proof") == 1


def test_a_rule_may_ask_whether_an_image_is_wanted(brain: Brain) -> None:
    rules = [
        {"name": "paint", "when": {"engine": {"name": "builtin", "labels": ["image_out"]}}, "models": ["bolt-large"]}
    ]
    decision = decided(policy(TIERS, rules=rules), make_case(text="a picture of a proof"))
    assert (decision.reason, decision.rule) == (Reason.RULE, "paint")
    assert decision.judged is not None
    assert decision.judged.score == 0.9


def test_two_routers_may_ask_it_about_different_tasks_of_one_request(brain: Brain) -> None:
    chores = [
        {"name": "garden", "description": "plants and lawns", "models": ["acme-mini"]},
        {"name": "kitchen", "description": "recipes and pans", "models": ["acme-large"]},
    ]
    made = make_policy(
        routers={
            "all": {"goals": {"described": "chores", "complexity": {"threshold": 0.5, "below": "r", "above": "r"}}},
            "chores": {"goal": "balanced", "tasks": chores, "default_task": "garden"},
            "r": {"tasks": TASKS, "default_task": "simple", "engine": "builtin"},
        },
        default_router="all",
    )
    assert decided(made, make_case(text="recipes for pans")).route == "kitchen"
    assert decided(made, make_case(text="a mathematics question")).route == "hard"


def test_it_is_not_asked_where_nothing_hangs_on_it(brain: Brain) -> None:
    rules = [{"when": {"keywords": ["traceback"]}, "task": "hard"}]
    made = policy(TIERS, rules=rules)
    assert decided(made, make_case(text="traceback of a proof")).reason is Reason.RULE
    assert b"traceback of a proof" not in brain.encoder.texts


def test_models_that_cannot_be_opened_fail_whenever_they_are_asked_and_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(bundle: str | None) -> Any:
        raise RouterError(f"{bundle}: a damaged table")

    monkeypatch.setattr("signalbox.engines.open_heads.load_models", refuse)
    made = policy({**TIERS, "name": "mine"}, engines={"mine": {"kind": "builtin", "bundle": "/models/mine"}})
    engines = opened(made)
    assert [(notice.engine, notice.problem) for notice in engines.notices] == [
        ("mine", "/models/mine: a damaged table")
    ]
    decision = decided(made, make_case(), engines)
    assert (decision.reason, decision.judged and decision.judged.detail) == (Reason.ENGINE_FAILED, "not_opened")
    with pytest.raises(RouterError, match="damaged"):
        open_engines(made, strict=True)


def test_a_running_threshold_is_learned_from_what_it_scored(brain: Brain) -> None:
    made = policy(TIERS | {"target_share": 0.5})
    engines = opened(made)
    for number in range(100):
        engines.cuts.saw("r", number / 100)
    decision = decided(made, make_case(text="good morning to you"), engines)
    assert decision.judged is not None
    assert (decision.judged.threshold, decision.judged.cut, decision.judged.learns) == (0.5, "following", 0.0)


HEAVY = {"judge": {"kind": "classifier", "bundle": "/models/judge"}}


class Says:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def ask(self, question: Any) -> Answer:
        return self.answer

    def close(self) -> None:
        return


def cascade(brain: Brain, text: str, answer: Answer | None, engine: Any = None, **cuts: Threshold) -> Any:
    """Return the keys still to be asked after the built-in engine, and what is decided with the second's answer."""
    made = policy({**TIERS, **(engine or {}), "then": "judge"}, engines=HEAVY)
    pipeline = Pipeline.compile(made)
    heads = open_engines(made, only=["builtin need"])
    assert heads is not None
    case, asks = answer_at_once(pipeline, heads, make_case(text=text))
    keys = () if asks is None else asks.keys
    if answer is not None:
        signals = case.signals
        object.__setattr__(signals, "answers", {**signals.answers, "judge": answer})
    return keys, pipeline.decide(case)


def strong(score: float) -> Answer:
    return Answer(Outcome.RESULT, "strong", (("strong", score), ("weak", 1 - score)), microseconds=7000)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("good morning to you", ()),  # far below the threshold
        (f"{HARD} {HARD} {HARD} it", ()),  # far above it
        (f"{HARD} it", ("judge",)),  # on it
        (f"good morning {ODD}", ("judge",)),  # nobody knows
        ("", ()),  # and a second engine would have nothing to read either
    ],
)
def test_a_heavier_engine_is_asked_only_where_the_built_in_one_is_not_sure(
    brain: Brain, text: str, keys: tuple[str, ...]
) -> None:
    assert cascade(brain, text, None)[0] == keys


def test_a_second_opinion_decides_and_the_first_score_is_kept(brain: Brain) -> None:
    _, decision = cascade(brain, f"{HARD} it", strong(0.2))
    assert (decision.route, decision.reason) == ("simple", Reason.ENGINE)
    judged = decision.judged
    assert (judged.engine, judged.score, judged.first_score, judged.microseconds) == ("judge", 0.2, 0.5, 7000)


def test_without_a_second_opinion_what_the_first_said_stands_and_says_what_was_missing(brain: Brain) -> None:
    late = Answer(Outcome.LATE, detail="deadline", microseconds=50_000)
    _, decision = cascade(brain, f"{HARD} it", late)
    assert (decision.route, decision.reason, decision.judged.detail) == ("hard", Reason.ENGINE, "then_late")
    assert decision.judged.microseconds >= 50_000
    _, decision = cascade(brain, f"good morning {ODD}", late)
    assert (decision.route, decision.reason, decision.judged.engine) == ("simple", Reason.ENGINE_LATE, "judge")


def test_a_second_opinion_teaches_the_running_threshold_nothing_but_the_first_score(brain: Brain) -> None:
    _, decision = cascade(brain, f"{HARD} it", strong(0.9), {"target_share": 0.5})
    assert (decision.judged.learns, decision.judged.cut) == (0.5, ThresholdState.LEARNING)


def test_an_engine_besides_it_is_waited_for_as_ever(brain: Brain) -> None:
    rules = [{"when": {"engine": {"name": "judge", "labels": ["jailbreak"]}}, "models": ["bolt-large"]}]
    made = policy(TIERS, rules=rules, engines=HEAVY)
    heads = open_engines(made, only=["builtin need"])
    desk = Desk("judge", Says(strong(0.9)), deadline_seconds=1, max_concurrent=1, max_queued=1)
    assert heads is not None
    engines = Engines({"judge": desk}, Cuts({}, {}), heads=heads.heads)
    case, asks = answer_at_once(Pipeline.compile(made), engines, make_case(text="a proof"))
    assert asks is not None
    assert asks.keys == ("judge",)
    assert list(case.signals.answers) == ["builtin need"]
    engines.close()


def test_a_task_that_could_as_well_be_another_is_passed_on(brain: Brain) -> None:
    made = policy({"name": "builtin", "then": "judge"}, engines=HEAVY)
    heads = open_engines(made, only=["builtin"])
    assert heads is not None
    for text, keys in ((f"a mathematics {ODD}", ("judge",)), ("a mathematics question", ()), ("turnover", ())):
        _, asks = answer_at_once(Pipeline.compile(made), heads, make_case(text=text))
        assert (() if asks is None else asks.keys) == keys, text


MODELS = ["acme-large", "acme-mini", "bolt-large", "home-small"]
MINE = {"mine": {"kind": "builtin", "bundle": "/models/mine"}}


@pytest.mark.parametrize(
    ("goal", "text", "min_score", "chain"),
    [
        ("highest_quality", "good morning", None, ["acme-mini", "acme-large", "home-small", "bolt-large"]),
        ("highest_quality", f"{HARD} it", None, ["acme-large", "acme-mini", "home-small", "bolt-large"]),
        ("lowest_cost", "good morning", None, ["home-small", "acme-mini", "acme-large", "bolt-large"]),
        ("lowest_cost", "good morning", 0.93, ["acme-mini", "acme-large", "home-small", "bolt-large"]),
        ("lowest_cost", f"{HARD} it", None, ["acme-mini", "acme-large", "home-small", "bolt-large"]),
        ("lowest_cost", f"{HARD} it", 0.99, ["acme-large", "acme-mini", "home-small", "bolt-large"]),
    ],
)
def test_heads_for_models_rank_those_as_the_goal_wants(
    brain: Brain, goal: str, text: str, min_score: float | None, chain: list[str]
) -> None:
    engine = {"name": "mine", **({} if min_score is None else {"min_score": min_score})}
    made = make_policy(
        engines=MINE, routers={"r": {"goal": goal, "models": MODELS, "engine": engine}}, default_router="r"
    )
    decision = decided(made, make_case(text=text))
    assert [candidate.model for candidate in decision.chain] == chain
    assert decision.reason is Reason.ENGINE
    assert brain.opened == ["/models/mine"]


def test_heads_that_know_none_of_the_models_are_a_notice(brain: Brain) -> None:
    made = make_policy(
        engines=MINE, routers={"r": {"goal": "fastest", "models": ["bolt-large"], "engine": "mine"}}, default_router="r"
    )
    [notice] = opened(made).notices
    assert "knows nothing of the models bolt-large" in notice.problem


PAINTER = {"acme-paint": {"provider": "acme", "outputs": ["image"]}}


def painting(**router: Any) -> Policy:
    own = {"tasks": TASKS, "default_task": "simple", "models": ["acme-paint"], **router}
    return make_policy(
        models=MODELS_OF_CASES | PAINTER, routers={"r": {"models": ["acme-mini", "acme-paint"]}, "t": own},
        default_router="r",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "model", "asked"),
    [
        ("a picture of a fox", "acme-paint", "words"),  # which no pattern finds
        ("draw a picture frame for my picture", "acme-paint", "words"),
        ("draw me a cartoon of a fox", "acme-mini", ""),  # which a pattern finds, and the model does not
        ("good morning", "acme-mini", ""),
    ],
)
def test_where_models_make_images_it_says_whether_one_is_wanted_and_no_router_need_ask(
    brain: Brain, text: str, model: str, asked: str
) -> None:
    decision = decided(painting(), make_case(text=text))
    assert (decision.chain[0].model, decision.image_asked.value) == (model, asked)


def test_a_rule_about_what_goes_in_and_out_hears_its_word(brain: Brain) -> None:
    made = painting(rules=[{"name": "paint", "when": {"modality": ["image_out"]}, "models": ["acme-paint"]}])
    assert decided(made, make_case("router:t", "a picture of a fox")).rule == "paint"
    assert decided(made, make_case("router:t", "good morning")).rule == ""


def test_what_a_parameter_demands_nobody_is_asked_about(brain: Brain) -> None:
    case = make_case(text="good morning", modalities=["image"])
    assert decided(painting(), case).image_asked.value == "parameters"
    assert b"good morning" not in brain.encoder.texts


def test_without_its_word_the_patterns_stand(brain: Brain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.engines.brains.Pictures.image", lambda *_: float("nan"))
    assert decided(painting(), make_case(text="draw me a cartoon of a fox")).image_asked.value == "words"


def test_where_nothing_makes_images_it_is_not_asked(brain: Brain) -> None:
    made = make_policy(routers={"r": {"models": ["acme-mini"]}}, default_router="r")
    assert open_engines(made) is None
