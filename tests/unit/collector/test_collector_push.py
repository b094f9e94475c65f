"""Pushing metrics to a gateway that answers, refuses, hangs or is not there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from collector_bench import POLICY
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from signalbox.collector import push as push_module
from signalbox.collector.push import Pusher
from signalbox.policy.schema import Policy
from signalbox.policy.world import Push
from signalbox.telemetry import PushOutcome


class Gateway:
    """A small Pushgateway: keeps what arrives, answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.pushes: list[tuple[str, str, str]] = []  # method, path, body
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                gateway.pushes.append((self.command, self.path, body))
                self.send_response(gateway.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    running = Gateway()
    yield running
    running.close()


@pytest.fixture
def pusher() -> Iterator[Pusher]:
    registry = CollectorRegistry()
    Counter("lamps", "Lamps lit.", registry=registry).inc(3)
    running = Pusher(registry, instance=lambda: "pod/7")
    yield running
    running.use(None)
    running.close(20)


def wait_until(happened: Callable[[], bool], deadline_seconds: float = 20) -> None:
    end = time.monotonic() + deadline_seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def fast(section: Push) -> Push:
    """The same, more often than a policy may ask for."""
    return section.model_copy(update={"interval_seconds": 0.05})


def test_metrics_are_put_under_job_and_instance_again_and_again(gateway, pusher):
    pusher.use(fast(Push(url=gateway.url, job="edge")))
    wait_until(lambda: len(gateway.pushes) >= 3)

    method, path, body = gateway.pushes[0]
    assert (method, path) == ("PUT", "/metrics/job/edge/instance@base64/cG9kLzc=")
    samples = {
        sample.name: sample.value for family in text_string_to_metric_families(body) for sample in family.samples
    }
    assert samples["lamps_total"] == 3
    wait_until(lambda: pusher.counts[PushOutcome.OK] >= 3)
    assert pusher.counts[PushOutcome.FAILED] == 0


@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_gateway_that_refuses_costs_a_push_and_the_next_one_is_tried(gateway, pusher, status):
    gateway.status = status
    pusher.use(fast(Push(url=gateway.url)))
    wait_until(lambda: pusher.counts[PushOutcome.FAILED] >= 2)
    assert pusher.take_problem() == "HTTPError"
    gateway.status = 202
    wait_until(lambda: pusher.counts[PushOutcome.OK] >= 1)


def test_a_gateway_that_is_not_there_is_a_failure_and_nothing_more(pusher):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pusher.use(fast(Push(url=f"http://127.0.0.1:{port}")))
    wait_until(lambda: pusher.counts[PushOutcome.FAILED] >= 2)
    assert str(port) not in pusher.take_problem()


def test_a_gateway_that_hangs_is_waited_for_no_longer_than_the_timeout(pusher, monkeypatch):
    monkeypatch.setattr(push_module, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pusher.use(Push(url=f"http://127.0.0.1:{silent.getsockname()[1]}"))
        wait_until(lambda: pusher.counts[PushOutcome.FAILED] == 1)


def test_one_that_answers_nonsense_is_a_failure(pusher):
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def answer() -> None:
            client, _ = rude.accept()
            with client:
                client.recv(100_000)
                client.sendall(b"220 mail.test ESMTP\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        pusher.use(Push(url=f"http://127.0.0.1:{rude.getsockname()[1]}"))
        wait_until(lambda: pusher.counts[PushOutcome.FAILED] == 1)
        answering.join()


def test_the_end_is_pushed_too(gateway):
    registry = CollectorRegistry()
    lamps = Counter("lamps", "Lamps lit.", registry=registry)
    pusher = Pusher(registry, instance=lambda: "pod-7")
    pusher.use(Push(url=gateway.url, interval_seconds=3600))
    wait_until(lambda: pusher.counts[PushOutcome.OK] == 1)
    lamps.inc(41)
    pusher.close(20)

    assert "lamps_total 41.0" in gateway.pushes[-1][2]


def test_a_reload_begins_and_ends_pushing_and_the_metrics_say_how_it_went(gateway, bench):
    push = {"telemetry": {"push": {"url": gateway.url, "interval_seconds": 3600}}}
    bench.collector.apply_policy(Policy.model_validate({**POLICY, **push}), "1" * 64)
    wait_until(lambda: bench.collector._pusher.counts[PushOutcome.OK] == 1)
    bench.later(1)
    assert bench.value("signalbox_metrics_pushes_total", outcome="ok") == 1
    assert gateway.pushes[0][1].startswith("/metrics/job/signalbox/instance/")
    bench.collector.apply_policy(Policy.model_validate(POLICY), "2" * 64)
    bench.collector.close()

    assert len(gateway.pushes) == 1


def test_a_failing_push_is_a_warning_in_the_log_without_the_address(bench):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    push = {"telemetry": {"push": {"url": f"http://127.0.0.1:{port}", "interval_seconds": 3600}}}
    bench.collector.apply_policy(Policy.model_validate({**POLICY, **push}), "1" * 64)
    wait_until(lambda: bench.collector._pusher.counts[PushOutcome.FAILED] == 1)
    bench.later(1)
    bench.collector.apply_policy(Policy.model_validate(POLICY), "2" * 64)
    bench.collector.close()

    assert [line["event"] for line in bench.log.lines] == ["metrics_push_failed"]
    assert str(port).encode() not in bench.log.raw[0]
    assert bench.value("signalbox_metrics_pushes_total", outcome="failed") == 1
