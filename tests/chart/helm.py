"""Helm, and what it makes of the chart."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "signalbox"
EXAMPLES = sorted((ROOT / "helm" / "examples").glob("*.yaml"))
CASES = sorted(Path(__file__).parent.glob("cases/*.yaml"))
RELEASE, NAMESPACE = "gw", "llm"
VARIABLE = "SIGNALBOX_HELM"

Manifest = dict[str, Any]


def find_helm() -> str | None:
    """Path of Helm: $SIGNALBOX_HELM, `make tools`, or PATH; None without one."""
    named = os.environ.get(VARIABLE)
    here = ROOT / ".venv" / "tools" / "helm"
    return named or (str(here) if here.exists() else shutil.which("helm"))


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Helm with nothing of this user's configuration."""
    binary = find_helm()
    assert binary is not None
    quiet = {key: value for key, value in os.environ.items() if not key.startswith("HELM_")} | {
        "KUBECONFIG": "/dev/null"
    }
    return subprocess.run([binary, *words], capture_output=True, text=True, timeout=60, env=quiet, check=False)


def template(*values: Path, settings: tuple[str, ...] = (), version: str = "1.34.0") -> str:
    """All manifests of the chart as text. Raises AssertionError with Helm's own words when it refuses."""
    done = helm(*_words(values, settings, version))
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(*values: Path, settings: tuple[str, ...] = (), version: str = "1.34.0") -> str:
    """What Helm says when it refuses these values. Raises AssertionError when it does not."""
    done = helm(*_words(values, settings, version))
    assert done.returncode != 0, "these values were not refused"
    return done.stderr


def _words(values: tuple[Path, ...], settings: tuple[str, ...], version: str) -> list[str]:
    words = ["template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", version]
    words += [word for path in values for word in ("--values", str(path))]
    return words + [word for setting in settings for word in ("--set", setting)]


@functools.cache
def manifests(*values: Path, settings: tuple[str, ...] = ()) -> tuple[Manifest, ...]:
    """All manifests of the chart, parsed."""
    return tuple(each for each in yaml.safe_load_all(template(*values, settings=settings)) if each)


def one(kind: str, rendered: tuple[Manifest, ...], name: str = "") -> Manifest:
    """The only manifest of a kind, or the one whose name ends so."""
    (found,) = (each for each in rendered if each["kind"] == kind and each["metadata"]["name"].endswith(name))
    return found


def policy_of(rendered: tuple[Manifest, ...]) -> str:
    """The policy as the pod will read it."""
    text: str = one("ConfigMap", rendered, "-policy")["data"]["policy.yaml"]
    return text


def pod_specs(rendered: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    """Name and spec of every pod, the test's own among them."""
    for each in rendered:
        if each["kind"] == "Deployment":
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]
        elif each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]


def containers(spec: Manifest) -> list[Manifest]:
    """All containers of a pod, those that start first among them."""
    return [*spec.get("initContainers", []), *spec["containers"]]
