"""What a cluster's admission would ask of the pods, and where keys are never found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .golden import INPUTS
from .helm import containers, manifests, pod_specs

ALL = pytest.mark.parametrize("name", INPUTS)


@ALL
def test_every_container_keeps_to_the_restricted_profile(name: str) -> None:
    for pod, spec in pod_specs(manifests(*INPUTS[name])):
        assert spec["securityContext"]["runAsNonRoot"] is True, pod
        assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert not any(spec.get(shared) for shared in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"))
        assert not any("hostPath" in volume for volume in spec.get("volumes", []))
        for container in containers(spec):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, container["name"]
            assert own["readOnlyRootFilesystem"] is True
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]


@ALL
def test_no_pod_can_speak_to_the_kubernetes_api(name: str) -> None:
    rendered = manifests(*INPUTS[name])
    assert all(spec["automountServiceAccountToken"] is False for _, spec in pod_specs(rendered))
    assert all(each["automountServiceAccountToken"] is False for each in rendered if each["kind"] == "ServiceAccount")
    assert not any("Role" in each["kind"] for each in rendered)


@ALL
def test_keys_are_files_of_secrets_and_nowhere_else(name: str) -> None:
    for each in manifests(*INPUTS[name]):
        if each["kind"] != "Secret":
            assert "sk-" not in json.dumps(each).replace("task-", "").replace("risk-", "")
    for _, spec in pod_specs(manifests(*INPUTS[name])):
        for container in containers(spec):
            assert "envFrom" not in container
            assert not [env for env in container.get("env", []) if "secretKeyRef" in env.get("valueFrom", {})]


@ALL
def test_what_is_mounted_can_be_written_only_where_it_has_to_be(name: str) -> None:
    _, spec = next(pod_specs(manifests(*INPUTS[name])))
    for container in containers(spec):
        writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert writable <= {"/run/signalbox", "/tmp", "/bundle-target"}, container["name"]


def referenced(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name == key and isinstance(each, str):
                yield each
            yield from referenced(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from referenced(each, key)


@ALL
def test_every_volume_and_every_port_that_is_named_exists(name: str) -> None:
    rendered = manifests(*INPUTS[name])
    _, spec = next(pod_specs(rendered))
    volumes = {volume["name"] for volume in spec["volumes"]}
    mounted = {mount["name"] for container in containers(spec) for mount in container["volumeMounts"]}
    assert mounted == volumes
    ports = {
        port["name"]: port["containerPort"] for container in containers(spec) for port in container.get("ports", [])
    }
    for each in rendered:
        if each["kind"] == "Service":
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= set(ports)
        if each["kind"] in ("PodMonitor", "ServiceMonitor"):
            assert set(referenced(each["spec"], "port")) <= set(ports)


@ALL
def test_a_pod_waits_long_enough_for_its_drain(name: str) -> None:
    _, spec = next(pod_specs(manifests(*INPUTS[name])))
    sidecar = next(each for each in spec["initContainers"] if each["name"] == "sidecar")
    command = sidecar["lifecycle"]["preStop"]["exec"]["command"]
    (seconds,) = (int(word.partition("=")[2]) for word in command if word.startswith("--seconds="))
    assert spec["terminationGracePeriodSeconds"] >= seconds + 20
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["livenessProbe"]["terminationGracePeriodSeconds"] < 60
