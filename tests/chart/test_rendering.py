"""What the chart makes of values: kept renderings, Kubernetes' own schemas, and what follows from single values."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import signalbox

from .golden import FOLDER, INPUTS, rendered
from .helm import CASES, CHART, EXAMPLES, containers, helm, manifests, one, pod_specs, policy_of

VERSIONS = ("1.29", "1.31", "1.34", "1.37")  # the oldest that the chart takes to the newest that is published
OTHERS = {"PodMonitor", "ServiceMonitor", "PrometheusRule", "CiliumNetworkPolicy",
          "EnvoyFilter", "EnvoyExtensionPolicy", "EnvoyPatchPolicy", "ReferenceGrant"}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_what_is_rendered_is_what_was_reviewed(name: str) -> None:
    kept = FOLDER / f"{name}.yaml"
    assert kept.exists(), "run `python -m tests.chart.golden`"
    assert rendered(name) == kept.read_text(), "run `python -m tests.chart.golden` and look at what changed"


def test_nothing_is_kept_that_is_no_longer_rendered() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(INPUTS)


def test_lint_finds_nothing() -> None:
    for name, values in INPUTS.items():
        words = [word for path in values for word in ("--values", str(path))]
        done = helm("lint", str(CHART), "--strict", *words)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", INPUTS)
def test_every_object_is_valid_in_every_version_of_kubernetes(name: str, version: str) -> None:
    checked = 0
    for each in manifests(*INPUTS[name]):
        if each["kind"] in OTHERS or (_has_image_volume(each) and version < "1.31"):
            continue
        kubernetes_validate.validate(each, version, strict=True)
        checked += 1
    assert checked >= 3


def _has_image_volume(manifest: dict[str, Any]) -> bool:
    spec = manifest.get("spec", {}).get("template", {}).get("spec", {})
    return any("image" in volume for volume in spec.get("volumes", []))


def test_the_schemas_do_notice_a_wrong_object() -> None:
    broken = yaml.safe_load(yaml.safe_dump(one("Deployment", manifests())))
    broken["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_chart_and_package_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == signalbox.__version__


def test_every_value_is_described_just_above_it() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    bare = []
    for before, line in itertools.pairwise(lines):
        if re.match(r"[a-zA-Z]+:", line) and not before.startswith("#"):
            bare.append(line)
    groups = {"tls:", "redis:", "image:", "sidecar:", "envoy:", "drain:", "containerPorts:", "autoscaling:", "metrics:",
              "attach:", "podDisruptionBudget:", "serviceAccount:", "networkPolicy:", "service:", "ingress:",
              "test:"}  # fmt: skip
    assert {line for line in bare if line not in groups} == set()


def test_a_policy_given_as_text_keeps_its_comments() -> None:
    assert policy_of(manifests()) == (CHART / "files" / "policy.yaml").read_text().strip() + "\n"


def test_large_numbers_stay_whole() -> None:
    policy = policy_of(manifests(*[path for path in CASES if path.stem == "everything"]))
    assert "max_body_bytes: 33554432\n" in policy


def test_a_policy_is_mounted_as_a_directory_so_that_it_is_updated() -> None:
    for path in (None, *EXAMPLES):
        _, spec = next(pod_specs(manifests(*([path] if path else []))))
        mounts = [m for c in containers(spec) for m in c["volumeMounts"] if m["name"] in ("policy", "keys", "tls")]
        assert mounts
        assert not any("subPath" in mount for mount in mounts)


def test_only_what_envoy_reads_at_its_start_replaces_the_pods() -> None:
    def template_of(*settings: str) -> dict[str, Any]:
        spec: dict[str, Any] = one("Deployment", manifests(EXAMPLES[0], settings=settings))["spec"]["template"]
        return spec

    before = template_of()
    assert template_of("policy.models.extra.provider=openai", "policy.gateway.max_attempts=2") == before
    assert template_of("policy.gateway.admission_limit=64") != before
    assert template_of("policy.gateway.mode=cluster_header") != before


def test_the_network_lets_out_to_the_policys_servers_and_nowhere_else() -> None:
    everything = [path for path in CASES if path.stem == "everything"]
    egress = one("NetworkPolicy", manifests(*everything))["spec"]["egress"]
    dns, *servers = egress
    assert {each["port"] for each in dns["ports"]} == {53}
    blocks = [peer["ipBlock"]["cidr"] for rule in servers for peer in rule["to"] if "ipBlock" in peer]
    assert blocks == ["10.9.8.7/32", "0.0.0.0/0", "::/0", "10.1.0.0/16"]
    (public,) = (rule for rule in servers if any("0.0.0.0/0" in str(peer) for peer in rule["to"]))
    assert "169.254.0.0/16" in public["to"][0]["ipBlock"]["except"]
    assert [port["port"] for port in public["ports"]] == [443]
    named = [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
             for rule in servers for peer in rule["to"] if "namespaceSelector" in peer]  # fmt: skip
    assert named == ["data", "llm"]


def test_a_site_without_a_cloud_has_no_way_out() -> None:
    (regulated,) = (path for path in EXAMPLES if path.stem == "regulated")
    egress = one("NetworkPolicy", manifests(regulated))["spec"]["egress"]
    assert not any("ipBlock" in peer for rule in egress for peer in rule.get("to", []))


def test_cilium_names_the_servers_themselves() -> None:
    (hybrid,) = (path for path in EXAMPLES if path.stem == "hybrid")
    rendered = manifests(hybrid, settings=("networkPolicy.flavor=cilium", "networkPolicy.monitoring=null"))
    egress = one("CiliumNetworkPolicy", rendered)["spec"]["egress"]
    assert {"matchName": "api.openai.com"} in [name for rule in egress for name in rule.get("toFQDNs", [])]
    assert not any(each["kind"] == "NetworkPolicy" for each in rendered)


def test_the_notes_show_a_first_request_and_warn_of_what_is_risky(tmp_path: Path) -> None:
    done = helm("install", "gw", str(CHART), "--dry-run=client", "--set", "existingSecret=llm-keys")
    assert done.returncode == 0, done.stderr
    assert "curl -si http://127.0.0.1:10000/v1/chat/completions" in done.stdout
    assert "WARNING" not in done.stdout
    (agents,) = (path for path in EXAMPLES if path.stem == "agents")
    done = helm(
        "install", "gw", str(CHART), "--dry-run=client", "-f", str(agents),
        "--set", "redis.url=,redis.existingSecret=,withoutSharedState=warn",
    )  # fmt: skip
    assert "WARNING: up to 3 pods, and each keeps routers.coding.affinity, routers.coding.budget" in done.stdout
