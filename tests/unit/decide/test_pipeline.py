from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from signalbox.decide.headers import wanted_headers
from signalbox.decide.pipeline import Pipeline
from signalbox.errors import RequestError
from signalbox.types import Case, Reason
from tests.unit.decide.cases import LOCAL_ONLY, decide, make_case, make_policy, names

TASKS = [
    {"name": "simple", "models": ["acme-large", "acme-mini"], "prefer": "cheapest"},
    {"name": "hard", "models": ["acme-large"]},
]
TWO_POOLS = {
    "tasks": TASKS,
    "complexity": {"threshold": 0.3, "below": "simple", "above": "hard"},
    "default_task": "simple",
    "fallback": ["bolt-large", "acme-mini"],
}


@pytest.mark.parametrize(
    ("complexity", "task", "chain"),
    [
        (0.0, "simple", ["acme-mini", "acme-large", "bolt-large"]),
        (0.2999, "simple", ["acme-mini", "acme-large", "bolt-large"]),
        (0.3, "hard", ["acme-large", "bolt-large", "acme-mini"]),
        (1.0, "hard", ["acme-large", "bolt-large", "acme-mini"]),
    ],
)
def test_a_threshold_divides_simple_requests_from_hard_ones(complexity, task, chain):
    policy = make_policy(routers={"r": TWO_POOLS}, default_router="r")
    decision = decide(policy, make_case(complexity=complexity))
    assert (decision.router, decision.route, decision.reason) == ("r", task, Reason.COMPLEXITY)
    assert names(decision) == chain


def test_a_complexity_that_could_not_be_computed_costs_quality_not_the_request():
    policy = make_policy(routers={"r": TWO_POOLS}, default_router="r")
    decision = decide(policy, make_case(complexity=math.nan))
    assert (decision.route, decision.reason) == ("simple", Reason.ENGINE_FAILED)


class BrokenScan:
    """A scan whose text cannot be had; the rest is that of another."""

    def __init__(self, scan):
        self._scan = scan

    def __getattr__(self, name):
        return getattr(self._scan, name)

    def text(self, *, last_user=False):
        raise MemoryError


def test_a_rule_that_raises_costs_quality_not_the_request():
    router = {**TWO_POOLS, "rules": [{"when": {"keywords": ["hello"]}, "task": "hard"}]}
    policy = make_policy(routers={"r": router}, default_router="r")
    case = make_case(complexity=0.9)
    broken = Case(replace(case.request, scan=BrokenScan(case.request.scan)), case.features, case.signals)
    decision = decide(policy, broken)
    assert (decision.route, decision.reason, decision.rule) == ("simple", Reason.ENGINE_FAILED, "")


def test_a_rule_is_stronger_than_complexity():
    router = {**TWO_POOLS, "rules": [{"when": {"keywords": ["hello"]}, "task": "simple"}]}
    decision = decide(make_policy(routers={"r": router}, default_router="r"), make_case(complexity=0.9))
    assert (decision.route, decision.reason) == ("simple", Reason.RULE)


def test_a_request_without_text_conditions_never_has_its_text_fetched():
    router = {**TWO_POOLS, "rules": [{"when": {"tools": True, "keywords": ["hello"]}, "task": "hard"}]}
    policy = make_policy(routers={"r": router}, default_router="r")
    case = make_case(complexity=0.1)
    unread = Case(replace(case.request, scan=BrokenScan(case.request.scan)), case.features, case.signals)
    assert decide(policy, unread).reason is Reason.COMPLEXITY


def test_a_fallback_serves_when_the_task_has_nobody_left():
    router = {"models": ["acme-large"], "fallback": ["home-small"]}
    policy = make_policy(routers={"r": router}, privacy=LOCAL_ONLY)
    decision = decide(policy, make_case("router:r", headers={"x-data-class": "restricted"}))
    assert names(decision) == ["home-small"]


def test_cheapest_reckons_with_prompt_and_answer_and_puts_unknown_prices_last():
    models = {
        "talker": {"provider": "acme", "price": {"input": 0.1, "output": 20}},
        "reader": {"provider": "acme", "price": {"input": 4, "output": 1}},
        "riddle": {"provider": "acme"},
        "twin": {"provider": "acme", "price": {"input": 4, "output": 1}},
    }
    router = {"models": ["riddle", "twin", "talker", "reader"], "prefer": "cheapest"}
    policy = make_policy(models=models, routers={"r": router})
    assert names(decide(policy, make_case("router:r"))) == ["reader", "twin", "talker", "riddle"]
    assert names(decide(policy, make_case("router:r", text="word " * 20_000)))[0] == "talker"
    assert names(decide(policy, make_case("router:r", max_tokens=1)))[0] == "talker"


def test_only_headers_that_the_policy_mentions_are_asked_for():
    router = {
        "models": ["acme-mini"],
        "rules": [{"when": {"headers": {"x-kind": "batch"}}, "models": ["acme-mini"]}],
        "privacy": {"local_only": {"headers": {"x-team": "legal"}}},
    }
    policy = make_policy(routers={"r": router}, privacy=LOCAL_ONLY)
    assert wanted_headers(policy) == ("x-data-class", "x-kind", "x-team")
    assert wanted_headers(make_policy()) == ()


def test_the_pipeline_drops_our_own_members_and_nothing_a_provider_reads():
    assert Pipeline.compile(make_policy()).drops == {"models", "provider", "routing_preference", "routing_preferences"}


def test_an_explanation_shows_every_step_as_json():
    rules = [
        {"name": "traces", "when": {"tools": False, "keywords": ["stack trace"]}, "task": "hard"},
        {"name": "batch", "when": {"headers": {"x-kind": "batch"}}, "task": "hard"},
    ]
    policy = make_policy(routers={"r": {**TWO_POOLS, "rules": rules}}, default_router="r", privacy=LOCAL_ONLY)
    case = make_case(complexity=0.1, max_tokens=100_000, provider={"ignore": ["bolt"]})
    shown = json.loads(json.dumps(Pipeline.compile(policy).explain(case), allow_nan=False))
    assert shown["target"] == {"router": "r"}
    assert shown["rules"] == [{"rule": "traces", "failed": "keywords"}, {"rule": "batch", "failed": "headers.x-kind"}]
    assert shown["complexity"] == {"score": 0.1, "threshold": 0.3, "task": "simple"}
    assert shown["privacy"] == {"privacy": "any", "by": "", "header": None, "kinds": []}
    assert shown["filters"] == [
        {"filter": "provider", "removed": ["bolt-large"]},
        {"filter": "context", "removed": ["acme-mini"]},
    ]
    [ranked] = shown["ranking"]["candidates"]
    expected = (case.features.prompt_tokens * 3 + 300 * 15) / 1e6
    assert ranked == {
        "model": "acme-large",
        "provider": "acme",
        "prompt_tokens": case.features.prompt_tokens,
        "estimated": True,
        "expected_output_tokens": 300,
        "expected_usd": expected,
        "expected_seconds": None,
        "pinned": False,
        "fallback": False,
    }
    assert shown["decision"]["chain"] == ["acme-large"]


def test_an_explanation_of_a_refusal_ends_with_it():
    shown = Pipeline.compile(make_policy()).explain(make_case("acme-huge"))
    assert shown["refused"]["status"] == 404
    assert "decision" not in shown


def test_an_explanation_agrees_with_the_decision_and_holds_no_content():
    policy = make_policy(routers={"r": TWO_POOLS}, default_router="r")
    pipeline = Pipeline.compile(policy)
    case = make_case(text="my secret is xyzzy", metadata={"who": "xyzzy"})
    shown = pipeline.explain(case)
    decision = pipeline.decide(case)
    assert shown["decision"]["chain"] == names(decision)
    assert shown["decision"]["reason"] == decision.reason
    assert "xyzzy" not in json.dumps(shown)


def test_a_failed_engine_is_explained_by_its_kind_of_failure_alone():
    policy = make_policy(routers={"r": TWO_POOLS}, default_router="r")
    shown = Pipeline.compile(policy).explain(make_case(complexity=math.nan))
    assert shown["engine_failed"] == "RouterError"
    assert shown["choice"] == {"route": "simple", "reason": "engine_failed", "rule": ""}


def test_a_decision_carries_the_id_it_was_given():
    case = make_case("acme-mini")
    assert decide(make_policy(), case).id == case.signals.decision_id


def test_refusals_say_nothing_of_the_prompt():
    with pytest.raises(RequestError) as refusal:
        decide(make_policy(), make_case("home-small", text="xyzzy " * 50_000))
    assert "xyzzy" not in str(refusal.value)
