"""What the collector learns of traffic reaches the next decisions; without a collector they are made all the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import msgspec
import pytest

from signalbox.world import NOTHING_KNOWN, CircuitState, Snapshot
from signalbox.world_file import WORLD_FILE

from .remembering import policy
from .stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.dataplane


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    with running_stack(policy()) as running:
        yield running


def published(stack: Stack) -> Snapshot:
    """The newest snapshot; one that knows nothing before there is any."""
    try:
        return msgspec.json.decode((stack.run_dir / WORLD_FILE).read_bytes(), type=Snapshot)
    except FileNotFoundError:
        return NOTHING_KNOWN


def test_a_model_that_keeps_failing_is_asked_last_by_the_next_decisions(own_stack: Stack) -> None:
    def fail() -> bool:
        own_stack.chat("router:sticky", x_mock_fault_alpha="503")
        circuit = published(own_stack).models.get("alpha-large")
        return circuit is not None and circuit.circuit is CircuitState.OPEN

    wait_until(fail, "the circuit opens", 20)
    time.sleep(0.2)  # a few times what a worker's look at the file may be late
    answer = own_stack.chat("router:sticky")
    assert (answer.headers["x-signalbox-model"], answer.status_code) == ("beta-large", 200)


def test_a_collector_that_stands_still_or_dies_costs_no_request_and_no_knowledge(own_stack: Stack) -> None:
    own_stack.chat("router:sticky")
    wait_until(lambda: published(own_stack).generation > 0, "a snapshot", 5)
    [collector] = own_stack.collector_pids()
    os.kill(collector, signal.SIGSTOP)
    try:
        time.sleep(0.5)
        still = published(own_stack).generation
        assert {own_stack.chat("router:sticky").status_code for _ in range(30)} == {200}
        assert published(own_stack).generation == still
    finally:
        os.kill(collector, signal.SIGKILL)
    assert {own_stack.chat("router:sticky").status_code for _ in range(30)} == {200}
    wait_until(lambda: own_stack.collector_pids() not in ([], [collector]), "a successor", 10)
    wait_until(lambda: published(own_stack).generation not in (0, still), "its snapshots", 10)
    assert own_stack.chat("router:sticky").status_code == 200
