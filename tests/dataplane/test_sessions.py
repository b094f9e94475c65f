"""A session keeps its model: over requests, over the death of workers, and across sidecars that share a Redis."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from tests.unit.store.redis_server import RedisServer

from .remembering import pins, policy
from .stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.dataplane


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """A stack with a store of its own."""
    with running_stack(policy()) as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="sbx-redis-") as directory, RedisServer(Path(directory)) as server:
        yield server


@pytest.fixture(scope="module")
def pair(server: RedisServer) -> Iterator[tuple[Stack, Stack]]:
    """Two sidecars, each with its own Envoy, over one Redis."""
    shared = policy(server.url)
    with (
        running_stack(shared, workers=1, envoy_threads=1) as one,
        running_stack(shared, workers=1, envoy_threads=1) as two,
    ):
        yield one, two


def model(stack: Stack, session: str, **headers: str) -> str:
    """The model that answers a session's next request."""
    answer = stack.chat("auto", x_model_affinity=session, **headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-signalbox-model"]


def test_a_session_keeps_its_model_over_requests_and_over_a_restart_of_every_worker(own: Stack) -> None:
    assert model(own, "kept", x_tier="gold") == "beta-large"
    assert own.chat("auto").headers["x-signalbox-model"] == "alpha-large"  # which is why keeping it shows
    assert [model(own, "kept") for _ in range(6)] == ["beta-large"] * 6
    old = own.worker_pids()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(own.worker_pids()) - set(old)) == len(old), "every worker has a successor", 20)
    wait_until(lambda: own.chat("auto").status_code == 200, "the successors serve", 10)
    assert [model(own, "kept") for _ in range(6)] == ["beta-large"] * 6


def test_each_request_of_a_session_counts_as_a_turn_once_it_was_answered(own: Stack) -> None:
    before = set(pins(own))
    for _ in range(5):
        model(own, "counted")

    def turns() -> list[int]:
        return [pin.turns for pin in set(pins(own)) - before if pin.model == "alpha-large"]

    wait_until(lambda: turns() == [5], "five turns", 5)
    assert all(pin.input_tokens > 0 for pin in set(pins(own)) - before)


def test_a_session_whose_model_fails_goes_to_the_one_that_answered_and_stays_there(own: Stack) -> None:
    assert model(own, "moved") == "alpha-large"
    assert model(own, "moved", x_mock_fault_alpha="503") == "beta-large"
    wait_until(lambda: model(own, "moved") == "beta-large", "the session follows", 5)
    assert [model(own, "moved") for _ in range(4)] == ["beta-large"] * 4


def test_a_policy_with_the_same_state_leaves_sessions_where_they_are(own: Stack) -> None:
    assert model(own, "reloaded", x_tier="gold") == "beta-large"
    serving = own.policy_in_use()
    own.edit_policy(lambda document: document["models"]["alpha-large"].update(tools=False))
    wait_until(lambda: own.policy_in_use() not in ("", serving), "the new policy", 5)
    assert model(own, "reloaded") == "beta-large"


def test_two_sidecars_over_one_redis_give_one_answer(pair: tuple[Stack, Stack]) -> None:
    """They see a session's first request at the same moment, and would each choose another model."""
    one, two = pair
    with ThreadPoolExecutor(2) as pool:
        for number in range(12):
            session = f"shared-{number}"
            gold = pool.submit(model, one, session, x_tier="gold")
            plain = pool.submit(model, two, session)
            answers = {gold.result(), plain.result(), model(one, session), model(two, session, x_tier="gold")}
            assert len(answers) == 1, (session, answers)


def test_when_redis_dies_requests_go_on_and_sessions_come_back_with_it(
    pair: tuple[Stack, Stack], server: RedisServer
) -> None:
    one, _ = pair
    faults = one.metric("signalbox_store_faults_total")
    server.kill()
    answers = [one.chat("auto", x_model_affinity="orphan", x_tier="gold") for _ in range(10)]
    assert [(answer.status_code, answer.headers["x-signalbox-model"]) for answer in answers] == [
        (200, "beta-large")
    ] * 10
    wait_until(lambda: one.metric("signalbox_store_faults_total") >= faults + 10, "the faults are counted", 5)
    server.start()

    sessions = (f"found-{number}" for number in count())  # another each time: the store may come between two requests

    def is_kept() -> bool:
        session = next(sessions)
        return model(one, session, x_tier="gold") == "beta-large" == model(one, session)

    wait_until(is_kept, "sessions are kept again", 15)
