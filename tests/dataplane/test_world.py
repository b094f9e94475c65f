"""What the collector makes of a real Envoy's log: attempts in flight, timings of successes, a file for workers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from signalbox.collector.live.in_flight import LATE_SECONDS
from signalbox.world import ModelState, Snapshot

from .stack import Stack, wait_until

pytestmark = pytest.mark.dataplane

MODEL, PROVIDER = "claude-large", "claude"  # the only model of its provider
ONE_OF_MANY = "timed-alpha"  # one of several
SECONDS = 5
BY_ITS_END_SECONDS = LATE_SECONDS * 0.75  # sooner than what makes up for an end that was lost


def world(stack: Stack) -> Snapshot:
    return msgspec.json.decode((stack.run_dir / "world.json").read_bytes(), type=Snapshot)


def state(stack: Stack, model: str) -> ModelState:
    return world(stack).models[model]


def in_flight(stack: Stack) -> int:
    return int(stack.metric("signalbox_attempts_in_flight"))


def ended(stack: Stack) -> int:
    return int(stack.metric("signalbox_attempts_total"))


def settled(stack: Stack, seconds: float = SECONDS) -> None:
    wait_until(lambda: in_flight(stack) == 0, "nothing in flight", seconds)


def running(ask: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def hung_up(stack: Stack, model: str, fault: dict[str, str], until: Callable[[], bool]) -> None:
    """Ask, wait until something holds, and leave without the answer."""
    messages = [{"role": "user", "content": "Hi"}]
    body = json.dumps({"model": model, "stream": True, "messages": messages}).encode()
    headers = {"host": "gateway", "content-type": "application/json", "content-length": str(len(body)), **fault}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", stack.port)) as connection:
        connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body)
        wait_until(until, "the attempt to be seen", SECONDS)


def test_a_running_stream_is_in_flight_at_its_model_until_it_ends(stack: Stack) -> None:
    settled(stack)
    slow = {"x_mock_fault_alpha": "slow-chunks=0.4"}
    asking = running(lambda: stack.chat(ONE_OF_MANY, more={"stream": True}, **slow))
    wait_until(lambda: state(stack, ONE_OF_MANY).in_flight == 1, "one in flight at the model", SECONDS)
    assert stack.metric("signalbox_attempts_in_flight", provider="alpha", model=ONE_OF_MANY) == 1
    asking.join()
    settled(stack)
    assert state(stack, ONE_OF_MANY).in_flight == 0


@pytest.mark.parametrize("fault", ["slow-headers=5", "slow-chunks=0.5"])
def test_a_client_that_leaves_takes_its_attempt_with_it(stack: Stack, fault: str) -> None:
    settled(stack)
    hung_up(stack, ONE_OF_MANY, {"x-mock-fault-alpha": fault}, lambda: state(stack, ONE_OF_MANY).in_flight == 1)
    settled(stack, BY_ITS_END_SECONDS)


ROUTERS = [("router:timed", fault) for fault in ("429", "503", "reset", "hang", "slow-headers=5", "400", "none")]


@pytest.mark.parametrize(
    ("model", "fault"),
    [*ROUTERS, ("router:past-a-refusal", "none"), ("gone-model", "none"), ("router:cloud-only", "reset")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_whatever_goes_wrong_each_start_has_its_own_end(stack: Stack, model: str, fault: str, stream: bool) -> None:
    settled(stack)
    before = ended(stack)
    stack.chat(model, more={"stream": stream}, x_mock_fault_alpha=fault, x_mock_fault_beta="slow-headers=0.5")
    wait_until(lambda: ended(stack) > before, "the attempts counted", SECONDS)
    settled(stack, BY_ITS_END_SECONDS)


def test_a_provider_that_fails_fast_is_known_to_fail_and_not_to_be_fast(stack: Stack) -> None:
    for _ in range(5):
        stack.chat("timed-beta", more={"stream": True}, x_mock_fault_beta="503")
    wait_until(lambda: state(stack, "timed-beta").error_rate > 0, "errors seen", SECONDS)
    before = state(stack, "timed-beta").ttft
    stack.chat("timed-beta", more={"stream": True}, x_mock_fault_beta="early-headers=0.3")
    wait_until(lambda: state(stack, "timed-beta").ttft not in (None, before), "a success seen", SECONDS)
    ttft = state(stack, "timed-beta").ttft
    assert ttft is not None
    assert ttft.p95 >= 0.29


def test_snapshots_are_published_several_times_a_second_and_their_age_is_shown(stack: Stack) -> None:
    before = world(stack).generation
    wait_until(lambda: world(stack).generation >= before + 3, "three more snapshots", SECONDS)
    assert 0 <= stack.metric("signalbox_world_age_seconds") < 2


def test_a_provider_with_one_model_needs_no_chain_to_be_counted(stack: Stack) -> None:
    settled(stack)
    slow = {"x_mock_fault_claude": "slow-headers=0.8"}
    body = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    asking = running(lambda: stack.post(body, "/v1/messages", **slow))
    wait_until(
        lambda: stack.metric("signalbox_attempts_in_flight", provider=PROVIDER, model=MODEL) == 1, "in flight", SECONDS
    )
    asking.join()
    settled(stack)
