"""Laws of every rendered configuration, whatever the policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.envoy.bootstrap import bootstrap
from signalbox.envoy.clusters import clusters as provider_clusters
from signalbox.envoy.listener import listener
from signalbox.envoy.render import Layout, Rendered, render
from signalbox.envoy.routes import route_configuration
from signalbox.policy.schema import Policy

from .policies import LAYOUT, by_header, document, policy

NEVER = {"hedge_policy", "disable_immediate_response", "failure_mode_allow_header_add", "allow_mode_override"}


def nodes(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (key, value) of a document, at any depth."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key, each
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def test_envoy_refuses_requests_before_its_containers_memory_is_used_up() -> None:
    limit = 512 * 1024**2
    [heap] = [
        monitor["typed_config"]["max_heap_size_bytes"]
        for monitor in bootstrap(policy(), Layout.within(Path("/run"), 2, limit))["overload_manager"][
            "resource_monitors"
        ]
        if monitor["name"].endswith("fixed_heap")
    ]
    assert 0.7 * limit < heap < 0.9 * limit
    assert Layout.within(Path("/run"), 2, None) == Layout(run_dir=Path("/run"), workers=2)


def test_a_key_that_came_late_is_named_anew_and_only_that_changes() -> None:
    file = next(provider.key.file for provider in policy().providers.values() if provider.key)
    before, after = render(policy(), LAYOUT), render(policy(), LAYOUT, anew=frozenset({file}))
    changed = {name for name in before.files if before.files[name] != after.files[name]}
    assert len(changed) == 1
    assert all(name.startswith("secrets/") for name in changed)
    folder, _, name = file.rpartition("/")
    assert f"{folder}/./{name}" in after.files[changed.pop()]
    assert before.versions == after.versions


def document_of(rendered: Rendered, name: str) -> Any:
    return yaml.load(rendered.files[name], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def clusters(rendered: Rendered) -> dict[str, Any]:
    return {cluster["name"]: cluster for cluster in document_of(rendered, "cds.yaml")["resources"]}


def route_names(rendered: Rendered) -> set[str]:
    (routes,) = document_of(rendered, "rds.yaml")["resources"]
    return {route["name"] for route in routes["virtual_hosts"][0]["routes"]}


def upstream_filters(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    (options,) = cluster["typed_extension_protocol_options"].values()
    return options["http_filters"]


provider_names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True).filter(
    lambda name: not name.startswith("signalbox-")
)
model_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,30}", fullmatch=True)
header_names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
header_values = st.from_regex(r"[\x21-\x7e][\x20-\x7e]{0,20}", fullmatch=True)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Small policies with odd but legal names, in either mode."""
    names = draw(st.lists(provider_names, min_size=1, max_size=4, unique=True))
    providers = {
        name: {
            "endpoint": draw(st.sampled_from(["https://a.example/v1", "http://10.1.2.3:8080", "https://[::1]:8443/x"])),
            "location": draw(st.sampled_from(["cloud", "local"])),
            "key": draw(st.sampled_from([None, {"file": f"/keys/{name}"}])),
            "headers": draw(st.dictionaries(header_names, header_values, max_size=2)),
        }
        for name in names
    }
    models = draw(
        st.dictionaries(
            model_names, st.fixed_dictionaries({"provider": st.sampled_from(names)}), min_size=1, max_size=4
        )
    )
    gateway = {
        "mode": draw(st.sampled_from(["priority_group", "cluster_header"])),
        "max_attempts": draw(st.integers(1, 8)),
    }
    private = draw(st.dictionaries(header_names, header_values, max_size=2))
    privacy = {"local_only": {"headers": private}} if private else None
    return Policy.model_validate(
        {"version": 1, "gateway": gateway, "providers": providers, "models": models, "privacy": privacy}
    )


@settings(max_examples=25, deadline=None)
@given(policies())
def test_no_policy_makes_a_setting_that_would_open_a_door(policy: Policy) -> None:
    resources = [*provider_clusters(policy, LAYOUT), route_configuration(policy), listener(policy, LAYOUT)]
    for key, value in nodes(resources):
        assert key not in NEVER
        assert (key, value) != ("failure_mode_allow", True)
        if isinstance(value, str):
            assert value not in ("FULL_DUPLEX_STREAMED", "BUFFERED_PARTIAL", "STREAMED")


@settings(max_examples=25, deadline=None)
@given(policies())
def test_every_cloud_cluster_denies_local_only_before_anything_else(policy: Policy) -> None:
    for cluster in provider_clusters(policy, LAYOUT):
        first = upstream_filters(cluster)[0]["name"]
        assert (first == "envoy.filters.http.upstream_rbac") == (not policy.providers[cluster["name"]].is_local)


@settings(max_examples=10, deadline=None)
@given(policies())
def test_what_was_rendered_is_what_yaml_reads_back_and_each_text_stays_text(policy: Policy) -> None:
    rendered = render(policy, LAYOUT)
    assert set(clusters(rendered)) == set(policy.providers)
    for cluster in clusters(rendered).values():
        headers = next(f for f in upstream_filters(cluster) if f["name"] == "envoy.filters.http.header_mutation")
        own = {
            m["append"]["header"]["key"]: m["append"]["header"]["value"].replace("%%", "%")
            for m in headers["typed_config"]["mutations"]["request_mutations"]
            if "append" in m
        }
        assert own == policy.providers[cluster["name"]].headers


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert render(policy(), LAYOUT) == render(policy(), LAYOUT)


def test_versions_are_those_in_the_files_and_change_with_their_content_only() -> None:
    rendered, other = (
        render(policy(), LAYOUT),
        render(policy(models={"gpt-5": {"provider": "openai"}}, aliases={}, routers={}, default_router=None), LAYOUT),
    )
    for service, version in rendered.versions.items():
        assert document_of(rendered, f"{service}.yaml")["version_info"] == version
    assert rendered.versions["cds"] != other.versions["cds"]  # x-team is no privacy header any more
    assert rendered.versions["rds"] != other.versions["rds"]
    assert render(policy(), LAYOUT).versions == rendered.versions


def test_a_change_of_models_leaves_listener_and_clusters_alone() -> None:
    changed = document()
    changed["models"]["gpt-5-nano"] = {"provider": "openai"}
    before, after = render(policy(), LAYOUT).versions, render(Policy.model_validate(changed), LAYOUT).versions
    assert (after["cds"], after["lds"]) == (before["cds"], before["lds"])
    assert after["rds"] != before["rds"]


def test_no_file_holds_a_key_and_only_secrets_name_where_keys_are(tmp_path: Path) -> None:
    key = tmp_path / "openai"
    key.write_text("sk-very-secret\n")
    changed = document()
    changed["providers"]["openai"]["key"]["file"] = str(key)
    rendered = render(Policy.model_validate(changed), LAYOUT)
    assert not any("sk-very-secret" in text for text in rendered.files.values())
    assert [name for name, text in rendered.files.items() if str(key) in text] == ["secrets/openai.yaml"]


def test_a_provider_called_gateway_does_not_share_the_gateways_secret() -> None:
    changed = document(gateway={"tls": {"certificate": "/tls/crt", "private_key": "/tls/key"}})
    changed["providers"]["gateway"] = {"endpoint": "https://a.example", "key": {"file": "/keys/gateway"}}
    files = render(Policy.model_validate(changed), LAYOUT).files
    assert "/keys/gateway" in files["secrets/gateway.yaml"]
    assert "/tls/key" in files["secrets/gateway.tls.yaml"]


def test_while_the_old_policy_is_kept_its_clusters_groups_and_secrets_stay() -> None:
    new = policy(
        providers={"openai": {"endpoint": "https://other.example/v1"}},
        models={"gpt-5-mini": {"provider": "openai"}}, routers={}, default_router=None, gateway={"max_attempts": 1},
    )  # fmt: skip
    alone, together = render(new, LAYOUT), render(new, LAYOUT, keep=policy())
    assert set(clusters(alone)) == {"openai"}
    assert set(clusters(together)) == {"openai", "claude", "vllm"}
    assert {"secrets/claude.yaml"} <= set(together.files)
    assert "chat_completions-chain-3" in route_names(together)
    assert "chat_completions-chain-2" not in route_names(alone)
    assert "other.example" in json.dumps(clusters(together)["openai"])  # the new policy says what openai is


def test_a_privacy_header_of_either_policy_holds_while_both_are_in_use() -> None:
    new = policy(privacy={"local_only": {"headers": {"x-new": "yes"}}})
    together = render(new, LAYOUT, keep=policy())
    guard = json.dumps(upstream_filters(clusters(together)["openai"])[0])
    assert "x-new" in guard
    assert "x-data-class" in guard


def test_paths_below_a_relative_run_directory_keep_the_slash_that_envoy_needs_to_watch_them() -> None:
    made = document_of(render(policy(), replace(LAYOUT, run_dir=Path("."))), "bootstrap.yaml")
    assert made["dynamic_resources"]["lds_config"]["path_config_source"]["path"] == "./lds.yaml"


def test_the_admission_limit_is_the_worker_clusters_breaker_and_each_worker_an_endpoint() -> None:
    made = bootstrap(policy(gateway={"admission_limit": 77}), Layout(Path("/r"), workers=3))
    workers = next(c for c in made["static_resources"]["clusters"] if c["name"] == "signalbox-workers")
    assert workers["circuit_breakers"]["thresholds"][0]["max_requests"] == 77
    endpoints = workers["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [e["endpoint"]["address"]["pipe"]["path"] for e in endpoints] == [f"/r/worker-{n}.sock" for n in range(3)]


def test_the_admin_interface_is_a_socket_only_its_owner_can_open() -> None:
    made = bootstrap(by_header(), LAYOUT)
    assert made["admin"] == {"address": {"pipe": {"path": "/run/signalbox/admin.sock", "mode": 0o600}}}
