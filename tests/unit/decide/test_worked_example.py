"""The example of docs/decisions.md, recomputed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from signalbox.decide.explain import route_once
from signalbox.decide.filters import FILTERS, MAX_ATTEMPTS
from signalbox.errors import RequestError, SetupError
from signalbox.types import Reason

DOCUMENT = (Path(__file__).parents[3] / "docs" / "decisions.md").read_text()


@dataclass(frozen=True)
class Example:
    policy: Path
    body: bytes
    decision: dict[str, object]


@pytest.fixture
def example(tmp_path: Path) -> Example:
    blocks = re.findall(r"```(yaml|json)\n(.*?)```", DOCUMENT, re.DOTALL)
    assert [language for language, _ in blocks] == ["yaml", "json", "json"]
    policy = tmp_path / "policy.yaml"
    policy.write_text(blocks[0][1])
    return Example(policy, blocks[1][1].encode(), json.loads(blocks[2][1]))


def test_the_documented_decision_is_the_one_that_comes_out(example):
    decision = route_once(example.policy, example.body, "chat_completions", {}, explain=False)
    assert {key: value for key, value in decision.items() if key != "id"} == example.decision


def test_the_documented_numbers_are_those_of_the_explanation(example):
    shown = route_once(example.policy, example.body, "chat_completions", {}, explain=True)
    assert shown["complexity"] == {"score": pytest.approx(0.1765), "threshold": 0.3, "task": "simple"}
    assert shown["features"]["prompt_tokens"] == 67
    assert shown["ranking"]["candidates"][0]["expected_usd"] == pytest.approx(0.0002534)


def test_the_documented_refusal_is_the_one_that_comes_out(example):
    with pytest.raises(RequestError, match="privacy removed acme-mini, acme-large; tools removed home-small"):
        route_once(example.policy, example.body, "chat_completions", {"x-data-class": "restricted"}, explain=False)


def test_an_unknown_endpoint_names_the_ones_there_are(example):
    with pytest.raises(SetupError, match="expected one of chat_completions, completions"):
        route_once(example.policy, example.body, "chat", {}, explain=False)


def test_every_filter_and_every_reason_is_documented():
    for name in (*(name for name, _ in FILTERS), MAX_ATTEMPTS, *Reason):
        assert f"| `{name}` |" in DOCUMENT
