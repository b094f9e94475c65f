"""The built-in engine on the way of real requests: a real Envoy, the models of the package, one worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from tests.unit.engines.bundles import classifier_bundle

from .stack import POLICY, Stack, running_stack, wait_until

pytestmark = pytest.mark.dataplane

TIERED = [{"name": "simple", "models": ["alpha-mini"]}, {"name": "hard", "models": ["alpha-large"]}]
DESCRIBED = [
    {"name": "cooking", "description": "Recipes, ingredients and how to prepare meals", "models": ["alpha-large"]},
    {"name": "travel", "description": "Flights, hotels and planning trips", "models": ["beta-large"]},
    {"name": "banking", "description": "Accounts, cards and money transfers", "models": ["alpha-mini"]},
]
TIERS = {"name": "builtin", "strong": "hard", "weak": "simple"}
EASY = "What is the capital of France?"
HARD = "Find all positive integers n such that n^2 + 7 divides n^3 + 49, and prove that there are no others."
UNKNOWN = "Привет, как дела? Что нового?"  # in a script without labels
STRONG = f"{UNKNOWN} proof theorem"


def policy(folder: Path) -> Template:
    document = yaml.safe_load(POLICY.template)
    document["engines"] = {
        "quick": {"kind": "classifier", "bundle": str(folder / "quick"), "deadline_ms": 5000},
    }
    routers: dict[str, Any] = {
        "tiers": {"tasks": TIERED, "engine": TIERS},
        "shared": {"tasks": TIERED, "engine": TIERS | {"target_share": 0.3}},
        "cascade": {"tasks": TIERED, "engine": TIERS | {"then": "quick"}},
        "cheap": {"tasks": TIERED, "goal": "lowest_cost"},
        "described": {"tasks": DESCRIBED, "engine": "builtin"},
    }
    document["routers"] |= {
        name: {**router, "default_task": router["tasks"][0]["name"]} for name, router in routers.items()
    }
    return Template(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("bundles")
    classifier_bundle(folder / "quick")
    with running_stack(policy(folder), workers=1) as running:
        yield running


def route(stack: Stack, model: str, text: str) -> tuple[str, str]:
    answer = stack.chat(model, text)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-model-router-selected-route"], answer.headers["x-signalbox-reason"]


def lines(stack: Stack, **fields: Any) -> list[dict[str, Any]]:
    return [line for line in stack.request_log() if fields.items() <= line.items()]


def test_a_hard_request_scores_above_an_easy_one_and_both_are_decided_in_the_one_exchange(stack: Stack) -> None:
    for text in (EASY, HARD):
        assert route(stack, "router:tiers", text)[1] == "engine"
    wait_until(lambda: len(lines(stack, router="tiers")) == 2, "logged")
    easy, hard = lines(stack, router="tiers")
    assert (easy["engine"], easy["engine_outcome"]) == ("builtin", "result")
    assert easy["score"] < hard["score"]
    threshold = (easy["score"] + hard["score"]) / 2
    assert route(stack, f"router-tiers-{threshold:.4f}", EASY) == ("simple", "engine")
    assert route(stack, f"router-tiers-{threshold:.4f}", HARD) == ("hard", "engine")
    wait_until(lambda: stack.metric("signalbox_engine_answers_total", engine="builtin") >= 4, "counted")
    assert HARD not in (stack.directory / "sidecar.log").read_text()


def test_a_goal_has_it_without_naming_it(stack: Stack) -> None:
    assert route(stack, "router:cheap", HARD)[1] == "engine"


def test_what_it_does_not_know_is_asked_of_the_second_engine_and_nothing_else_is(stack: Stack) -> None:
    assert route(stack, "router:cascade", STRONG) == ("hard", "engine")
    wait_until(lambda: len(lines(stack, router="cascade", engine="quick")) == 1, "logged")
    assert route(stack, "router:cascade", EASY) == ("simple", "engine")
    wait_until(lambda: len(lines(stack, router="cascade", engine="builtin")) == 1, "logged")


def test_what_it_does_not_know_goes_to_the_next_step_without_a_second_engine(stack: Stack) -> None:
    assert route(stack, "router:tiers", UNKNOWN) == ("simple", "engine_unsure")


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("How long should I roast a chicken with potatoes?", "cooking"),
        ("Book me a flight to Lisbon and a hotel near the old town", "travel"),
        ("Transfer 200 euros from my savings account", "banking"),
    ],
)
def test_described_tasks_are_matched(stack: Stack, text: str, task: str) -> None:
    assert route(stack, "router:described", text) == (task, "engine")


def test_a_share_of_the_traffic_is_held_and_shown(stack: Stack) -> None:
    subjects = ("tax law", "knots", "the moon", "sorting", "tea", "graph theory", "rain", "poems", "Rome", "integrals")
    askings = ("Tell me about {}", "Prove something about {}", "{}?", "Compare {} with its opposite", "Why {} and when")
    texts = [asking.format(subject) for subject in subjects for asking in askings]
    routes = [route(stack, "router:shared", text)[0] for text in texts * 3]
    assert routes[100:].count("hard") / 50 == pytest.approx(0.3, abs=0.1)
    wait_until(lambda: stack.metric("signalbox_threshold_state", router="shared") == 1, "shown")
    [shown] = json.loads(stack.api("/v1/thresholds") or "{}")["thresholds"]
    assert (shown["router"], shown["state"]) == ("shared", "following")
    assert 0 < shown["threshold"] < 1
