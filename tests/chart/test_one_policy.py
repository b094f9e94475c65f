"""One policy, three readers: what the chart mounts passes `signalbox check`, is rendered, and Envoy takes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from signalbox.envoy.binary import find_envoy
from signalbox.envoy.files import write
from signalbox.envoy.render import Layout, render
from signalbox.policy.load import load_policy
from signalbox.policy.problems import check_file
from signalbox.prices.resolve import resolve
from tests.dataplane.certificates import Authority

from .golden import INPUTS
from .helm import Manifest, containers, manifests, pod_specs, policy_of


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def mounted(rendered: tuple[Manifest, ...], folder: Path, authority: Authority) -> Path:
    """The policy as a pod would read it, with every file that it names; those of /etc/signalbox are below `folder`."""
    for directory in ("keys", "tls", "ca", "redis"):
        (folder / directory).mkdir()
    for name in ("openai", "anthropic"):
        (folder / "keys" / name).write_text("sk-test")
    for name in ("password", "redis-password"):
        (folder / "redis" / name).write_text("secret")
    pair = authority.sign("gateway.example")
    (folder / "tls" / "tls.crt").write_bytes(pair.certificate.read_bytes())
    (folder / "tls" / "tls.key").write_bytes(pair.private_key.read_bytes())
    (folder / "ca" / "internal.pem").write_bytes(authority.file.read_bytes())
    policy = folder / "policy.yaml"
    policy.write_text(policy_of(rendered).replace("/etc/signalbox", str(folder)))
    return policy


@pytest.mark.parametrize("name", INPUTS)
def test_check_has_nothing_to_say_about_any_example(name: str, tmp_path: Path, authority: Authority) -> None:
    report = check_file(mounted(manifests(*INPUTS[name]), tmp_path, authority), strict=True, priced=resolve)
    assert report.exit_status == 0, report.text


@pytest.mark.parametrize("name", INPUTS)
def test_every_file_that_a_policy_names_is_mounted_where_it_is_read(name: str) -> None:
    rendered = manifests(*INPUTS[name])
    _, spec = next(pod_specs(rendered))
    by_name = {each["name"]: [mount["mountPath"] for mount in each["volumeMounts"]] for each in containers(spec)}
    text = policy_of(rendered)
    for directory in ("keys", "tls", "ca"):
        if f"/etc/signalbox/{directory}/" in text:
            assert f"/etc/signalbox/{directory}" in by_name["sidecar"]
            assert f"/etc/signalbox/{directory}" in by_name["envoy"]
    if "/etc/signalbox/redis/" in text:
        assert "/etc/signalbox/redis" in by_name["sidecar"]
        assert "/etc/signalbox/redis" not in by_name["envoy"]


@pytest.mark.dataplane
@pytest.mark.parametrize("name", INPUTS)
def test_envoy_takes_what_is_rendered_of_every_example(name: str, tmp_path: Path, authority: Authority) -> None:
    loaded = load_policy(mounted(manifests(*INPUTS[name]), tmp_path, authority))
    out = tmp_path / "out"
    write(render(loaded.policy, Layout(run_dir=out, workers=2)), out)
    done = subprocess.run(
        [str(find_envoy()), "--mode", "validate", "--config-path", str(out / "bootstrap.yaml"), "--log-level", "error"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for resource in ("lds.yaml", "rds.yaml", "cds.yaml"):
        assert (out / resource).stat().st_size
