"""Mode attach: the objects that the chart gives to Istio and Envoy Gateway, put where those put them in a real Envoy.

Neither runs here. Their parts are played by a few lines: a listener with routes by header, as an HTTPRoute becomes one,
and the patches applied as their documentation says. What Envoy does with the result is real.
"""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from signalbox.envoy.binary import find_envoy
from signalbox.envoy.listener import request_attributes
from signalbox.mock.provider import MockProvider
from signalbox.mock.running import running_mock
from signalbox.policy.load import load_text
from tests.dataplane.stack import POLICY, PROVIDERS, Stack, free_port, wait_until

from .golden import INPUTS
from .helm import Manifest, helm, manifests, one, policy_of, refusal
from .pieces import FILE, pieces

KINDS = ("istio", "envoy-gateway")
MANAGER = "envoy.filters.network.http_connection_manager"


def rendered(to: str, *values: Path, settings: tuple[str, ...] = ()) -> tuple[Manifest, ...]:
    return manifests(*values, settings=("mode=attach", f"attach.to={to}", *settings))


def test_the_parts_are_what_the_package_renders_today() -> None:
    assert json.loads(FILE.read_text()) == pieces(), "run `python -m tests.chart.pieces`"


@pytest.mark.parametrize("name", [name for name in INPUTS if name not in ("regulated", "transparent", "everything")])
def test_the_headers_that_are_asked_for_are_those_that_decisions_look_at(name: str) -> None:
    made = rendered("envoy-gateway", *INPUTS[name])
    policy = load_text(policy_of(made).encode(), "policy.yaml").policy
    (ext_proc,) = one("EnvoyExtensionPolicy", made)["spec"]["extProc"]
    assert ext_proc["processingMode"]["request"]["attributes"] == request_attributes(policy)
    assert policy.gateway.mode == "cluster_header"


@pytest.mark.parametrize("to", ["envoy", *KINDS])
def test_sidecars_for_another_envoy_are_no_gateway(to: str) -> None:
    made = rendered(to)
    (port,) = one("Service", made)["spec"]["ports"]
    assert (port["name"], port["port"]) == ("grpc", 9000)
    spec = one("Deployment", made)["spec"]["template"]["spec"]
    assert "--front" in spec["initContainers"][0]["args"]
    assert spec["terminationGracePeriodSeconds"] < 60
    assert not any(each["kind"] == "Pod" for each in made)


def test_what_would_be_wrong_there_is_refused() -> None:
    for settings, words in (
        (("tls.existingSecret=x",), "mode attach"),
        (("ingress.enabled=true", "ingress.host=x"), "mode attach"),
        (("attach.to=istio", "existingConfigMap=x"), "which headers"),
    ):
        assert words in refusal(settings=("mode=attach", *settings))


def test_the_notes_say_what_the_other_envoy_needs() -> None:
    done = helm("install", "gw", str(FILE.parents[1]), "--dry-run=client", "--set", "mode=attach")
    assert "--sidecars gw-signalbox.default.svc:9000" in done.stdout
    assert "curl" not in done.stdout


class TheirEnvoy(Stack):
    """Sidecars with their front, and an Envoy whose owners route by header."""

    to: str
    objects: tuple[Manifest, ...]

    def __enter__(self) -> TheirEnvoy:
        self._options.append("--front")
        self.front_port = self.port
        super().__enter__()
        try:
            self._start_theirs()
        except BaseException:
            self.show_logs()
            self.close()
            raise
        return self

    def _start_theirs(self) -> None:
        self.port = free_port()
        self.client = httpx.Client(base_url=self.base_url, timeout=15)
        config = self.directory / "theirs.yaml"
        config.write_text(yaml.safe_dump(self._config()))
        self.theirs = self.start(
            "theirs",
            [
                str(find_envoy()),
                "-c",
                str(config),
                "--use-dynamic-base-id",
                "--log-level",
                "warn",
                "--concurrency",
                "1",
            ],
        )
        wait_until(self.accepts, "their Envoy listens")
        wait_until(lambda: self.chat("alpha-mini").status_code == 200, "their Envoy reaches the sidecars")

    def _config(self) -> dict[str, Any]:
        manager: dict[str, Any] = {
            "@type": f"type.googleapis.com/{MANAGER.replace('envoy.', 'envoy.extensions.')}.v3.HttpConnectionManager",
            "stat_prefix": "theirs",
            "access_log": [],
            "route_config": {"virtual_hosts": [{"name": "llm", "domains": ["*"], "routes": self._routes()}]},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                }
            ],
        }
        clusters = [self._provider(name, mock) for name, mock in self.mocks.items()]
        (as_istio if self.to == "istio" else as_envoy_gateway)(self.objects, manager, clusters)
        for cluster in clusters:  # the service's address
            if cluster["name"] not in self.mocks:
                cluster["type"] = "STATIC"
                (endpoints,) = cluster["load_assignment"]["endpoints"]
                endpoints["lb_endpoints"] = [_endpoint("127.0.0.1", self.front_port)]
        listener = {
            "name": "default/eg/http",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.port}},
            "filter_chains": [{"filters": [{"name": MANAGER, "typed_config": manager}]}],
        }
        return {
            "node": {"id": "theirs", "cluster": "theirs"},
            "static_resources": {"listeners": [listener], "clusters": clusters},
        }

    def _routes(self) -> list[dict[str, Any]]:
        """As an HTTPRoute with a rule for each provider becomes them; the last rule is for what nobody decided."""
        routes: list[dict[str, Any]] = [
            {
                "match": {
                    "prefix": "/v1/",
                    "headers": [{"name": "x-signalbox-cluster", "string_match": {"exact": name}}],
                },
                "route": {"cluster": name, "timeout": "0s"},
            }
            for name in self.mocks
        ]
        return [
            *routes,
            {"match": {"prefix": "/"}, "direct_response": {"status": 503, "body": {"inline_string": "no"}}},
        ]

    @staticmethod
    def _provider(name: str, mock: MockProvider) -> dict[str, Any]:
        host, _, port = mock.url.removeprefix("http://").partition(":")
        return {
            "name": name, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [_endpoint(host, int(port))]}]},
        }  # fmt: skip


def _endpoint(host: str, port: int) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}


def as_istio(objects: tuple[Manifest, ...], manager: dict[str, Any], clusters: list[dict[str, Any]]) -> None:
    """Apply an EnvoyFilter: MERGE as protobuf merges (lists grow), INSERT_BEFORE, in order."""
    service = one("Service", objects)
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.cluster.local"
    name = f"outbound|{service['spec']['ports'][0]['port']}||{host}"  # what Istio calls a service's cluster
    http2 = {"explicit_http_config": {"http2_protocol_options": {}}}  # by the port's name
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    clusters.append(
        {
            "name": name, "connect_timeout": "1s",
            "load_assignment": {"cluster_name": name, "endpoints": [{}]},
            "typed_extension_protocol_options": {kind: {"@type": f"type.googleapis.com/{kind}", **http2}},
        }
    )  # fmt: skip
    for patch in one("EnvoyFilter", objects)["spec"]["configPatches"]:
        change = patch["patch"]
        if patch["applyTo"] == "NETWORK_FILTER":
            assert change["operation"] == "MERGE"
            merge(manager, change["value"]["typed_config"])
        elif change["operation"] == "INSERT_BEFORE":
            manager["http_filters"].insert(-1, change["value"])
        else:
            merge(manager["http_filters"][-1]["typed_config"], change["value"]["typed_config"])


def as_envoy_gateway(objects: tuple[Manifest, ...], manager: dict[str, Any], clusters: list[dict[str, Any]]) -> None:
    """Apply an EnvoyExtensionPolicy as the filter it becomes, and an EnvoyPatchPolicy as JSON Patch."""
    (policy,) = one("EnvoyExtensionPolicy", objects)["spec"]["extProc"]
    patches = one("EnvoyPatchPolicy", objects)["spec"]["jsonPatches"]
    for patch in patches:
        operation, value = patch["operation"], deepcopy(patch["operation"]["value"])
        assert operation["op"] == "add"
        if patch["type"].endswith("Cluster"):
            assert operation["path"] == ""
            clusters.append(value)
            continue
        assert patch["name"] == "default/eg/http"
        key = operation["path"].removeprefix("/default_filter_chain/filters/0/typed_config/")
        if key.endswith("/-"):
            manager[key.removesuffix("/-")].append(value)
        else:
            manager[key] = value
    collector = clusters[-1]
    workers = deepcopy(collector) | {"name": "backend"}
    workers["load_assignment"]["cluster_name"] = "backend"
    clusters.append(workers)
    request = policy["processingMode"]["request"]
    assert request["body"] == "Buffered"
    manager["http_filters"].insert(
        0,
        {
            "name": "envoy.filters.http.ext_proc",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
                "grpc_service": {"envoy_grpc": {"cluster_name": "backend"}},
                "failure_mode_allow": policy["failOpen"],
                "message_timeout": f"{int(policy['messageTimeout'].removesuffix('ms')) / 1000}s",
                "processing_mode": {
                    "request_header_mode": "SEND", "request_body_mode": "BUFFERED",
                    "response_header_mode": "SKIP", "response_body_mode": "NONE",
                    "request_trailer_mode": "SKIP", "response_trailer_mode": "SKIP",
                },
                "request_attributes": request["attributes"],
                "metadata_options": {"receiving_namespaces": {"untyped": policy["metadata"]["writableNamespaces"]}},
            },
        },
    )  # fmt: skip


def merge(base: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, list):
            base[key] = [*base.get(key, []), *value]
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value


@pytest.fixture(scope="module", params=KINDS)
def theirs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TheirEnvoy]:
    with ExitStack() as running:
        keys = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="sbx-keys-")))
        mocks: dict[str, Any] = {}
        for name in PROVIDERS:
            (keys / name).write_text("unused")
            mocks[name] = running.enter_context(running_mock(name))
        urls = {name: f"{mock.url}/v1" for name, mock in mocks.items()}
        values = tmp_path_factory.mktemp("values") / "values.yaml"
        policy = yaml.safe_load(POLICY.substitute(urls, keys=keys))
        values.write_text(yaml.safe_dump({"policy": policy, "withoutSharedState": "warn"}))
        objects = rendered(request.param, values)
        stack = TheirEnvoy(policy_of(objects), mocks, workers=1)
        stack.to, stack.objects = request.param, objects
        yield running.enter_context(stack)


@pytest.mark.dataplane
def test_their_routes_follow_the_decision_and_the_body_has_the_providers_model(theirs: TheirEnvoy) -> None:
    test_id = f"{theirs.to}-routed"
    assert theirs.chat("router:chain", x_test_id=test_id).status_code == 200
    (received,) = theirs.received(test_id)
    assert received["provider"] == "alpha"
    assert received["model"] != "router:chain"


@pytest.mark.dataplane
def test_a_forged_header_neither_routes_nor_survives(theirs: TheirEnvoy) -> None:
    test_id = f"{theirs.to}-forged"
    answer = theirs.client.get("/v1/models", headers={"x-signalbox-cluster": "beta", "x-test-id": test_id})
    assert answer.status_code >= 400
    assert theirs.chat("alpha-mini", x_signalbox_cluster="beta", x_test_id=test_id).status_code == 200
    assert theirs.providers_asked(test_id) == ["alpha"]


@pytest.mark.dataplane
def test_the_sidecars_hear_how_requests_ended(theirs: TheirEnvoy) -> None:
    before = theirs.metric("signalbox_decisions_total")
    assert theirs.chat("alpha-mini").status_code == 200
    wait_until(lambda: theirs.metric("signalbox_decisions_total") > before, "the decision is counted")
    refused = theirs.metric("signalbox_refusals_total", code="model_not_found")
    assert theirs.chat("nobody-knows-this").status_code == 404
    wait_until(lambda: theirs.metric("signalbox_refusals_total", code="model_not_found") > refused, "so is the refusal")


@pytest.mark.dataplane
def test_without_sidecars_nothing_reaches_a_provider(theirs: TheirEnvoy) -> None:
    test_id = f"{theirs.to}-alone"
    theirs.envoy.stop(signal.SIGKILL)
    assert theirs.chat("alpha-mini", x_test_id=test_id).status_code >= 500
    assert theirs.received(test_id) == []
