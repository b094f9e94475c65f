"""Envoy itself accepts what is rendered: by its own validator, and while it runs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.envoy.admin import AdminClient, Applied
from signalbox.envoy.binary import find_envoy
from signalbox.envoy.files import write
from signalbox.envoy.render import Layout, Rendered, render
from signalbox.policy.schema import Policy

from .certificates import Authority

pytestmark = pytest.mark.dataplane

MINIMAL = """
version: 1
providers: {local: {endpoint: "http://127.0.0.1:8000/v1", location: local}}
models: {small: {provider: local}}
"""

FULL = """
version: 1
gateway: {max_attempts: 8, tls: {certificate: gateway.crt, private_key: gateway.key}}
providers:
  openai: {endpoint: "https://api.openai.com/v1", key: {file: keys/openai}, ca_file: CA}
  claude:
    {endpoint: "https://api.anthropic.com/v1", dialect: anthropic, key: {file: keys/claude}, ca_file: CA,
     headers: {anthropic-version: "2023-06-01", x-odd: "50% {of} \\"it\\"; y"}}
  gemini:
    {endpoint: "https://gemini.example/v1beta/openai", key: {file: keys/g, header: x-goog-api-key}, ca_file: CA}
  v6: {endpoint: "https://[2001:db8::7]:8443/v1", ca_file: CA, sni: models.example}
  v6-plain: {endpoint: "http://[::1]:8000", location: local}
  vllm: {endpoint: "http://vllm.models.svc:8000/v1", location: local, health: {path: /health, interval_seconds: 2}}
  "y": {endpoint: "http://10.0.0.1", location: local}
  "0": {endpoint: "http://10.0.0.2", location: local}
  1e5: {endpoint: "http://10.0.0.3", location: local}
models:
  gpt-5: {provider: openai}
  "meta/llama-3.1:70b@q4": {provider: vllm}
routers:
  main: {description: "Wei\\u00df, \\"quoted\\", 100%", models: [gpt-5], fallback: ["meta/llama-3.1:70b@q4"]}
default_router: main
privacy: {local_only: {headers: {x-data-class: "a.b (c)|[d] \\\\ $", x-y: "n"}}}
"""


def many_providers() -> dict[str, Any]:
    providers = {f"p{n}": {"endpoint": f"https://p{n}.example/v1", "ca_file": "CA"} for n in range(40)}
    return {
        "version": 1,
        "providers": providers,
        "models": {f"m{n}": {"provider": f"p{n % 40}"} for n in range(400)},
    }


def policies() -> dict[str, dict[str, Any]]:
    full = yaml.safe_load(FULL)
    by_header = deepcopy(full)
    by_header["gateway"]["mode"] = "cluster_header"
    cloud_only = {**yaml.safe_load(MINIMAL), "providers": {"local": {"endpoint": "http://10.0.0.1:1"}}}
    return {
        "minimal": yaml.safe_load(MINIMAL),
        "full": full,
        "full-cluster_header": by_header,
        "cloud-only": cloud_only,
        "many": many_providers(),
        "ipv6-gateway": {**yaml.safe_load(MINIMAL), "gateway": {"address": "::", "max_body_bytes": 268435456}},
    }


def made(document: dict[str, Any], ca_file: Path) -> Policy:
    text = json.dumps(document).replace('"CA"', json.dumps(str(ca_file)))
    return Policy.model_validate(json.loads(text))


def as_static(rendered: Rendered) -> dict[str, Any]:
    """The same configuration as one bootstrap: the validator does not look into xDS files."""

    def resources(name: str) -> list[dict[str, Any]]:
        loaded = yaml.safe_load(rendered.files[name])["resources"]
        return [{key: value for key, value in resource.items() if key != "@type"} for resource in loaded]

    bootstrap = yaml.safe_load(rendered.files["bootstrap.yaml"])
    del bootstrap["dynamic_resources"]
    (listener,) = resources("lds.yaml")
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    (manager["route_config"],) = resources("rds.yaml")
    bootstrap["static_resources"]["listeners"] = [listener]
    bootstrap["static_resources"]["clusters"] += resources("cds.yaml")
    return bootstrap


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Authority(tmp_path_factory.mktemp("ca")).file


@pytest.mark.parametrize("name", policies())
@pytest.mark.parametrize("kept", [False, True], ids=["alone", "reloading"])
def test_envoy_accepts_every_rendered_configuration_without_a_deprecated_field(
    name: str, kept: bool, ca_file: Path, tmp_path: Path
) -> None:
    policy = made(policies()[name], ca_file)
    keep = made(policies()["minimal"], ca_file) if kept else None
    rendered = render(policy, Layout(tmp_path, workers=2, ca_file=str(ca_file)), keep=keep)
    write(rendered, tmp_path)
    config = tmp_path / "static.json"
    config.write_text(json.dumps(as_static(rendered)))
    checked = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", config, "-l", "warning"], capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stderr[-3000:]
    assert "Deprecated field" not in checked.stderr, checked.stderr[-3000:]


class Running:
    """An Envoy over a run directory of its own, without a sidecar."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.layout = Layout(directory, workers=1)
        self.admin = AdminClient(self.layout.admin_socket)
        self.log = directory / "envoy.log"
        self.document = {**yaml.safe_load(MINIMAL), "gateway": {"port": self.port}}
        self._rendered = render(Policy.model_validate(self.document), self.layout)
        write(self._rendered, directory)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [find_envoy(), "-c", directory / "bootstrap.yaml", "--use-dynamic-base-id", "--concurrency", "1"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        while self.admin.wait_applied(self._rendered.versions, 0.2) is not Applied.APPLIED:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]

    def change(self, **changes: Any) -> Applied:
        """Write another policy's configuration and wait for what Envoy makes of it."""
        rendered = render(Policy.model_validate({**self.document, **changes}), self.layout)
        self.admin.mark()
        write(rendered, self.layout.run_dir)
        return self.admin.wait_applied(rendered.versions, 10)

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    # A short path: unix socket paths end at 108 bytes.
    with tempfile.TemporaryDirectory(prefix="sbx-", ignore_cleanup_errors=True) as directory:
        envoy = Running(Path(directory))
        try:
            envoy.wait_ready()
            yield envoy
        finally:
            envoy.process.send_signal(signal.SIGTERM)
            try:
                envoy.process.wait(10)
            except subprocess.TimeoutExpired:
                envoy.process.kill()
                envoy.process.wait()


def test_a_provider_added_to_the_files_is_in_use_without_a_restart(running: Running) -> None:
    more = {**running.document["providers"], "added": {"endpoint": "http://127.0.0.1:8001/v1"}}
    models = {**running.document["models"], "new": {"provider": "added"}}
    assert running.ask("GET", "/v1/models/new")[0] == 404
    assert running.change(providers=more, models=models) is Applied.APPLIED
    assert running.ask("GET", "/v1/models/new")[1]["owned_by"] == "added"
    assert running.change() is Applied.APPLIED
    assert running.ask("GET", "/v1/models/new")[0] == 404


def test_what_envoy_refuses_is_noticed_and_what_it_had_keeps_working(running: Running) -> None:
    bad = {**running.document["providers"], "bad": {"endpoint": "https://10.0.0.1", "ca_file": os.devnull}}
    assert running.change(providers=bad) is Applied.REJECTED
    assert running.ask("GET", "/v1/models/small")[0] == 200
    assert running.change() is Applied.APPLIED


def test_without_workers_every_request_ends_in_an_error_that_sdks_can_read(running: Running) -> None:
    expected = {
        ("POST", "/v1/chat/completions", '{"model":"small"}'): (503, "gateway_unavailable"),
        ("POST", "/v1/messages", '{"model":"small"}'): (503, "gateway_unavailable"),
        ("POST", "/v1/chat/completions", ""): (400, "invalid_json"),
        ("POST", "/v1/chat/completions", None): (400, "invalid_json"),
        ("GET", "/v1/chat/completions", None): (405, "method_not_allowed"),
        ("POST", "/v1/models", "{}"): (405, "method_not_allowed"),
        ("GET", "/v1/nope", None): (404, "not_found"),
        ("POST", "/", "{}"): (404, "not_found"),
    }
    for question, (status, code) in expected.items():
        answered, body = running.ask(*question)
        assert (answered, body["error"]["code"]) == (status, code), question
