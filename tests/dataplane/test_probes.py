"""What kubelets and load balancers are told, at the gateway's own port."""

from __future__ import annotations

import signal

import httpx
import pytest

from signalbox.cli import main

from .stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.dataplane


def status(stack: Stack, path: str) -> int:
    return httpx.get(f"{stack.base_url}{path}", timeout=5).status_code


def test_a_gateway_is_live_without_workers_and_ready_only_with_one() -> None:
    with running_stack(workers=1) as stack:
        wait_until(lambda: status(stack, "/ready") == 200, "ready")
        assert status(stack, "/live") == 200
        stack.sidecar.stop(signal.SIGKILL)
        wait_until(lambda: status(stack, "/ready") == 503, "not ready without workers")
        assert status(stack, "/live") == 200


def test_a_sidecar_that_is_started_again_ends_the_drain_of_the_one_before() -> None:
    with running_stack(workers=1) as stack:
        wait_until(lambda: status(stack, "/ready") == 200, "ready")
        assert main(["drain", "--run-dir", str(stack.run_dir), "--seconds", "3", "--settle", "0.5"]) == 0
        assert status(stack, "/ready") == 503
        wait_until(lambda: stack.api("/readyz") is None, "the sidecar drains, too")
        assert stack.chat("alpha-mini").headers["connection"] == "close"
        stack.sidecar.stop(signal.SIGKILL)
        stack.start_sidecar()
        wait_until(lambda: status(stack, "/ready") == 200, "ready again")
        assert "connection" not in stack.chat("alpha-mini").headers


def test_probes_leave_no_trace_in_log_and_metrics(stack: Stack, test_id: str) -> None:
    for _ in range(5):
        assert status(stack, "/ready") == status(stack, "/live") == 200
    before = stack.metric("signalbox_requests_total")
    assert stack.chat("alpha-mini", x_test_id=test_id).status_code == 200
    wait_until(lambda: stack.metric("signalbox_requests_total") > before, "the request is counted")
    assert stack.metric("signalbox_requests_total") == before + 1
    assert stack.received(test_id)
