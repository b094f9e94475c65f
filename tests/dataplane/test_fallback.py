"""Envoy walks the chain that the decision names: each attempt carries its own model, host and key."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from .stack import Stack, wait_until

pytestmark = pytest.mark.dataplane


def test_429_then_503_then_200_is_a_200_and_each_provider_sees_only_its_own(stack: Stack, test_id: str) -> None:
    answer = stack.chat("router:chain", x_test_id=test_id, x_mock_fault_alpha="429", x_mock_fault_beta="503")
    assert answer.status_code == 200
    assert (answer.headers["x-signalbox-model"], answer.headers["x-signalbox-attempts"]) == ("local-small", "3")
    seen = [(r["provider"], r["body"]["model"], r["host"], r["key"] or "") for r in stack.received(test_id)]
    port = {name: f"127.0.0.1:{mock.port}" for name, mock in stack.mocks.items()}
    assert seen == [
        ("alpha", "alpha-large", port["alpha"], "key-of-alpha"),
        ("beta", "beta/large-2", port["beta"], "key-of-beta"),
        ("local", "local-small", port["local"], ""),
    ]


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset", "hang", "slow-headers=5"])
def test_a_provider_that_fails_before_its_headers_is_stepped_over(stack: Stack, test_id: str, fault: str) -> None:
    answer = stack.chat("router:chain", x_test_id=test_id, x_mock_fault_alpha=fault)
    assert (answer.status_code, answer.headers["x-signalbox-model"]) == (200, "beta-large")
    assert stack.providers_asked(test_id) == ["alpha", "beta"]


def test_a_streamed_request_falls_back_just_the_same(stack: Stack, test_id: str) -> None:
    answer = stack.chat("router:chain", more={"stream": True}, x_test_id=test_id, x_mock_fault_alpha="503")
    assert answer.status_code == 200
    assert "data: [DONE]" in answer.text
    assert stack.providers_asked(test_id) == ["alpha", "beta"]


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_an_answer_about_the_request_itself_goes_to_the_client_unretried(
    stack: Stack, test_id: str, status: int
) -> None:
    answer = stack.chat("router:chain", x_test_id=test_id, x_mock_fault_alpha=str(status))
    assert answer.status_code == status
    assert stack.providers_asked(test_id) == ["alpha"]
    assert answer.json()["error"]["message"]


def test_when_all_fail_the_last_providers_answer_reaches_the_client(stack: Stack, test_id: str) -> None:
    answer = stack.chat("router:cloud-only", x_test_id=test_id, x_mock_fault_alpha="503", x_mock_fault_beta="500")
    assert answer.status_code == 500
    assert stack.providers_asked(test_id) == ["alpha", "beta"]


def test_a_refused_connection_is_stepped_over_quickly(stack: Stack) -> None:
    started = time.monotonic()
    answer = stack.chat("router:past-a-refusal")
    assert (answer.status_code, answer.headers["x-signalbox-attempts"]) == (200, "2")
    assert answer.headers["x-signalbox-model"] == "beta-large"
    assert time.monotonic() - started < 1


def test_nothing_is_retried_after_the_first_response_byte(stack: Stack, test_id: str) -> None:
    body = {"model": "router:chain", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"x-test-id": test_id, "x-mock-fault-alpha": "cut=2"}
    with stack.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    assert stack.providers_asked(test_id) == ["alpha"]


def test_an_error_event_inside_a_200_stream_passes_through_untouched(stack: Stack, test_id: str) -> None:
    answer = stack.chat("router:chain", more={"stream": True}, x_test_id=test_id, x_mock_fault_alpha="error-event=2")
    assert answer.status_code == 200
    assert '"error"' in answer.text
    assert stack.providers_asked(test_id) == ["alpha"]


def test_under_load_and_faults_no_provider_ever_sees_what_is_anothers(stack: Stack, test_id: str) -> None:
    """Random models, sizes and faults from many threads at once; then every record is looked at."""
    models = {"alpha-large": "alpha", "beta/large-2": "beta", "alpha-any": "alpha", "beta-any": "beta"}
    models |= {"local-small": "local", "claude-large-1": "claude"}
    names = ["router:chain", "router:any-length", "alpha-large", "beta-large", "beta-any", "local-small", "house"]

    def ask(seed: int) -> int:
        dice = random.Random(seed)
        faults = {f"x_mock_fault_{name}": dice.choice(["429", "503", "reset"]) for name in ("alpha", "beta")}
        some = {name: fault for name, fault in faults.items() if dice.random() < 0.4}
        text = "word " * dice.choice([1, 50, 3000])
        streamed = {"stream": True} if dice.random() < 0.3 else {}
        return stack.chat(dice.choice(names), text, more=streamed, x_test_id=test_id, **some).status_code

    with ThreadPoolExecutor(12) as pool:
        statuses = Counter(pool.map(ask, range(400)))
    assert statuses[200] > 250
    assert set(statuses) <= {200, 429, 503}
    received = stack.received(test_id)
    assert len(received) > 400
    port = {name: f"127.0.0.1:{mock.port}" for name, mock in stack.mocks.items()}
    for request in received:
        provider = request["provider"]
        assert models.get(request["model"], "alpha") == provider
        assert request["host"] == port[provider]
        assert request["key"] == (f"key-of-{provider}" if provider != "local" else None)


def test_a_large_body_is_sent_again_to_the_next_provider(stack: Stack, test_id: str) -> None:
    answer = stack.chat("router:any-length", "x" * 4_300_000, x_test_id=test_id, x_mock_fault_alpha="503")
    assert (answer.status_code, answer.headers["x-signalbox-model"]) == (200, "beta-any")
    first, second = stack.received(test_id)
    assert (first["model"], second["model"]) == ("alpha-any", "beta-any")
    assert second["body_bytes"] == first["body_bytes"] - 1


def test_the_collector_knows_each_attempt_and_its_outcome(stack: Stack) -> None:
    def attempts(outcome: str, model: str) -> float:
        return stack.metric("signalbox_attempts_total", outcome=outcome, model=model)

    assert stack.chat("router:counted", x_mock_fault_alpha="429").status_code == 200
    wait_until(
        lambda: (attempts("rate_limited", "counted-alpha"), attempts("ok", "counted-beta")) == (1, 1),
        "both attempts counted",
        5,
    )
