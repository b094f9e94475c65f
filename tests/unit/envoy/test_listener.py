"""What a request meets before it is routed."""

from __future__ import annotations

from typing import Any

from signalbox.envoy.listener import listener, request_attributes
from signalbox.policy.schema import Policy

from .policies import LAYOUT, by_header, document, policy


def manager(chosen: Policy) -> dict[str, Any]:
    return listener(chosen, LAYOUT)["filter_chains"][0]["filters"][0]["typed_config"]


def filters(chosen: Policy) -> dict[str, dict[str, Any]]:
    return {f["name"].removeprefix("envoy.filters.http."): f["typed_config"] for f in manager(chosen)["http_filters"]}


def test_the_buffer_follows_ext_proc_so_that_no_cluster_is_chosen_before_the_decision() -> None:
    assert list(filters(policy())) == [
        "health_check",
        "decompressor",
        "ext_proc",
        "buffer",
        "ai_protocol_manager",
        "router",
    ]


def test_in_header_mode_the_buffer_comes_first_and_nothing_newer_than_1_39_is_used() -> None:
    assert list(filters(by_header())) == ["health_check", "decompressor", "buffer", "ext_proc", "router"]


def test_probes_are_answered_first_and_ready_asks_for_a_worker() -> None:
    ready, live = (each["typed_config"] for each in manager(policy())["http_filters"][:2])
    assert [each["headers"][0]["string_match"]["exact"] for each in (ready, live)] == ["/ready", "/live"]
    assert list(ready["cluster_min_healthy_percentages"]) == ["signalbox-workers"]
    assert "cluster_min_healthy_percentages" not in live
    assert not any(each["pass_through_mode"] for each in (ready, live))


def test_one_message_each_way_and_no_header_but_retry_after_in_the_sidecars_reach() -> None:
    ext_proc = filters(policy())["ext_proc"]
    assert ext_proc["processing_mode"]["request_header_mode"] == "SKIP"
    assert ext_proc["processing_mode"]["request_body_mode"] == "BUFFERED"
    assert ext_proc["processing_mode"]["response_header_mode"] == "SKIP"
    assert ext_proc["processing_mode"]["response_body_mode"] == "NONE"
    assert ext_proc["mutation_rules"] == {"disallow_all": True, "allow_expression": {"regex": "retry-after"}}
    assert ext_proc["failure_mode_allow"] is False


def test_in_header_mode_the_sidecar_may_say_where_a_request_goes_and_nothing_else() -> None:
    assert filters(by_header())["ext_proc"]["mutation_rules"] == {
        "disallow_all": True,
        "allow_expression": {"regex": "retry-after|x-signalbox-.*|content-length"},
    }


def test_workers_are_told_the_headers_that_the_policy_looks_at_and_no_other() -> None:
    assert request_attributes(policy()) == [
        "request.id",
        "request.path",
        "request.headers['x-data-class']",
        "request.headers['x-model-affinity']",
        "request.headers['x-team']",
        "request.headers['x-tier']",
    ]


def test_a_rule_on_a_credential_does_not_make_envoy_tell_it() -> None:
    nosy = document()
    nosy["routers"]["everyday"]["rules"][0]["when"]["headers"] = {"authorization": "Bearer x", "cookie": "*"}
    assert not [
        name for name in request_attributes(Policy.model_validate(nosy)) if "authorization" in name or "cookie" in name
    ]


def test_both_policies_headers_are_told_while_both_are_in_use() -> None:
    new = policy(routers={}, default_router=None, privacy=None)
    assert "request.headers['x-tier']" not in request_attributes(new)
    assert "request.headers['x-tier']" in request_attributes(new, policy())


def test_forged_headers_are_forgotten_before_routing() -> None:
    (early,) = manager(policy())["early_header_mutation_extensions"]
    assert early["typed_config"]["mutations"] == [
        {"remove_on_match": {"key_matcher": {"prefix": "x-signalbox-"}}},
        {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}},
        {"remove": "x-model-router-selected-route"},
    ]


def test_the_body_limit_is_the_policys() -> None:
    assert filters(policy(gateway={"max_body_bytes": 4096}))["buffer"]["max_request_bytes"] == 4096


def test_tls_offers_http_2_and_takes_the_certificate_from_a_secret_file() -> None:
    chosen = policy(gateway={"tls": {"certificate": "/tls/crt", "private_key": "/tls/key"}})
    (chain,) = listener(chosen, LAYOUT)["filter_chains"]
    context = chain["transport_socket"]["typed_config"]["common_tls_context"]
    assert context["alpn_protocols"] == ["h2", "http/1.1"]
    (secret,) = context["tls_certificate_sds_secret_configs"]
    assert secret["sds_config"]["path_config_source"]["path"] == "/run/signalbox/secrets/gateway.tls.yaml"
    assert "transport_socket" not in listener(policy(), LAYOUT)["filter_chains"][0]


def test_everywhere_means_ipv4_too() -> None:
    assert listener(policy(gateway={"address": "::"}), LAYOUT)["address"]["socket_address"]["ipv4_compat"] is True
    assert "ipv4_compat" not in listener(policy(gateway={"address": "::1"}), LAYOUT)["address"]["socket_address"]


def test_the_access_log_names_no_request_header_and_goes_to_the_collector() -> None:
    (request,) = manager(policy())["access_log"]
    (attempt,) = filters(policy())["router"]["upstream_log"]
    for log, name in ((request, "request"), (attempt, "attempt")):
        config = log["typed_config"]
        assert config["common_config"]["log_name"] == name
        assert config["common_config"]["grpc_service"]["envoy_grpc"]["cluster_name"] == "signalbox-collector"
        assert "additional_request_headers_to_log" not in config
        assert "retry-after" in config["additional_response_headers_to_log"]
