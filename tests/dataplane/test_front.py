"""Sidecars that serve an Envoy elsewhere: over TCP, through an Envoy of their own, with everything a gateway does."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalbox.envoy.binary import find_envoy
from signalbox.envoy.files import write
from signalbox.envoy.render import Layout, render
from signalbox.mock.running import running_mock
from signalbox.policy.load import load_policy

from .stack import POLICY, PROVIDERS, Stack, free_port, wait_until

pytestmark = pytest.mark.dataplane


class Fronted(Stack):
    """The sidecar and its front; the gateway is another Envoy, which shares nothing with them but an address."""

    def __enter__(self) -> Fronted:
        self._options.append("--front")
        self.front_port = self.port
        super().__enter__()
        try:
            self._start_gateway()
        except BaseException:
            self.show_logs()
            self.close()
            raise
        return self

    def _start_gateway(self) -> None:
        self.port = free_port()
        self.client = httpx.Client(base_url=self.base_url, timeout=15)
        self.elsewhere = self.directory / "elsewhere"
        policy = load_policy(self.policy_file).policy
        gateway = policy.gateway.model_copy(update={"port": self.port})
        layout = Layout(run_dir=self.elsewhere, sidecars=("127.0.0.1", self.front_port))
        write(render(policy.model_copy(update={"gateway": gateway}), layout), self.elsewhere)
        self.gateway = self.start(
            "gateway",
            [str(find_envoy()), "-c", str(self.elsewhere / "bootstrap.yaml"), "--use-dynamic-base-id",
             "--log-level", "warn", "--concurrency", "1"],
        )  # fmt: skip
        wait_until(lambda: self.status("/ready") == 200, "the gateway reaches the workers")

    def status(self, path: str) -> int:
        try:
            return httpx.get(f"{self.base_url}{path}", timeout=5).status_code
        except httpx.HTTPError:
            return 0


@pytest.fixture(scope="module")
def fronted() -> Iterator[Fronted]:
    with ExitStack() as running:
        keys = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="sbx-keys-")))
        mocks: dict[str, Any] = {}
        for name in PROVIDERS:
            (keys / name).write_text(f"key-of-{name}\n")
            mocks[name] = running.enter_context(running_mock(name))
        urls = {name: f"{mock.url}/v1" for name, mock in mocks.items()}
        with Fronted(POLICY.substitute(urls, keys=keys), mocks, workers=2) as stack:
            yield stack


def test_an_envoy_elsewhere_decides_falls_back_and_reports_as_one_beside_the_sidecar_does(
    fronted: Fronted, test_id: str
) -> None:
    before = fronted.metric("signalbox_fallbacks_total")
    answer = fronted.chat("router:chain", x_test_id=test_id, x_mock_fault_alpha="503")
    assert (answer.status_code, answer.headers["x-signalbox-attempts"]) == (200, "2")
    assert fronted.providers_asked(test_id) == ["alpha", "beta"]
    wait_until(lambda: fronted.metric("signalbox_fallbacks_total") == before + 1, "the collector heard of it")


def test_the_front_answers_nothing_but_its_services(fronted: Fronted) -> None:
    front = f"http://127.0.0.1:{fronted.front_port}"
    assert httpx.get(f"{front}/ready").status_code == 200
    assert httpx.get(f"{front}/v1/models").status_code == 404
    assert httpx.post(f"{front}/v1/chat/completions", json={}).status_code == 404


def test_without_sidecars_the_gateway_is_not_ready_and_no_provider_is_asked(fronted: Fronted, test_id: str) -> None:
    fronted.envoy.stop(signal.SIGKILL)
    wait_until(lambda: fronted.status("/ready") == 503, "the gateway knows")
    answer = fronted.chat("alpha-mini", x_test_id=test_id)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "gateway_unavailable")
    assert fronted.received(test_id) == []
