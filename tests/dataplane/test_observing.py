"""What the sidecar says about traffic, and what it never says."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from signalbox.collector.journal.read import JournalReader
from signalbox.features.journal import FIELDS

from .stack import Stack, wait_until
from .test_bad_input import assert_openai_error

pytestmark = pytest.mark.dataplane

SECRET = "swordfish-7f3a-do-not-tell"


def logged(stack: Stack, decision_id: str) -> dict:
    """The log line of one decision, once it is there."""
    found: list[dict] = []

    def look() -> bool:
        found[:] = [line for line in stack.request_log() if line.get("id") == decision_id]
        return bool(found)

    wait_until(look, f"a log line for {decision_id}", 5)
    return found[0]


def test_one_log_line_tells_how_a_request_went(stack: Stack) -> None:
    answer = stack.chat("router:chain", x_mock_fault_alpha="429")
    line = logged(stack, answer.headers["x-signalbox-decision"])
    assert (line["router"], line["reason"], line["model"], line["provider"]) == (
        "chain",
        "default",
        "beta-large",
        "beta",
    )
    assert (line["status"], line["attempts"], line["outcomes"]) == (200, 2, ["rate_limited", "ok"])
    assert line["input_tokens"] > 0
    assert line["output_tokens"] > 0
    assert line["decide_us"] > 0
    assert line["privacy"] == "any"


def test_decisions_refusals_and_requests_without_a_decision_are_counted(stack: Stack) -> None:
    def decided() -> float:
        return stack.metric("signalbox_decisions_total", router="guarded", route="guarded", reason="default")

    before = decided(), stack.metric("signalbox_refusals_total", code="model_not_found")
    stack.chat("router:guarded")
    stack.chat("nobody-knows-this")
    wait_until(lambda: decided() == before[0] + 1, "the decision", 5)
    wait_until(lambda: stack.metric("signalbox_refusals_total", code="model_not_found") > before[1], "the refusal", 5)
    assert stack.metric("signalbox_decide_seconds_count") > 0


def test_a_request_and_what_was_thought_of_it_are_in_the_journal(stack: Stack) -> None:
    directory, before = stack.directory / "journal", stack.policy_in_use()
    stack.edit_policy(lambda policy: policy.update(journal={"directory": str(directory)}))
    wait_until(lambda: stack.policy_in_use() != before, "a policy with a journal")
    decision_id = stack.chat("router:chain", x_mock_fault_alpha="429").headers["x-signalbox-decision"]
    mark = {"decision_id": decision_id, "score": 0.9, "label": "solved"}
    # At once: the answer has ended for the client, and not yet for the collector.
    answer = httpx.post(f"http://127.0.0.1:{stack.api_port}/v1/feedback", json=mark)
    assert (answer.status_code, answer.json()["decision_id"]) == (202, decision_id)

    def good() -> float:
        return stack.metric("signalbox_feedback_total", router="chain", model="beta-large", verdict="good")

    wait_until(lambda: good() == 1, "the mark for the model that answered", 5)
    wait_until(lambda: stack.metric("signalbox_journal_entries_total", outcome="written") >= 2, "two lines", 5)
    found = [(entry, mark) for entry, mark in JournalReader(directory).marked() if entry.id == decision_id]
    assert len(found) == 1
    entry, kept = found[0]
    assert kept is not None
    assert (kept.score, kept.label) == (0.9, "solved")
    assert (entry.router, entry.model, entry.outcomes) == ("chain", "beta-large", ("rate_limited", "ok"))
    columns = dict(zip(FIELDS, entry.features, strict=True))
    assert (columns["turns"], columns["messages"]) == (1, 1)
    assert entry.input_tokens
    assert entry.output_tokens
    assert entry.usd == pytest.approx((2 * entry.input_tokens + 10 * entry.output_tokens) / 1e6)


def test_the_gateway_takes_no_feedback(stack: Stack) -> None:
    answer = stack.post({"decision_id": "sb-1", "score": 1}, "/v1/feedback")
    assert answer.status_code == 404
    assert_openai_error(answer)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_prompts_answers_and_keys_are_nowhere_in_logs_metrics_or_files(stack: Stack, path: str) -> None:
    prompt = [{"role": "user", "content": f"my secret is {SECRET}"}]
    headers = {"authorization": f"Bearer {SECRET}", "x_api_key": SECRET, "cookie": SECRET}
    last = stack.post({"model": "local-small", "max_tokens": 9, "messages": prompt, "user": SECRET}, path, **headers)
    stack.post({"model": SECRET, "max_tokens": 9, "messages": prompt}, path, **headers)
    stack.post(f'{{"model": "auto", "messages": [{{"role": "{SECRET}'.encode(), path, **headers)
    stack.post({"model": "local-small", "messages": [{"role": SECRET, "content": {SECRET: 1}}]}, path, **headers)
    logged(stack, last.headers["x-signalbox-decision"])
    said = (stack.api("/metrics") or "") + (stack.api("/readyz") or "") + stack.admin("/stats")
    files = [file for file in stack.directory.rglob("*") if file.is_file()]
    said += "".join(file.read_text(errors="replace") for file in files)
    assert "signalbox_decisions_total" in said
    assert SECRET not in said
    for name in stack.mocks:
        assert f"key-of-{name}" not in said


def test_metrics_answer_in_the_prometheus_format(stack: Stack) -> None:
    answer = httpx.get(f"http://127.0.0.1:{stack.api_port}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE signalbox_decisions_total counter" in answer.text


def test_readyz_tells_the_policy_and_the_workers(stack: Stack) -> None:
    ready = json.loads(stack.api("/readyz") or "{}")
    assert ready["ready"] is True
    assert (ready["workers"]["wanted"], ready["workers"]["ready"]) == (2, 2)
    assert len(ready["policy"]["sha256"]) == 64
    assert stack.api("/healthz")


def test_an_unreachable_provider_is_an_error_without_its_address(stack: Stack) -> None:
    answer = stack.chat("gone-model")
    assert answer.status_code == 503
    assert_openai_error(answer)
    assert "127.0.0.1" not in answer.text


def test_sockets_and_keys_are_not_open_to_everyone(stack: Stack) -> None:
    for path in stack.run_dir.glob("*.sock"):
        assert path.stat().st_mode & 0o007 == 0, path
    for path in Path(stack.run_dir / "secrets").iterdir():
        assert path.stat().st_mode & 0o007 == 0, path
