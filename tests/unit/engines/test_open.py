"""A policy's engines: loaded, warmed up, measured, or the reason why not."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from signalbox.decide.explain import route_once
from signalbox.engines.base import Answer, Outcome, Question
from signalbox.engines.open import Engines, answer_now, open_engines
from signalbox.engines.routes import routes_of
from signalbox.errors import SignalboxError
from signalbox.features.extract import extract
from signalbox.policy.load import load_text
from tests.unit.decide.cases import make_case, make_policy

from . import tiny
from .bundles import TASKS, TIERS, classifier_bundle, encoder_bundle, factorization_bundle, judged_policy
from .preference.bundles import write_bundle
from .preference.tokenizers_like_qwen import prompt_tokenizer, tokenizer_json
from .scripted_server import respond, serving


def ask(engines: Engines, text: str = "proof of the theorem", seconds: float = 5.0) -> Answer:
    request = make_case(text=text).request
    return answer_now(engines, "judge", Question(request, extract(request), (), time.monotonic() + seconds))


def opened(*arguments: Any, **options: Any) -> Engines:
    engines = open_engines(*arguments, **options)
    assert engines is not None
    return engines


def test_a_policy_whose_routers_ask_nobody_opens_nothing(tmp_path: Path) -> None:
    engines = {"judge": {"kind": "classifier", "bundle": str(tmp_path / "gone")}}
    assert open_engines(make_policy(engines=engines, routers={"r": {"models": ["acme-mini"]}}), strict=True) is None


def test_a_bundle_becomes_an_engine_that_answers(tmp_path: Path) -> None:
    engines = opened(judged_policy(classifier_bundle(tmp_path / "b")), prepared=tmp_path / "prepared", strict=True)
    assert (engines.notices, engines.deadline_seconds("judge")) == ((), 2.0)
    assert ask(engines).route == "strong"
    assert ask(engines, "hi thanks").route == "weak"
    engines.close()


def test_an_engine_that_cannot_make_its_deadline_says_so_with_the_time_it_took(tmp_path: Path) -> None:
    bundle = classifier_bundle(tmp_path / "b", slow=30)
    policy = judged_policy(bundle, engine={"deadline_ms": 1})
    [notice] = opened(policy).notices
    assert notice.engine == "judge"
    assert "of 64 tokens takes" in notice.problem
    assert "the deadline is 1 ms: no prompt can be answered in time" in notice.problem
    assert "fix: an int8 export" in notice.problem


def test_a_prompt_too_long_for_the_deadline_is_late_at_once(tmp_path: Path) -> None:
    policy = judged_policy(classifier_bundle(tmp_path / "b", slow=30), engine={"deadline_ms": 1})
    answer = ask(opened(policy), seconds=0.002)
    assert answer.outcome is Outcome.LATE
    assert answer.detail in ("too_slow", "deadline")


FAULTS = {
    "missing": (lambda bundle: (bundle / "model.onnx").unlink(), "model.onnx: missing"),
    "cut": (
        lambda bundle: (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes()[:-9]),
        "was it cut while it was copied",
    ),
    "tampered": (
        lambda bundle: (bundle / "tokenizer.json").write_text(
            (bundle / "tokenizer.json").read_text().replace("proof", "prooF")
        ),
        "SHA-256",
    ),
    "no folder": (lambda bundle: shutil.rmtree(bundle), "router.json"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bundle_that_cannot_be_used_is_a_notice_and_an_engine_that_fails(tmp_path: Path, fault: str) -> None:
    damage, found = FAULTS[fault]
    bundle = classifier_bundle(tmp_path / "b")
    damage(bundle)
    engines = opened(judged_policy(bundle))
    [notice] = engines.notices
    assert found in notice.problem
    answer = ask(engines)
    assert (answer.outcome, answer.detail) == (Outcome.FAILED, "not_opened")
    with pytest.raises(SignalboxError, match=found.replace("?", r"\?")):
        open_engines(judged_policy(bundle), strict=True)


def test_tiers_of_a_model_that_knows_none_are_refused_with_its_labels(tmp_path: Path) -> None:
    bundle = classifier_bundle(tmp_path / "b", labels=("maths", "chat", "manners"))
    with pytest.raises(SignalboxError, match=r"(?s)maths, chat, manners.*strong_labels"):
        open_engines(judged_policy(bundle, TIERS), strict=True)
    named = judged_policy(bundle, TIERS, engine={"strong_labels": ["maths"]})
    assert ask(opened(named, strict=True)).route == "strong"


def test_a_bundle_of_another_kind_is_refused(tmp_path: Path) -> None:
    bundle = classifier_bundle(tmp_path / "b", members={"kind": "modality"})
    with pytest.raises(SignalboxError, match="a bundle of kind modality; expected classifier"):
        open_engines(judged_policy(bundle), strict=True)


def test_float16_weights_are_refused_on_a_cpu(tmp_path: Path) -> None:
    bundle = classifier_bundle(tmp_path / "b", members={"dtype": "float16"})
    with pytest.raises(SignalboxError, match="float16"):
        open_engines(judged_policy(bundle, engine={"device": "cpu"}), strict=True)


def test_a_shorter_budget_than_the_bundles_is_kept(tmp_path: Path) -> None:
    bundle = classifier_bundle(tmp_path / "b", max_tokens=128)
    engines = opened(judged_policy(bundle, engine={"max_tokens": 4096}), strict=True)
    assert ask(engines, "proof " * 5000).route == "strong"


OVERFLOWS = 1e37  # a text of nothing else is over float32's end, a word among many is not


def test_numbers_that_are_none_fail_the_engine_and_nothing_else(tmp_path: Path) -> None:
    bundle = classifier_bundle(tmp_path / "b", {"proof": (OVERFLOWS, 0, 0)})
    engines = opened(judged_policy(bundle), strict=True)
    assert ask(engines, "proof " * 60).detail == "not_finite"
    assert ask(engines, "hi").outcome is Outcome.RESULT


NOT_FINITE = (
    r"(?s)/b/{file}: \d+ of the \d+ numbers .* are NaN or infinite; expected finite ones\n  fix: export it again"
)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("prepared", [True, False])
def test_a_model_without_numbers_is_refused_when_it_is_opened(tmp_path: Path, number: float, *, prepared: bool) -> None:
    bundle = classifier_bundle(tmp_path / "b", {"why": (number, 0, 0)})
    folder = tmp_path / "prepared" if prepared else None
    with pytest.raises(SignalboxError, match=NOT_FINITE.format(file="model.onnx")):
        open_engines(judged_policy(bundle), strict=True, prepared=folder)
    engines = opened(judged_policy(bundle))
    [notice] = engines.notices
    assert "NaN or infinite" in notice.problem
    assert ask(engines).detail == "not_opened"


def test_a_modality_engine_without_numbers_is_refused_too(tmp_path: Path) -> None:
    members = {"kind": "modality", "window": {"tokens": 64, "stride": 32}}
    bundle = classifier_bundle(tmp_path / "b", bias=[0.0, float("nan"), 0.0], members=members)
    policy = judged_policy(bundle, {"name": "judge"}, engine={"kind": "modality"})
    with pytest.raises(SignalboxError, match=NOT_FINITE.format(file="model.onnx")):
        open_engines(policy, strict=True)


def test_a_preference_model_without_numbers_is_refused_too(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", not_finite=True)
    judge = {"kind": "preference", "bundle": str(tmp_path / "b")}
    policy = make_policy(
        engines={"judge": judge}, routers={"r": {"tasks": TASKS, "default_task": "simple", "engine": "judge"}}
    )
    with pytest.raises(SignalboxError, match=NOT_FINITE.format(file="model.onnx")):
        open_engines(policy, strict=True)


def test_an_encoder_without_numbers_is_refused_too(tmp_path: Path) -> None:
    tensors, encoder = factorization_bundle(tmp_path / "t"), encoder_bundle(tmp_path / "b", weight=float("nan"))
    engine = {"kind": "matrix_factorization", "embedding": {"bundle": str(encoder)}}
    with pytest.raises(SignalboxError, match=NOT_FINITE.format(file="model.onnx")):
        open_engines(judged_policy(tensors, engine=engine), strict=True)


def test_tensors_without_numbers_are_refused_too(tmp_path: Path) -> None:
    tensors, encoder = factorization_bundle(tmp_path / "t", projection=float("nan")), encoder_bundle(tmp_path / "b")
    engine = {"kind": "matrix_factorization", "embedding": {"bundle": str(encoder)}}
    with pytest.raises(SignalboxError, match=r"(?s)/t/tensors.npz: .*NaN.*expected finite.*fix: export the checkpoint"):
        open_engines(judged_policy(tensors, engine=engine), strict=True)


def test_check_opens_bundles_and_names_file_finding_and_fix(tmp_path: Path) -> None:
    bundle = classifier_bundle(tmp_path / "b")
    text = judged_policy(bundle).model_dump_json(exclude_unset=True).encode()
    assert [w for w in load_text(text, "policy.yaml", check_files=True).warnings if "engines" in w.path] == []
    tiny.classifier(bundle / "model.onnx", {"proof": (9, 9, 9)}, 3)
    with pytest.raises(SignalboxError, match=r"(?s)engines\.judge\.bundle.*model\.onnx.*SHA-256.*fix: "):
        load_text(text, "policy.yaml", check_files=True)
    shutil.rmtree(bundle)
    [warning] = [w for w in load_text(text, "policy.yaml", check_files=True).warnings if "engines" in w.path]
    assert "router.json" in warning.found


def test_an_engine_that_a_reload_leaves_as_it_is_goes_on_with_its_model_and_scores(tmp_path: Path) -> None:
    bundle = classifier_bundle(tmp_path / "b")
    shared = TIERS | {"target_share": 0.25}
    before = opened(judged_policy(bundle, shared), cores=1)
    for number in range(100):
        before.cuts.saw("r", number / 100)
    after = opened(judged_policy(bundle, shared, router={"description": "changed"}), before=before, cores=1)
    before.close()
    assert ask(after).outcome is Outcome.RESULT
    assert after._desks["judge"] is before._desks["judge"]
    assert after.cuts.of([("r", None)])["r"].value == 0.75
    other = opened(judged_policy(bundle, shared | {"target_share": 0.5}), before=after, cores=1)
    assert other.cuts.of([("r", None)])["r"].value == 0.5


@pytest.mark.parametrize("change", ["section", "bundle"])
def test_an_engine_that_a_reload_changes_is_opened_anew(tmp_path: Path, change: str) -> None:
    bundle = classifier_bundle(tmp_path / "b")
    before = opened(judged_policy(bundle), cores=1)
    if change == "bundle":
        classifier_bundle(bundle, {"proof": (0, 0, 3)})
    engine = {"max_tokens": 128} if change == "section" else {}
    after = opened(judged_policy(bundle, engine=engine), before=before, cores=1)
    before.close()
    assert after._desks["judge"] is not before._desks["judge"]
    assert ask(after, "proof").route == ("weak" if change == "bundle" else "strong")


def test_a_served_preference_model_is_an_engine_of_the_policy_too(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(tokenizer_json())
    completion = json.dumps({"choices": [{"message": {"content": '{"route": "hard"}'}}]}).encode()
    described = [task | {"description": f"Work that is {task['name']}"} for task in TASKS]
    with serving(respond(completion)) as server:
        section = {"kind": "preference", "endpoint": server.url, "model": "Arch-Router-1.5B", "max_tokens": 900}
        section["tokenizer_file"] = str(tokenizer)
        policy = make_policy(
            engines={"judge": section},
            routers={"r": {"tasks": described, "default_task": "simple", "engine": "judge"}},
        )
        engines = opened(policy, strict=True)
        request = make_case(text="a riddle " * 2000).request
        routes = routes_of(policy.routers["r"])
        answer = answer_now(engines, "judge", Question(request, extract(request), routes, time.monotonic() + 5))
        assert (answer.outcome, answer.route) == (Outcome.RESULT, "hard")
        prompt = server.bodies[0]["messages"][0]["content"]
        assert "Work that is hard" in prompt
        assert 0.9 * 900 < prompt_tokenizer().count(prompt.encode()) <= 900
        engines.close()


def test_a_preference_model_in_this_process_says_at_load_when_its_deadline_is_out_of_reach(tmp_path: Path) -> None:
    described = [task | {"description": f"Work that is {task['name']}"} for task in TASKS]
    bundle = write_bundle(tmp_path / "b")
    notices = []
    for deadline_ms in (0.001, 10_000):
        policy = make_policy(
            engines={"judge": {"kind": "preference", "bundle": str(bundle), "deadline_ms": deadline_ms}},
            routers={"r": {"tasks": described, "default_task": "simple", "engine": "judge"}},
        )
        engines = opened(policy, strict=True)
        request = make_case(text="a riddle").request
        routes = routes_of(policy.routers["r"])
        answer = answer_now(engines, "judge", Question(request, extract(request), routes, time.monotonic() + 5))
        assert {name for name, _ in answer.scores} == {"simple", "hard", "other"}
        notices.append([notice.problem for notice in engines.notices])
        engines.close()
    [[slow], none] = notices
    assert "no prompt can be answered in time" in slow
    assert none == []


def test_how_a_preference_model_compares_and_remembers_is_the_policys_to_say(tmp_path: Path) -> None:
    described = [task | {"description": f"Work that is {task['name']}"} for task in TASKS]
    bundle = write_bundle(tmp_path / "b")
    scores = []
    for compare in ("choices", "likelihood"):
        policy = make_policy(
            engines={"judge": {"kind": "preference", "bundle": str(bundle), "compare": compare, "deadline_ms": 9000}},
            routers={"r": {"tasks": described, "default_task": "simple", "engine": "judge"}},
        )
        engines = opened(policy, strict=True)
        request = make_case(text="a riddle").request
        routes = routes_of(policy.routers["r"])
        answer = answer_now(engines, "judge", Question(request, extract(request), routes, time.monotonic() + 9))
        scores.append(dict(answer.scores))
        engines.close()
    choices, likelihood = scores
    assert choices.keys() == likelihood.keys() == {"simple", "hard", "other"}
    assert choices != likelihood


@pytest.mark.parametrize(
    ("cache", "asked"),
    [({}, 1), ({"cache_entries": 0}, 3), ({"cache_seconds": 0.000001}, 3), ({"cache_entries": 1}, 1)],
)
@pytest.mark.parametrize("kind", ["preference", "deliberate"])
def test_answers_are_kept_as_the_policy_says(kind: str, cache: dict[str, float], asked: int) -> None:
    said = {"message": {"content": '{"route": "hard"}'}, "text": "<search> hard: Why? ", "finish_reason": "stop"}
    described = [task | {"description": f"Work that is {task['name']}"} for task in TASKS]
    with serving(respond(json.dumps({"choices": [said]}).encode())) as server:
        section = {"kind": kind, "endpoint": server.url, "model": "arch-router", "deadline_ms": 9000, **cache}
        policy = make_policy(
            engines={"judge": section}, routers={"r": {"tasks": described, "default_task": "simple", "engine": "judge"}}
        )
        engines = opened(policy, strict=True)
        request, routes = make_case(text="a riddle").request, routes_of(policy.routers["r"])
        for _ in range(3):
            question = Question(request, extract(request), routes, time.monotonic() + 9)
            assert answer_now(engines, "judge", question).route == "hard"
        assert len(server.requests) == asked
        engines.close()


def test_a_model_that_deliberates_is_an_engine_of_the_policy_too() -> None:
    completion = json.dumps({"choices": [{"text": "<search> hard: Why? ", "finish_reason": "stop"}]}).encode()
    described = [task | {"description": f"Good for {task['name']} work"} for task in TASKS]
    with serving(respond(completion)) as server:
        section = {"kind": "deliberate", "endpoint": server.url, "model": "router-r1", "rounds": 2}
        policy = make_policy(
            engines={"judge": section},
            routers={"r": {"tasks": described, "default_task": "simple", "engine": "judge"}},
        )
        engines = opened(policy, strict=True)
        request = make_case(text="a riddle").request
        routes = routes_of(policy.routers["r"])
        answer = answer_now(engines, "judge", Question(request, extract(request), routes, time.monotonic() + 5))
        assert (answer.outcome, answer.route) == (Outcome.RESULT, "hard")
        assert "hard:Good for hard work" in server.bodies[0]["prompt"]
        engines.close()


def test_a_route_without_a_gateway_asks_the_engine_as_the_gateway_would(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(judged_policy(classifier_bundle(tmp_path / "b")).model_dump_json(exclude_unset=True))
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "proof"}]}).encode()
    trace = route_once(policy, body, "chat_completions", {}, explain=True)
    assert (trace["choice"]["route"], trace["choice"]["reason"]) == ("hard", "engine")
    assert (trace["engine"]["outcome"], trace["engine"]["threshold"]) == ("result", 0.5)
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(SignalboxError, match=r"router\.json"):
        route_once(policy, body, "chat_completions", {}, explain=True)
    named = json.dumps({"model": "acme-mini", "messages": []}).encode()
    assert route_once(policy, named, "chat_completions", {}, explain=False)["route"] == "acme-mini"


@pytest.mark.parametrize(
    ("engine", "threads"),
    [
        ({}, 2),
        ({"max_concurrent": 3}, 3),
        ({"kind": "matrix_factorization", "embedding": {"endpoint": "http://127.0.0.1:9/v1", "model": "m"}}, 32),
    ],
)
def test_as_many_questions_run_at_once_as_there_are_cores_or_a_server_may_be_asked(
    tmp_path: Path, engine: dict[str, Any], threads: int
) -> None:
    engines = opened(judged_policy(classifier_bundle(tmp_path / "b"), engine=engine), cores=2)
    assert len(engines._desks["judge"]._threads) == threads
    engines.close()
