"""The models of the package as a built-in engine opens them: real tables, real heads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from signalbox.brain.artifact import MODELS
from signalbox.decide.asking import answer_at_once
from signalbox.decide.explain import route_once
from signalbox.decide.pipeline import Pipeline
from signalbox.engines.base import Outcome
from signalbox.engines.open import open_engines
from signalbox.engines.packaged import heads_version, load_models
from signalbox.errors import SignalboxError
from signalbox.policy.schema import Policy
from tests.unit.decide.cases import make_case, make_policy

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "auto.yaml"
TASKS = [
    {"name": "cooking", "description": "Recipes, ingredients and preparing meals", "models": ["acme-mini"]},
    {"name": "banking", "description": "Accounts, cards and money transfers", "models": ["acme-large"]},
]
TEXTS = ("", " ", "hi", "Transfer 200 euros from my savings", "日本語のテキスト", "\x00\ufffd" * 50, "word " * 40_000)


def policy() -> Policy:
    tiers = {"name": "builtin", "strong": "banking", "weak": "cooking"}
    return make_policy(
        routers={
            "tiers": {"tasks": TASKS, "default_task": "cooking", "engine": tiers},
            "tasks": {
                "tasks": TASKS,
                "default_task": "cooking",
                "engine": "builtin",
                "rules": [{"when": {"engine": {"name": "builtin", "labels": ["image_out"]}}, "models": ["bolt-large"]}],
            },
        }
    )


@pytest.mark.parametrize("text", TEXTS, ids=[f"{len(text)} characters" for text in TEXTS])
def test_every_head_has_an_answer_to_any_text(text: str) -> None:
    engines = open_engines(policy(), strict=True)
    assert engines is not None
    for router in ("tiers", "tasks"):
        case, asks = answer_at_once(Pipeline.compile(policy()), engines, make_case(f"router:{router}", text))
        assert asks is None
        answers = case.signals.answers.values()
        assert answers
        for answer in answers:
            assert answer.outcome in (Outcome.RESULT, Outcome.UNSURE)
            assert all(0.0 <= score <= 1.0 for _, score in answer.scores)


def test_a_task_is_matched_and_the_same_question_has_the_same_answer() -> None:
    engines = open_engines(policy(), strict=True)
    assert engines is not None
    pipeline = Pipeline.compile(policy())
    routes = set()
    for _ in range(3):
        case, _ = answer_at_once(pipeline, engines, make_case("router:tasks", "Move 200 euros to my savings account"))
        routes.add((pipeline.decide(case).route, case.signals.answers["builtin tasks tasks"].scores))
    assert [route for route, _ in routes] == ["banking"]


def test_workers_that_open_them_twice_hold_one_encoder() -> None:
    assert load_models().encoder is load_models(None).encoder


def test_heads_for_another_encoder_are_refused(tmp_path: Path) -> None:
    for path in MODELS.glob("capability.*"):
        shutil.copy(path, tmp_path)
    manifest = json.loads((tmp_path / "capability.json").read_text())
    (tmp_path / "capability.json").write_text(json.dumps(manifest | {"encoder": "0" * 12}))
    document = policy().model_dump(exclude_unset=True)
    document["engines"] = {"mine": {"kind": "builtin", "bundle": str(tmp_path)}}
    document["routers"]["tiers"]["engine"]["name"] = "mine"
    with pytest.raises(SignalboxError, match="heads for the encoder '000000000000'"):
        open_engines(Policy.model_validate(document), strict=True)


def test_a_folder_without_heads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignalboxError, match=r"capability\.json"):
        load_models(str(tmp_path))._capability()


@pytest.mark.parametrize(
    ("text", "goal", "route"),
    [
        ("Write a Python function that parses a CSV file into dictionaries", "balanced", "code"),
        ("Translate 'good morning' into French", "balanced", "translation"),
        ("Draw a picture of a cat", "pictures", "pictures"),
    ],
)
def test_the_example_of_goals_decides_with_them(text: str, goal: str, route: str) -> None:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]}).encode()
    found = route_once(EXAMPLE, body, "chat_completions", {}, explain=True)["decision"]
    assert (found["goal"], found["route"]) == (goal, route)


def test_scores_of_other_heads_are_others(tmp_path: Path) -> None:
    (tmp_path / "capability.json").write_text("{}")
    before = heads_version(str(tmp_path))
    (tmp_path / "capability.json").write_text('{"trained": "again"}')
    assert len({before, heads_version(str(tmp_path)), heads_version(None), ""}) == 4
    assert heads_version(str(tmp_path / "gone")) == ""
