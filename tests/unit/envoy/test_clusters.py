"""Provider clusters and what they do to a request."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.envoy.clusters import clusters
from signalbox.envoy.upstream import lua_string
from signalbox.policy.schema import Policy

from .policies import LAYOUT, by_header, document, policy


def cluster(name: str, chosen: Policy | None = None) -> dict[str, Any]:
    return next(each for each in clusters(chosen or policy(), LAYOUT) if each["name"] == name)


def with_provider(**fields: Any) -> dict[str, Any]:
    return cluster("p", policy(**{**document(), "providers": {**document()["providers"], "p": fields}}))


def filters(each: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (options,) = each["typed_extension_protocol_options"].values()
    return {f["name"].removeprefix("envoy.filters.http."): f["typed_config"] for f in options["http_filters"]}


def validation(each: dict[str, Any]) -> dict[str, Any]:
    return each["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]


def removed(each: dict[str, Any]) -> set[str]:
    mutations = filters(each)["header_mutation"]["mutations"]["request_mutations"]
    return {m["remove"] for m in mutations if "remove" in m}


def test_the_key_is_attached_last_after_everything_that_can_refuse() -> None:
    assert list(filters(cluster("openai"))) == [
        "upstream_rbac", "lua", "header_mutation", "credential_injector", "upstream_codec",
    ]  # fmt: skip


def test_a_local_cluster_without_a_key_has_neither_guard_nor_injector() -> None:
    assert list(filters(cluster("vllm"))) == ["lua", "header_mutation", "upstream_codec"]


def test_a_name_is_looked_up_and_an_address_is_not() -> None:
    assert cluster("openai")["cluster_type"]["name"] == "envoy.cluster.dns"
    assert cluster("vllm")["type"] == "STATIC"
    assert with_provider(endpoint="http://[2001:db8::1]:8000/v1")["type"] == "STATIC"


def test_tls_checks_authority_and_name_and_sends_the_name() -> None:
    assert cluster("openai")["transport_socket"]["typed_config"]["sni"] == "api.openai.com"
    assert validation(cluster("openai")) == {
        "trusted_ca": {"filename": LAYOUT.ca_file},
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "api.openai.com"}}],
    }


def test_an_address_is_checked_as_an_address_and_is_no_server_name() -> None:
    each = with_provider(endpoint="https://[2001:db8::1]/v1", ca_file="/ca.pem")
    assert validation(each)["match_typed_subject_alt_names"] == [
        {"san_type": "IP_ADDRESS", "matcher": {"exact": "2001:db8::1"}}
    ]
    assert validation(each)["trusted_ca"] == {"filename": "/ca.pem"}
    assert "sni" not in each["transport_socket"]["typed_config"]


def test_the_policys_name_for_a_certificate_wins_over_the_host() -> None:
    each = with_provider(endpoint="https://10.0.0.1/v1", sni="models.corp.example")
    assert each["transport_socket"]["typed_config"]["sni"] == "models.corp.example"
    assert validation(each)["match_typed_subject_alt_names"][0]["san_type"] == "DNS"


def test_plain_http_is_http_1_and_tls_negotiates() -> None:
    (plain,) = cluster("vllm")["typed_extension_protocol_options"].values()
    (tls,) = cluster("openai")["typed_extension_protocol_options"].values()
    assert plain["explicit_http_config"] == {"http_protocol_options": {}}
    assert "http2_protocol_options" in tls["auto_config"]


def test_a_single_address_can_never_be_ejected() -> None:
    for each in clusters(policy(), LAYOUT):
        assert each["outlier_detection"]["max_ejection_percent"] < 100
        assert each["outlier_detection"].get("always_eject_one_host", False) is False
        assert each["outlier_detection"]["enforcing_consecutive_5xx"] == 0


def test_an_outage_does_not_throttle_its_own_fallback() -> None:
    (threshold,) = cluster("openai")["circuit_breakers"]["thresholds"]
    assert threshold["retry_budget"]["budget_percent"]["value"] == 100
    assert threshold["retry_budget"]["min_retry_concurrency"] >= 100


def test_a_health_check_also_runs_at_its_interval_before_the_first_request() -> None:
    (check,) = cluster("vllm")["health_checks"]
    assert (check["interval"], check["no_traffic_interval"]) == ("3s", "3s")
    assert check["http_health_check"] == {"host": "10.0.0.7:8000", "path": "/health"}
    assert "health_checks" not in cluster("openai")


def test_the_clients_credentials_stop_at_every_cluster() -> None:
    for each in clusters(policy(), LAYOUT):
        assert {"authorization", "x-api-key", "api-key", "proxy-authorization", "cookie"} <= removed(each)


def test_headers_that_one_provider_sets_are_removed_at_all_others() -> None:
    """Envoy keeps the headers of one attempt for the next."""
    for name in ("openai", "vllm"):
        assert {"anthropic-version", "x-note"} <= removed(cluster(name))


def test_a_key_header_of_one_provider_is_removed_at_all_others() -> None:
    special = document()
    special["providers"]["openai"]["key"]["header"] = "x-goog-api-key"
    assert "x-goog-api-key" in removed(cluster("vllm", Policy.model_validate(special)))


def test_privacy_headers_go_and_other_headers_of_the_policy_stay() -> None:
    assert {"x-data-class", "x-team", "x-model-affinity"} <= removed(cluster("openai"))
    assert "x-tier" not in removed(cluster("openai"))


def test_a_percent_sign_in_a_header_is_no_command_to_envoy() -> None:
    mutations = filters(cluster("claude"))["header_mutation"]["mutations"]["request_mutations"]
    assert {"key": "x-note", "value": "50%%off"} in [m["append"]["header"] for m in mutations if "append" in m]


def test_the_key_goes_into_the_header_of_the_providers_dialect() -> None:
    generic = filters(cluster("claude"))["credential_injector"]["credential"]["typed_config"]
    assert (generic["header"], generic["header_value_prefix"]) == ("x-api-key", "")
    generic = filters(cluster("openai"))["credential_injector"]["credential"]["typed_config"]
    assert (generic["header"], generic["header_value_prefix"]) == ("authorization", "Bearer ")


def test_a_cluster_knows_who_it_is_and_the_paths_it_serves() -> None:
    assert filters(cluster("claude"))["lua"]["filter_context"] == {
        "provider": "claude",
        "authority": "api.anthropic.com",
        "paths": {"messages": "/v1/messages"},
    }


def test_in_header_mode_the_cluster_says_who_it_is_in_the_script_itself() -> None:
    lua = filters(cluster("claude", by_header()))["lua"]
    assert "filter_context" not in lua  # Envoy 1.39 has none
    assert lua["default_source_code"]["inline_string"].startswith(
        'local PROVIDER, AUTHORITY = "claude", "api.anthropic.com"\nlocal PATHS = {messages = "/v1/messages"}\n'
    )


@pytest.mark.parametrize(
    ("text", "literal"),
    [("api.a.example:8443", '"api.a.example:8443"'), ('a"]]\n', '"a\\034]]\\010"'), ("é%", '"\\195\\169\\037"')],
)
def test_no_text_can_end_its_lua_literal(text: str, literal: str) -> None:
    assert lua_string(text) == literal
