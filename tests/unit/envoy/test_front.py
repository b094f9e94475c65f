"""Workers and collector at an address, for an Envoy elsewhere; and that Envoy's files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml

from signalbox.envoy.render import render

from .policies import LAYOUT, policy


def resources(files: dict[str, str] | Any, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(files[name])["resources"]
    return found


def test_a_front_knows_the_sidecars_services_and_no_provider() -> None:
    files = render(policy(), replace(LAYOUT, front=True)).files
    assert resources(files, "cds.yaml") == []
    (routes,) = resources(files, "rds.yaml")
    (host,) = routes["virtual_hosts"]
    assert {route["route"]["cluster"] for route in host["routes"]} == {"signalbox-workers", "signalbox-collector"}
    assert all("grpc" in route["match"] for route in host["routes"])
    (listener,) = resources(files, "lds.yaml")
    (chain,) = listener["filter_chains"]
    filters = [each["name"].rpartition(".")[2] for each in chain["filters"][0]["typed_config"]["http_filters"]]
    assert filters == ["health_check", "health_check", "router"]
    assert "transport_socket" not in chain


def test_an_envoy_elsewhere_differs_only_in_where_the_sidecars_are() -> None:
    here, there = (
        render(policy(), LAYOUT).files,
        render(policy(), replace(LAYOUT, sidecars=("box.llm.svc", 9000))).files,
    )
    assert {name for name in here if here[name] != there[name]} == {"bootstrap.yaml"}
    clusters = {each["name"]: each for each in yaml.safe_load(there["bootstrap.yaml"])["static_resources"]["clusters"]}
    for name in ("signalbox-workers", "signalbox-collector"):
        assert clusters[name]["type"] == "STRICT_DNS"
        assert "box.llm.svc" in str(clusters[name]["load_assignment"])
        assert "pipe" not in str(clusters[name])
    assert clusters["signalbox-workers"]["health_checks"]
