"""What happens when the sidecar itself is wrong, late or gone: a quick error, and never a provider."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from string import Template

import pytest

from . import wrong_worker
from .stack import POLICY, Stack, running_stack, wait_until
from .test_bad_input import assert_openai_error
from .wrong_worker import WrongWorker, decision, fixed

pytestmark = pytest.mark.dataplane


@pytest.fixture(scope="module")
def wrong() -> Iterator[tuple[Stack, WrongWorker]]:
    with running_stack() as real:
        real.sidecar.stop()
        sockets = [real.run_dir / "worker-0.sock", real.run_dir / "worker-1.sock"]
        with wrong_worker.wrong_workers(sockets) as worker:
            wait_until(lambda: real.envoy_stat("cluster.signalbox-workers.membership_healthy") == 2, "workers healthy")
            yield real, worker


def refused(
    wrong: tuple[Stack, WrongWorker], answer: wrong_worker.Answer, test_id: str, **headers: str
) -> tuple[int, list[str]]:
    """Ask once with workers that answer so. Returns the status and which providers were asked."""
    stack, worker = wrong
    worker.answer = answer
    started = time.monotonic()
    response = stack.chat("router:chain", x_test_id=test_id, **headers)
    assert time.monotonic() - started < 1
    assert_openai_error(response)
    text = response.text
    assert "sock" not in text
    assert "127.0.0.1" not in text
    return response.status_code, stack.providers_asked(test_id)


def test_a_decision_without_a_fault_is_served(wrong, test_id: str) -> None:
    """The control: what the tests below spoil is good before they spoil it."""
    stack, worker = wrong
    worker.answer = fixed(decision([("alpha", "alpha-large"), ("beta", "beta/large-2")]))
    answer = stack.chat("router:chain", x_test_id=test_id, x_mock_fault_alpha="503")
    assert (answer.status_code, stack.providers_asked(test_id)) == (200, ["alpha", "beta"])


def test_a_worker_that_closes_without_a_reply_lets_nothing_through(wrong, test_id: str) -> None:
    assert refused(wrong, wrong_worker.silent, test_id) == (503, [])


def test_a_worker_that_says_go_on_without_a_decision_lets_nothing_through(wrong, test_id: str) -> None:
    assert refused(wrong, wrong_worker.without_metadata, test_id) == (503, [])


def test_a_worker_that_fails_lets_nothing_through(wrong, test_id: str) -> None:
    assert refused(wrong, wrong_worker.crashing, test_id) == (503, [])


def test_a_decision_that_comes_too_late_lets_nothing_through(wrong, test_id: str) -> None:
    status, asked = refused(wrong, wrong_worker.late, test_id)
    assert (status in (503, 504), asked) == (True, [])


def test_a_decision_for_another_provider_than_the_cluster_is_not_sent(wrong, test_id: str) -> None:
    answer = decision([("alpha", "alpha-large")])
    answer.dynamic_metadata["signalbox"]["candidates"][0]["provider"] = "beta"
    assert refused(wrong, fixed(answer), test_id) == (503, [])


def test_a_decision_for_a_provider_nobody_declared_is_not_sent(wrong, test_id: str) -> None:
    assert refused(wrong, fixed(decision([("nobody", "x")])), test_id) == (503, [])


@pytest.mark.parametrize("edits", [[{"at": 0, "len": 10**9}], [{"at": -5, "len": 1}], "nonsense", [{"len": 1}]])
def test_edits_that_do_not_fit_the_body_are_not_sent(wrong, test_id: str, edits: object) -> None:
    assert refused(wrong, fixed(decision([("alpha", "alpha-large")], edits=edits)), test_id) == (503, [])


def test_a_fallback_to_an_undeclared_name_does_not_land_on_somebody_else(wrong, test_id: str) -> None:
    answer = decision([("local", "local-small"), ("nobody", "x")])
    status, asked = refused(wrong, fixed(answer), test_id, x_mock_fault_local="503")
    assert (status, asked) == (503, ["local"])


def test_envoy_keeps_a_local_decision_from_its_own_cloud_fallback(wrong, test_id: str) -> None:
    answer = decision([("local", "local-small"), ("alpha", "alpha-large")], privacy="local")
    status, asked = refused(wrong, fixed(answer), test_id, x_mock_fault_local="503")
    assert status in (403, 503)
    assert asked == ["local"]


def test_envoy_keeps_a_request_with_the_privacy_header_from_a_decision_that_ignores_it(wrong, test_id: str) -> None:
    answer = decision([("alpha", "alpha-large")])
    status, asked = refused(wrong, fixed(answer), test_id, x_data_class="restricted")
    assert status in (403, 503)
    assert asked == []


def test_envoy_keeps_local_content_from_a_cluster_smuggled_into_the_decision(wrong, test_id: str) -> None:
    answer = decision([("local", "local-small")], privacy="local")
    group = answer.dynamic_metadata["signalbox"]["priority_groups"][0]
    group["clusters"] = [{"cluster_name": "alpha", "weight": 1}]
    status, asked = refused(wrong, fixed(answer), test_id, x_data_class="restricted")
    assert status in (403, 503)
    assert asked == []


def test_without_any_worker_the_answer_is_a_quick_503(test_id: str) -> None:
    with running_stack() as stack:
        stack.sidecar.stop()
        started = time.monotonic()
        answer = stack.chat("auto", x_test_id=test_id)
        assert answer.status_code == 503
        assert_openai_error(answer)
        assert time.monotonic() - started < 1
        assert stack.received(test_id) == []
        stack.start_sidecar()
        wait_until(lambda: stack.chat("auto").status_code == 200, "served again after the sidecar is back", 10)


def test_more_decisions_at_once_than_admitted_are_refused_quickly() -> None:
    crowded = Template(POLICY.template.replace("gateway: {", "gateway: {admission_limit: 2, ", 1))
    with running_stack(crowded) as stack:
        stack.sidecar.stop()
        with wrong_worker.wrong_workers([stack.run_dir / f"worker-{number}.sock" for number in range(2)]) as worker:
            wait_until(lambda: stack.envoy_stat("cluster.signalbox-workers.membership_healthy") == 2, "healthy")
            worker.answer = wrong_worker.late

            def ask(_: int) -> tuple[int, float]:
                started = time.monotonic()
                answer = stack.chat("router:chain")
                assert_openai_error(answer)
                return answer.status_code, time.monotonic() - started

            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(ask, range(8)))
        refused_at_once = [seconds for status, seconds in answers if status == 503]
        assert len(refused_at_once) >= 4
        assert min(refused_at_once) < 0.2


@pytest.mark.parametrize("server", ["core", "aio"])
def test_killing_a_worker_under_load_loses_no_request_and_it_comes_back(server: str) -> None:
    with running_stack(server=server) as stack:
        failures: list[str] = []
        done = threading.Event()

        def load() -> None:
            while not done.is_set():
                answer = stack.chat("auto")
                if answer.status_code != 200:
                    failures.append(f"{answer.status_code} {answer.text}")

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(0.5)
            victim = stack.worker_pids()[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: victim not in stack.worker_pids() and len(stack.worker_pids()) == 2, "a successor", 10)
            time.sleep(1.5)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert failures == []
        wait_until(lambda: stack.metric("signalbox_worker_restarts_total") == 1, "the restart counted", 5)


def test_stopping_the_sidecar_lets_open_streams_finish(test_id: str) -> None:
    with running_stack() as stack:
        body = {"model": "router:chain", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        headers = {"x-test-id": test_id, "x-mock-chunks": "12", "x-mock-gap": "0.2"}
        with stack.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
            lines = answer.iter_lines()
            next(lines)
            stack.sidecar.process.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert rest[-2:] == ["data: [DONE]", ""] or "data: [DONE]" in rest
        stack.sidecar.process.wait(15)
