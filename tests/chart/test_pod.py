"""The pod test: what the chart renders, run as a kubelet would, with traffic through it.

Envoy and the sidecar start from the rendered manifest alone: its images, commands, files, environment, user and
volumes, on a file system that can only be read. The sidecar's image is what the Dockerfile's steps made of the wheel.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import ssl
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from signalbox.bundles import open_bundle
from signalbox.mock.provider import MockProvider
from signalbox.mock.running import running_mock
from tests.dataplane.certificates import Authority
from tests.dataplane.stack import free_port
from tests.unit.bundles.tiny import write_bundle

from .helm import NAMESPACE, RELEASE, Manifest, manifests, one, policy_of
from .images import envoy_image, sidecar_image
from .kubelet import Image, Pod, wait_until
from .report import said
from .traffic import Load, Service, Stream
from .volumes import Files, content, project

pytestmark = pytest.mark.dataplane

VALUES = """
existingSecret: llm-keys
drain: {seconds: 60, settleSeconds: 2}
sidecar: {workers: 1}
envoy: {concurrency: 1}
policy:
  version: 1
  providers:
    cloud: {endpoint: "%(cloud)s/v1", key: {file: /etc/signalbox/keys/cloud}}
    house: {endpoint: "%(house)s/v1", location: local}
  models:
    large: {provider: cloud, price: {input: 1, output: 2}}
    small: {provider: house, price: {input: 0, output: 0}}
  routers:
    everyday: {models: [large], fallback: [small]}
    inside: {models: [small]}
  default_router: everyday
  telemetry: {log_level: warning}
"""


@dataclass
class Cluster:
    """What pods are made of, and the providers behind them."""

    values: Path
    images: dict[str, Image]
    mocks: dict[str, MockProvider]
    service: Service
    pods: list[Pod] = field(default_factory=list)
    secrets: dict[tuple[str, str], Files] = field(default_factory=dict)

    def render(self, gateway: int, api: int, settings: tuple[str, ...]) -> tuple[Manifest, ...]:
        ports = (f"containerPorts.gateway={gateway}", f"containerPorts.api={api}", f"service.port={gateway}")
        return manifests(self.values, settings=(*ports, *settings))

    def pod(self, name: str, *settings: str) -> RunningPod:
        """Start a pod of the Deployment; all on one machine, so each has ports of its own."""
        gateway, api = free_port(), free_port()
        rendered = self.render(gateway, api, settings)
        objects = {
            (each["kind"], each["metadata"]["name"]): content(each)
            for each in rendered
            if each["kind"] in ("ConfigMap", "Secret")
        }
        spec = one("Deployment", rendered)["spec"]["template"]["spec"]
        pod = Pod(name, spec, self.images, objects | self.secrets)
        self.pods.append(pod)
        pod.start()
        self.service.add(pod, gateway)
        return RunningPod(pod, rendered, gateway, api)


@dataclass
class RunningPod:
    """One pod and what a test asks of it."""

    pod: Pod
    rendered: tuple[Manifest, ...]
    gateway: int
    api: int

    def chat(self, model: str = "auto", **headers: str) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
        return httpx.post(
            f"http://127.0.0.1:{self.gateway}/v1/chat/completions", json=body, headers=headers, timeout=15
        )

    def readyz(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.api}/readyz", timeout=5).json()
        return answer

    def put_policy(self, text: str) -> None:
        project(self.pod.volumes["policy"], {"policy.yaml": text.encode()})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as running:
        mocks = {name: running.enter_context(running_mock(name)) for name in ("cloud", "house")}
        values = tmp_path_factory.mktemp("values") / "values.yaml"
        values.write_text(VALUES % {name: mock.url for name, mock in mocks.items()})
        images = {"signalbox:": sidecar_image(), "envoyproxy/envoy:": envoy_image()}
        service = running.enter_context(Service())
        cluster = Cluster(values, images, mocks, service)
        cluster.secrets["Secret", "llm-keys"] = {"cloud": b"key-one\n"}
        try:
            yield cluster
        finally:
            for pod in cluster.pods:
                pod.remove()


@pytest.fixture(scope="module")
def first(cluster: Cluster) -> RunningPod:
    return cluster.pod("a")


@pytest.fixture(autouse=True)
def _logs_of_what_failed(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[None]:
    failures = request.session.testsfailed
    yield
    if request.session.testsfailed > failures:
        for pod in cluster.pods:
            print(pod.logs())


def test_envoy_starts_once_the_sidecar_can_decide_and_the_pod_is_ready_last(first: RunningPod) -> None:
    order = first.pod.order()
    assert order[:4] == ["sidecar started", "sidecar is up", "envoy started", "envoy is up"]
    assert order[-1] == "ready"
    assert first.chat().headers["x-signalbox-model"] == "large"
    at = {what: seconds for seconds, what in first.pod.events}
    said(
        "start",
        f"sidecar ready to decide after {at['sidecar is up'] - at['sidecar started']:.1f} s",
        f"pod ready after {at['ready'] - at['sidecar started']:.1f} s",
    )


def test_processes_run_as_the_manifest_says_and_can_write_only_to_their_volumes(first: RunningPod) -> None:
    for name in ("sidecar", "envoy"):
        container = first.pod.container(name)
        assert container.process is not None
        status = Path(f"/proc/{container.process.pid}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["CapEff"].strip("0") == "", name
        assert facts["NoNewPrivs"] == "1"
        mounts = [line.split() for line in Path(f"/proc/{container.process.pid}/mounts").read_text().splitlines()]
        options = {mount[1]: mount[3].split(",") for mount in mounts}
        assert "ro" in options["/"]
        written = {
            at for at, flags in options.items() if "rw" in flags and not at.startswith(("/proc", "/dev", "/sys"))
        }
        assert written <= {"/run/signalbox", "/tmp"}
    assert "Traceback" not in first.pod.container("sidecar").log.read_text()


def test_the_heap_of_envoy_is_what_its_container_is_given(first: RunningPod) -> None:
    bootstrap = yaml.safe_load((first.pod.volumes["run"] / "bootstrap.yaml").read_text())
    (heap,) = (
        monitor["typed_config"]["max_heap_size_bytes"]
        for monitor in bootstrap["overload_manager"]["resource_monitors"]
        if monitor["name"].endswith("fixed_heap")
    )
    assert 0.8 * 2**30 < heap < 0.9 * 2**30


def test_helm_test_sends_one_request_that_is_routed(cluster: Cluster, first: RunningPod) -> None:
    spec = one("Pod", first.rendered)["spec"]
    host = f"{RELEASE}-signalbox.{NAMESPACE}.svc"
    pod = Pod("test", spec, cluster.images, {}, hosts={host: "127.0.0.1"})
    try:
        assert pod.run_to_completion(60) == 0, pod.logs()
        said = json.loads(pod.container("ask").log.read_text())
        assert (said["status"], said["model"]) == (200, "large")
    finally:
        pod.remove()


def test_an_edited_configmap_is_live_without_a_restart_and_fails_no_request(
    cluster: Cluster, first: RunningPod
) -> None:
    before = policy_of(first.rendered)
    wait_until(lambda: cluster.service.endpoints() == [first.gateway], "word of the pod has spread")
    with Load(cluster.service) as load:
        wait_until(lambda: len(load.answered) > 5, "traffic")
        started = time.monotonic()
        first.put_policy(before.replace("default_router: everyday", "default_router: inside"))
        wait_until(lambda: load.answered[-1] == "small", "the new policy serves", 60)
        seconds = time.monotonic() - started
        first.put_policy(before)
        wait_until(lambda: load.answered[-1] == "large", "the old one serves again", 60)
    assert load.failed == []
    said("edited ConfigMap", f"live after {seconds:.2f} s", f"0 of {len(load.answered)} requests failed")
    assert first.pod.container("envoy").restarts == first.pod.container("sidecar").restarts == 0


def test_a_mistake_in_the_configmap_changes_nothing_and_is_named(first: RunningPod) -> None:
    before = policy_of(first.rendered)
    first.put_policy(before.replace("models: [large]", "models: [largest]").replace("- large\n", "- largest\n"))
    wait_until(lambda: first.readyz()["policy"]["error"] is not None, "the mistake is noticed", 60)
    assert 'unknown model "largest"' in first.readyz()["policy"]["error"]
    assert first.pod.is_ready
    assert first.chat().headers["x-signalbox-model"] == "large"
    first.put_policy(before)
    wait_until(lambda: first.readyz()["policy"]["error"] is None, "it is good again", 60)


def test_a_renewed_key_is_used_at_once(cluster: Cluster, first: RunningPod) -> None:
    def key_used() -> str | None:
        assert first.chat("large").status_code == 200
        key: str | None = cluster.mocks["cloud"].requests()[-1].key
        return key

    assert key_used() == "key-one"
    project(first.pod.volumes["keys"], {"cloud": b"key-two\n"}, 0o440)
    started = time.monotonic()
    wait_until(lambda: key_used() == "key-two", "the new key is used", 60)
    said("renewed key", f"used after {time.monotonic() - started:.2f} s")
    project(first.pod.volumes["keys"], {"cloud": b"key-one\n"}, 0o440)
    wait_until(lambda: key_used() == "key-one", "the old key is used again", 60)


def test_a_killed_worker_fails_no_pod(first: RunningPod) -> None:
    sidecar = first.pod.container("sidecar")
    assert sidecar.process is not None
    pid = sidecar.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (worker,) = (int(child) for child in children if "serve.worker" in Path(f"/proc/{child}/cmdline").read_text())
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: first.readyz()["workers"]["restarts"] == 1 and first.readyz()["ready"], "a new worker", 60)
    wait_until(lambda: first.chat().status_code == 200, "requests are decided", 60)
    assert sidecar.restarts == 0


@pytest.mark.parametrize("name", ["sidecar", "envoy"])
def test_a_killed_container_makes_the_pod_unready_and_comes_back_alone(first: RunningPod, name: str) -> None:
    other = "envoy" if name == "sidecar" else "sidecar"
    seen, restarts = len(first.pod.events), first.pod.container(other).restarts
    first.pod.container(name).signal(signal.SIGKILL)
    wait_until(lambda: not first.pod.is_ready, "not ready", 60)
    if name == "sidecar":
        answer = first.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) in [(503, "gateway_unavailable"), (200, None)]
    started = time.monotonic()
    wait_until(lambda: first.pod.is_ready, "ready again", 60)
    said(f"killed container {name}", f"ready again after {time.monotonic() - started:.1f} s", f"{other} untouched")
    assert first.chat().status_code == 200
    assert f"{name} died" in first.pod.order()[seen:]
    assert first.pod.container(other).restarts == restarts


def test_a_pod_that_is_replaced_finishes_its_streams_and_no_request_fails(cluster: Cluster, first: RunningPod) -> None:
    wait_until(lambda: cluster.service.endpoints() == [first.gateway], "word of the first pod has spread")
    with Load(cluster.service) as load:
        second = cluster.pod("b")
        wait_until(lambda: second.gateway in cluster.service.endpoints(), "traffic reaches the new pod")
        stream = Stream(first.gateway, "small", {"x-mock-chunks": "80", "x-mock-gap": "0.1"})
        wait_until(lambda: len(stream.chunks) > 3, "the stream has begun")
        started = time.monotonic()
        first.pod.terminate()
        seconds = time.monotonic() - started
        stream.join(10)
        answered = len(load.answered)
        wait_until(lambda: len(load.answered) > answered + 10, "the new pod carries the traffic")
    assert load.failed == []
    assert stream.problem is None
    assert stream.lines[-1] == "data: [DONE]"
    assert sum('"content"' in line for line in stream.lines) >= 80
    # It waited for the stream, and not for the whole grace period.
    assert stream.chunks[-1] < started + seconds < stream.chunks[-1] + 30
    said(
        "replaced pod",
        f"ended {seconds:.1f} s after it was told to",
        f"its stream of {len(stream.lines)} events went on for {stream.chunks[-1] - started:.1f} s of that",
        f"0 of {len(load.answered)} requests failed",
    )
    order = first.pod.order()[first.pod.order().index("terminating") :]
    assert "sidecar hook ended with 0" in order
    assert "envoy hook answered 200" in order
    assert order.index("envoy ended") < order.index("sidecar ended")
    assert not any("killed" in each for each in order)


def test_a_pod_without_its_secret_is_ready_and_uses_the_key_once_it_is_there(cluster: Cluster) -> None:
    keys = cluster.secrets["Secret", "llm-keys"]
    cluster.secrets["Secret", "llm-keys"] = {}
    try:
        late = cluster.pod("c")
    finally:
        cluster.secrets["Secret", "llm-keys"] = keys
    assert late.chat("small").status_code == 200
    assert late.chat("large").status_code >= 400
    project(late.pod.volumes["keys"], keys, 0o440)
    wait_until(lambda: late.chat("large").status_code == 200, "the key is used", 60)


def test_a_pod_with_a_router_model_and_tls_fetches_the_one_first_and_renews_the_other(
    cluster: Cluster, tmp_path: Path
) -> None:
    archive = tmp_path / "served" / "bert.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(write_bundle(tmp_path / "bert"), "bert")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    authority = Authority(tmp_path)
    cluster.secrets["Secret", "gateway-tls"] = certificate(authority)
    with served(archive.parent) as address:
        safe = cluster.pod(
            "d", "tls.existingSecret=gateway-tls",
            f"bundles.bert.download.url={address}/bert.tar.gz", f"bundles.bert.download.sha256={digest}",
        )  # fmt: skip
    assert safe.pod.order()[:3] == ["bundle-bert started", "bundle-bert ended", "sidecar started"]
    assert open_bundle(safe.pod.volumes["bundle-bert"]).manifest.kind == "classifier"

    trusted = ssl.create_default_context(cafile=str(authority.file))

    def serial() -> str:
        with (
            socket.create_connection(("127.0.0.1", safe.gateway), timeout=5) as plain,
            trusted.wrap_socket(plain, server_hostname="gateway.example") as secured,
        ):
            shown = secured.getpeercert()
            assert shown is not None
            return str(shown["serialNumber"])

    before = serial()
    project(safe.pod.volumes["tls"], certificate(authority), 0o440)
    wait_until(lambda: serial() != before, "the renewed certificate is shown", 60)
    assert safe.pod.is_ready


def certificate(authority: Authority) -> dict[str, bytes]:
    pair = authority.sign("gateway.example")
    return {"tls.crt": pair.certificate.read_bytes(), "tls.key": pair.private_key.read_bytes()}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A web server over a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
