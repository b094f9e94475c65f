"""Engines on the way of real requests: a real Envoy, real bundles over tiny models, one worker."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from string import Template

import pytest
import yaml

from tests.unit.engines.bundles import classifier_bundle

from .stack import POLICY, Stack, running_stack, wait_until

pytestmark = pytest.mark.dataplane

TASKS = [{"name": "simple", "models": ["alpha-mini"]}, {"name": "hard", "models": ["alpha-large"]}]


def policy(folder: Path) -> Template:
    """The policy of the other tests, with engines and a router for each."""
    engines = {
        "quick": {"bundle": "quick", "deadline_ms": 2000},
        "slow": {"bundle": "slow", "deadline_ms": 2000, "max_queued": 100, "max_concurrent": 1},
        "hopeless": {"bundle": "slow", "deadline_ms": 20},
        "spare": {"bundle": "spare", "deadline_ms": 2000},
    }
    document = yaml.safe_load(POLICY.template)
    document["engines"] = {
        name: {**engine, "kind": "classifier", "bundle": str(folder / engine["bundle"])}
        for name, engine in engines.items()
    }
    document["engines"]["guard"] = {"kind": "modality", "bundle": str(folder / "guard"), "deadline_ms": 2000}
    says = {"name": "guard", "labels": ["leak"], "at_least": 0.7, "without_answer": True}
    document["routers"]["watched"] = {
        "models": ["alpha-large"],
        "rules": [{"name": "leaks", "when": {"engine": says}, "models": ["local-small"]}],
    }
    document["routers"] |= {
        f"{name}-tiers": {
            "tasks": TASKS,
            "default_task": "simple",
            "engine": {"name": name, "strong": "hard", "weak": "simple"},
        }
        for name in engines
    }
    document["routers"] |= {
        "urgent": {"models": ["beta-large"]},
        "local": {"models": ["local-small"]},
        "everything": {"goals": goals(described="quick-tiers"), "fallback": ["local-small"]},
        "everything-late": {"goals": goals(described="hopeless-tiers")},
    }
    return Template(yaml.safe_dump(document, sort_keys=False))


def goals(described: str) -> dict[str, object]:
    return {
        "latency_sensitive": {"router": "urgent", "header": "x-latency-sensitive"},
        "described": described,
        "complexity": {"threshold": 0.3, "below": "local", "above": "urgent"},
    }


HARD, EASY = "proof of the theorem", "hi thanks"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    classifier_bundle(folder / "quick", external=True)
    classifier_bundle(folder / "slow", slow=150, max_tokens=128)
    classifier_bundle(folder / "spare")
    window = {"kind": "modality", "window": {"tokens": 128, "stride": 96}}
    weights = {"secret": (-30, 30)}
    classifier_bundle(folder / "guard", weights, ("benign", "leak"), bias=(2, 0), members=window)
    return folder


@pytest.fixture(scope="module")
def judged(folder: Path) -> Iterator[Stack]:
    with running_stack(policy(folder), workers=1) as stack:
        yield stack


def route(stack: Stack, model: str, text: str, **headers: str) -> tuple[str, str]:
    answer = stack.chat(model, text, **headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-model-router-selected-route"], answer.headers["x-signalbox-reason"]


def test_an_engine_decides_and_log_and_metrics_say_so(judged: Stack) -> None:
    assert route(judged, "router:quick-tiers", HARD) == ("hard", "engine")
    assert route(judged, "router:quick-tiers", EASY) == ("simple", "engine")
    assert route(judged, "router-quick-0", EASY) == ("hard", "engine")
    wait_until(
        lambda: judged.metric("signalbox_engine_answers_total", engine="quick", outcome="result") >= 3, "counted"
    )
    wait_until(lambda: any(line.get("engine") == "quick" for line in judged.request_log()), "logged")
    [first, *_] = [line for line in judged.request_log() if line.get("engine") == "quick"]
    assert (first["engine_outcome"], first["route"]) == ("result", "hard")
    assert first["score"] > 0.5
    assert list((judged.run_dir / "engines").glob("*/model.onnx")), "no weights were prepared for workers to share"
    assert HARD not in (judged.directory / "sidecar.log").read_text()


def test_goals_lead_each_request_to_a_router_and_its_engine_and_haste_goes_past_it(judged: Stack) -> None:
    assert route(judged, "router:everything", HARD) == ("hard", "engine")
    assert route(judged, "router:everything", EASY) == ("simple", "engine")
    assert route(judged, "router:everything", HARD, x_latency_sensitive="true") == ("urgent", "goal")
    assert route(judged, "router:everything-late", EASY) == ("local", "engine_late")
    wait_until(lambda: any(line.get("goal") == "urgent" for line in judged.request_log()), "logged")
    [urgent] = [line for line in judged.request_log() if line.get("goal") == "urgent"]
    assert (urgent["router"], urgent["model"]) == ("everything", "beta-large")
    assert "engine" not in urgent


@pytest.mark.parametrize("haste", ["true", "false"])
def test_a_local_only_request_stays_on_the_site_whatever_goal_it_has(judged: Stack, haste: str) -> None:
    headers = {"x_data_class": "restricted", "x_latency_sensitive": haste, "x_test_id": f"goals-{haste}"}
    assert judged.chat("router:everything", HARD, **headers).headers["x-signalbox-model"] == "local-small"
    assert judged.providers_asked(f"goals-{haste}") == ["local"]


def test_a_slow_engine_never_delays_another_request(judged: Stack) -> None:
    began = time.monotonic()
    assert route(judged, "router:slow-tiers", HARD)[1] in ("engine", "engine_late")
    alone = time.monotonic() - began
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(route, judged, "router:slow-tiers", HARD) for _ in range(4)]
        time.sleep(0.05)
        others = []
        while not all(each.done() for each in waiting):
            began = time.monotonic()
            assert route(judged, "beta-large", "hello")[1] == "requested"
            others.append(time.monotonic() - began)
        assert {each.result()[1] for each in waiting} <= {"engine", "engine_late"}
    # The engine computes all the while, with one thread. Whoever waited behind it would wait as long as one run.
    assert len(others) >= 5
    assert sorted(others)[len(others) // 2] < alone / 2


def test_an_engine_without_time_leads_to_the_next_step(judged: Stack) -> None:
    assert route(judged, "router:hopeless-tiers", HARD) == ("simple", "engine_late")
    notices = [
        line
        for line in (judged.directory / "sidecar.log").read_text().splitlines()
        if '"event": "engine"' in line and "hopeless" in line
    ]
    assert "the deadline is 20 ms" in json.loads(notices[0])["problem"]


def test_a_guard_reads_a_long_text_to_its_end_and_its_rule_decides(judged: Stack) -> None:
    filler = "word " * 3000
    for text in (f"secret secret {filler}", f"{filler} secret secret {filler}", f"{filler} secret secret"):
        answer = judged.chat("router:watched", text)
        assert (answer.headers["x-signalbox-model"], answer.headers["x-signalbox-reason"]) == ("local-small", "rule")
    assert judged.chat("router:watched", filler).headers["x-signalbox-model"] == "alpha-large"


def test_a_damaged_bundle_refuses_the_policy_and_the_old_one_serves_on(judged: Stack, folder: Path) -> None:
    before = judged.policy_in_use()
    shutil.copytree(folder / "quick", folder / "damaged")
    tokenizer = folder / "damaged" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("proof", "prooF"))
    judged.edit_policy(lambda policy: policy["engines"]["spare"].update(bundle=str(folder / "damaged")))
    wait_until(lambda: judged.metric("signalbox_policy_reloads_total", outcome="refused") == 1, "refused")
    wait_until(lambda: "SHA-256" in (judged.api("/readyz") or ""), "said why")
    assert judged.policy_in_use() == before
    assert route(judged, "router:quick-tiers", HARD) == ("hard", "engine")
    judged.edit_policy(lambda policy: policy["engines"]["spare"].update(bundle=str(folder / "spare"), deadline_ms=1999))
    wait_until(lambda: judged.policy_in_use() != before, "the mended policy serves")
    assert route(judged, "router:spare-tiers", HARD) == ("hard", "engine")
