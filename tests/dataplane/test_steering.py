"""On a real Envoy: a model that fails is left alone, sessions move and come back, a bad rollout ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from string import Template

import msgspec
import pytest

from signalbox.world import CircuitState, Snapshot

from .stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.dataplane

POLICY = Template("""
version: 1
gateway: {first_byte_timeout_seconds: 1, stream_usage: true}
circuit: {min_requests: 3, open_seconds: 2, window_seconds: 5, probe_share: 1.0}
providers:
  alpha: {endpoint: "${alpha}", key: {file: "${keys}/alpha"}}
  beta: {endpoint: "${beta}", key: {file: "${keys}/beta"}}
  local: {endpoint: "${local}", location: local}
models:
  first: {provider: alpha}
  asks-for-rest: {provider: alpha}
  second: {provider: beta}
  new: {provider: alpha}
  near: {provider: local}
routers:
  chain: {models: [first, second]}
  resting: {models: [asks-for-rest, second]}
  careful: {models: [near, second], slo: {ttft_p95_ms: 100}}
  trying:
    models: [new]
    fallback: [second]
    rollout: {percent: 50, otherwise: second, rollback: {error_rate: 0.05, min_requests: 20}}
default_router: chain
""")

SECONDS = 15


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(POLICY) as running:
        yield running


def world(stack: Stack) -> Snapshot:
    return msgspec.json.decode((stack.run_dir / "world.json").read_bytes(), type=Snapshot)


def circuit(stack: Stack, model: str) -> CircuitState:
    return world(stack).models[model].circuit


def ask_until(stack: Stack, model: str, done: Callable[[], bool], what: str, **headers: str) -> int:
    """Ask again and again until something holds; every answer must be a 200. Returns how often."""
    limit = time.monotonic() + SECONDS
    asked = 0
    while not done():
        assert time.monotonic() < limit, f"waited {SECONDS} s for {what}"
        answer = stack.chat(model, more={"stream": True}, **headers)
        assert answer.status_code == 200, answer.text
        asked += 1
        time.sleep(0.02)
    return asked


def test_a_model_that_fails_is_stepped_over_before_it_is_tried_and_comes_back(stack: Stack, test_id: str) -> None:
    ask_until(
        stack, "router:chain", lambda: circuit(stack, "first") is CircuitState.OPEN, "the circuit to open",
        x_mock_fault_alpha="503",
    )  # fmt: skip
    time.sleep(0.2)  # workers look at the file every 50 ms
    assert stack.chat("router:chain", x_test_id=test_id).headers["x-signalbox-model"] == "second"
    assert stack.providers_asked(test_id) == ["beta"]
    assert stack.metric("signalbox_circuit_state", model="first", provider="alpha") == 2

    ask_until(stack, "router:chain", lambda: circuit(stack, "first") is CircuitState.CLOSED, "the circuit to close")
    time.sleep(0.2)
    assert stack.chat("router:chain").headers["x-signalbox-model"] == "first"


def test_a_provider_that_asks_to_be_left_alone_is(stack: Stack, test_id: str) -> None:
    stack.chat("router:resting", x_mock_fault_alpha="429")  # with Retry-After
    wait_until(lambda: circuit(stack, "asks-for-rest") is CircuitState.OPEN, "the circuit to open", SECONDS)
    time.sleep(0.2)
    stack.chat("router:resting", x_test_id=test_id)
    assert stack.providers_asked(test_id) == ["beta"]


def test_sessions_leave_a_model_over_its_limit_and_the_snapshot_says_how_many(stack: Stack) -> None:
    def share() -> float:
        return world(stack).shifts.get("careful", {}).get("near", 0.0)

    ask_until(stack, "router:careful", lambda: share() > 0.1, "a tenth of the sessions to move",
              x_mock_fault_local="slow-headers=0.3")  # fmt: skip
    assert stack.metric("signalbox_shift_share", router="careful", model="near") > 0
    models = {stack.chat("router:careful").headers["x-signalbox-model"] for _ in range(60)}
    assert models == {"near", "second"}


def test_a_rollout_that_fails_is_taken_back(stack: Stack) -> None:
    def rolled_back() -> bool:
        return world(stack).rollouts["trying"].rolled_back != ""

    wait_until(lambda: "trying" in world(stack).rollouts, "the store to be asked about the rollout", SECONDS)
    limit = time.monotonic() + 2 * SECONDS
    while not rolled_back():
        assert time.monotonic() < limit
        assert stack.chat("router:trying", x_mock_fault_alpha="503").status_code == 200
    time.sleep(0.2)
    assert {stack.chat("router:trying").headers["x-signalbox-model"] for _ in range(30)} == {"second"}
    assert stack.metric("signalbox_rollbacks_total", router="trying", reason="errors") == 1
