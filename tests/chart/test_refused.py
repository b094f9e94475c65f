"""Values that the chart refuses, each with the words that say why."""

from __future__ import annotations

from pathlib import Path

import pytest

from .helm import CHART, EXAMPLES, refusal, template

BY_NAME = {path.stem: path for path in EXAMPLES}

REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "an unknown value": (("replicas=3",), "additional properties 'replicas' not allowed"),
    "an unknown value further down": (("envoy.imag.tag=v1.40.0",), "'imag' not allowed"),
    "a password in Redis' URL": (("redis.url=redis://user:secret@redis:6379",), "at '/redis/url'"),
    "a moving tag": (("image.tag=latest",), "at '/image/tag'"),
    "an Envoy that is too old": (("envoy.image.tag=v1.39.2",), "needs 1.40.0 or newer"),
    "an Envoy that is too old for any mode": (
        ("envoy.image.tag=v1.38.1", "policy.gateway.mode=cluster_header"), "needs 1.39.0 or newer",
    ),
    "an Envoy nobody knows the version of": (("envoy.image.tag=ours",), "Set envoy.version"),
    "Envoy without a limit on memory": (("envoy.resources.limits=null",), "missing property 'limits'"),
    "root": (("podSecurityContext.runAsUser=0",), "at '/podSecurityContext/runAsUser'"),
    "a writable root file system": (("securityContext.readOnlyRootFilesystem=false",), "readOnlyRootFilesystem"),
    "capabilities": (("securityContext.capabilities.add={NET_ADMIN}",), "capabilities/add"),
    "a key in the environment": (("extraEnv[0].name=OPENAI_API_KEY", "extraEnv[0].value=sk-1"), "/extraEnv/0/name"),
    "keys in two places": (("keys.openai=sk-1", "existingSecret=keys"), "keys: given together with existingSecret"),
    "a mount over the policy": (
        ("extraVolumeMounts[0].name=x", "extraVolumeMounts[0].mountPath=/etc/signalbox/policy"), "mountPath",
    ),
    "a budget that no node could be emptied under": (("podDisruptionBudget.maxUnavailable=0",), "maxUnavailable"),
    "an autoscaler without a metric": (
        ("autoscaling.enabled=true", "autoscaling.targetCPUUtilizationPercentage=0"), "without a metric",
    ),
    "an autoscaler upside down": (("autoscaling.enabled=true", "autoscaling.minReplicas=99"), "minReplicas is 99"),
    "a share of nothing": (("autoscaling.enabled=true", "envoy.resources.requests=null"), "resources.requests.cpu"),
    "scraped twice": (("metrics.podMonitor.enabled=true", "metrics.serviceMonitor.enabled=true"), "scraped twice"),
    "a node port of a service without one": (("service.nodePort=30000",), "at '/service"),
    "an ingress for nobody": (("ingress.enabled=true",), "Set ingress.host"),
    "no way out": (("existingConfigMap=mine", "networkPolicy.enabled=true"), "networkPolicy.extraEgress"),
    "a bundle from two places": (
        ("bundles.a.pvc.claimName=x", "bundles.a.image.reference=b:1"), "oneOf",
    ),
    "a download without a hash": (("bundles.a.download.url=https://x",), "sha256"),
    "a policy that is none": (("policy=just words",), "no YAML mapping"),
    "half a policy": (("policy.version=1",), "found no providers"),
    "a gateway with TLS and no certificate": (
        ("policy.version=1", "policy.providers.a.endpoint=http://a/v1", "policy.gateway.tls.certificate=/x"),
        "Set tls.existingSecret",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_unsafe_values_are_refused_with_a_reason(settings: tuple[str, ...], words: str) -> None:
    values = [BY_NAME["laptop"]] if any("gateway.mode" in each for each in settings) else []
    assert words in refusal(*values, settings=settings)


@pytest.mark.parametrize("part", ["affinity", "budget", "rollout"])
def test_pods_that_would_each_keep_their_own_state_are_refused_unless_that_is_meant(tmp_path: Path, part: str) -> None:
    text = (CHART / "files" / "policy.yaml").read_text()
    section = {
        "affinity": "    affinity: {mode: strict}",
        "budget": "    budget: {usd_per_day: 5}",
        "rollout": "    rollout: {percent: 10, otherwise: gpt-5}",
    }[part]
    values = tmp_path / "values.yaml"
    policy = text.replace("    default_task: simple", f"    default_task: simple\n{section}")
    values.write_text("policy: |\n" + "".join(f"  {line}\n" for line in policy.splitlines()))
    said = refusal(values)
    assert f"routers.everyday.{part}" in said
    assert "Set redis.url" in said
    for setting in ("redis.url=redis://redis:6379", "withoutSharedState=warn", "replicaCount=1"):
        template(values, settings=(setting,))


def test_a_kubernetes_without_native_sidecars_is_refused() -> None:
    assert "kubeVersion" in refusal(version="1.28.9")
    template(version="1.29.0")


def test_an_envoy_that_the_other_mode_can_use_is_taken() -> None:
    settings = ("envoy.image.tag=v1.39.0", "policy.gateway.mode=cluster_header")
    assert "envoy:v1.39.0" in template(BY_NAME["laptop"], settings=settings)
