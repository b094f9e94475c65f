"""Where a decision may go, and what happens without one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from signalbox.envoy.models import model_list
from signalbox.envoy.privacy import in_list
from signalbox.envoy.routes import route_configuration
from signalbox.policy.schema import Policy
from signalbox.types import Endpoint

from .policies import by_header, document, policy


def routes(chosen: Policy) -> list[dict[str, Any]]:
    return route_configuration(chosen)["virtual_hosts"][0]["routes"]


def route(chosen: Policy, name: str) -> dict[str, Any]:
    return next(each for each in routes(chosen) if each["name"] == name)


def groups(each: dict[str, Any]) -> list[tuple[str, str]]:
    specifier = each["route"]["inline_cluster_specifier_plugin"]["extension"]["typed_config"]
    return [(group["name"], group["clusters"][0]["cluster_name"]) for group in specifier["priority_groups"]]


def test_a_route_for_each_chain_length_retries_one_time_less() -> None:
    for tries in (1, 2, 3):
        retry = route(policy(), f"messages-chain-{tries}")["route"]["retry_policy"]
        assert (retry["num_retries"], retry["refresh_cluster_on_retry"]) == (tries - 1, True)
        assert retry["per_try_timeout"] == "7.5s"
    assert "messages-chain-4" not in {each["name"] for each in routes(policy())}


def test_only_429_and_server_faults_are_retried() -> None:
    retry = route(policy(), "chat_completions-chain-2")["route"]["retry_policy"]
    assert retry["retriable_status_codes"] == [429]
    assert "retriable-4xx" not in retry["retry_on"]


def test_decoys_come_first_as_many_as_a_chain_is_long_so_that_no_undeclared_name_lands_on_a_provider() -> None:
    names = groups(route(policy(), "responses-chain-1"))
    assert names[:3] == [(f"_nowhere-{n}", "_nowhere") for n in (1, 2, 3)]
    assert names[3:] == [(name, name) for name in ("openai", "claude", "vllm")]


def test_a_local_decision_meets_local_groups_only() -> None:
    assert groups(route(policy(), "chat_completions-local-2"))[3:] == [("vllm", "vllm")]


def test_without_a_local_provider_a_local_decision_matches_no_route_that_forwards() -> None:
    cloud = document()
    cloud["providers"]["vllm"]["location"] = "cloud"
    forwarding = [each for each in routes(Policy.model_validate(cloud)) if "route" in each]
    wanted = [m for each in forwarding for m in each["match"]["dynamic_metadata"] if m["path"] == [{"key": "privacy"}]]
    assert len(wanted) == len(forwarding)
    assert {m["value"]["string_match"]["exact"] for m in wanted} == {"any"}


@pytest.mark.parametrize("chosen", [policy(), by_header()], ids=["priority_group", "cluster_header"])
def test_a_decision_that_ignores_the_privacy_header_is_stopped_before_any_route_that_forwards(chosen: Policy) -> None:
    for endpoint in Endpoint:
        own = [each for each in routes(chosen) if each["match"].get("path") == endpoint.path]
        assert own[0]["name"] == f"{endpoint}-contradicted"
        assert own[0]["direct_response"]["status"] == 503
        (header,) = own[0]["match"]["headers"]
        assert header["name"] == "x-data-class"


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("restricted", True),
        (" RESTRICTED ", True),
        ("public,restricted", True),
        ("restricted , public", True),
        ("public, Restricted,internal", True),
        ("unrestricted", False),
        ("restricted-ish", False),
        ("", False),
    ],
)
def test_the_privacy_value_is_found_anywhere_in_a_list_whatever_its_case(value: str, holds: bool) -> None:
    assert (re.fullmatch(in_list("restricted"), value) is not None) is holds


def test_characters_of_a_privacy_value_are_not_read_as_a_pattern() -> None:
    assert re.fullmatch(in_list("a.b+(c)"), "A.B+(C)")
    assert not re.fullmatch(in_list("a.b"), "axb")


def test_each_endpoint_ends_in_an_error_when_nothing_was_decided() -> None:
    for endpoint in Endpoint:
        own = [each for each in routes(policy()) if each["match"].get("path") == endpoint.path]
        assert [each["name"] for each in own[-3:]] == [f"{endpoint}-{end}" for end in ("method", "empty", "undecided")]
        assert own[-1]["match"] == {"path": endpoint.path}
        assert own[-1]["direct_response"] == {"status": 503}


def test_every_route_that_forwards_demands_a_decision_for_its_own_endpoint() -> None:
    for chosen in (policy(), by_header()):
        forwarding = [each for each in routes(chosen) if "route" in each]
        assert forwarding
        for each in forwarding:
            wanted = {m["path"][0]["key"]: m["value"] for m in each["match"]["dynamic_metadata"]}
            endpoint = wanted["endpoint"]["string_match"]["exact"]
            assert each["match"]["path"] == Endpoint(endpoint).path


def test_an_unknown_path_is_a_404_that_asks_no_worker() -> None:
    last = routes(policy())[-1]
    assert (last["match"], last["direct_response"]["status"]) == ({"prefix": "/"}, 404)
    assert last["typed_per_filter_config"]["envoy.filters.http.ext_proc"]["disabled"] is True


def test_answers_are_marked_by_the_gateway_and_a_providers_own_marks_removed_first() -> None:
    each = route(policy(), "chat_completions-chain-1")
    added = {header["header"]["key"]: header for header in each["response_headers_to_add"]}
    assert set(added) == set(each["response_headers_to_remove"])
    assert {h["append_action"] for h in added.values()} == {"OVERWRITE_IF_EXISTS_OR_ADD"}
    assert added["x-signalbox-model"]["header"]["value"] == "%DYNAMIC_METADATA(signalbox.attempt:model)%"


def test_token_usage_is_read_in_the_spelling_of_each_api() -> None:
    def protocol(endpoint: str) -> str | None:
        config = route(policy(), f"{endpoint}-chain-1").get("typed_per_filter_config")
        return config and config["envoy.filters.http.ai_protocol_manager"]["response"]["llm_protocol"]

    assert protocol("messages") == "ANTHROPIC_MESSAGES"
    assert protocol("responses") == "OPENAI_RESPONSES"
    assert protocol("chat_completions") is None  # the listener's default


def test_in_header_mode_the_worker_can_name_providers_only_and_a_local_decision_local_ones_only() -> None:
    def allowed(name: str) -> str:
        return route(by_header(), name)["match"]["headers"][0]["string_match"]["safe_regex"]["regex"]

    assert allowed("embeddings-decided") == "openai|claude|vllm"
    assert allowed("embeddings-local") == "vllm"
    each = route(by_header(), "embeddings-decided")["route"]
    assert each["cluster_header"] == "x-signalbox-cluster"
    assert "5xx" not in each["retry_policy"]["retry_on"]


def test_the_model_list_is_openais_and_holds_every_name_a_client_may_use() -> None:
    listed = json.loads(model_list(policy()))
    assert listed["object"] == "list"
    assert [entry["id"] for entry in listed["data"]] == [
        "gpt-5-mini", "claude-large", "meta/llama-3:70b", "house", "router:everyday", "auto",
    ]  # fmt: skip
    assert {frozenset(entry) - {"description"} for entry in listed["data"]} == {
        frozenset({"id", "object", "created", "owned_by"})
    }


@pytest.mark.parametrize("spelled", ["meta/llama-3:70b", "meta%2Fllama-3:70b", "meta%2fllama-3%3A70b"])
def test_one_model_is_found_however_its_name_is_spelled_in_the_url(spelled: str) -> None:
    patterns = [each["match"]["safe_regex"]["regex"] for each in routes(policy()) if "safe_regex" in each["match"]]
    assert sum(re.fullmatch(pattern, f"/v1/models/{spelled}") is not None for pattern in patterns) == 1


def test_the_limit_for_direct_answers_grows_with_the_model_list() -> None:
    many = document(models={f"model-{n}": {"provider": "openai"} for n in range(500)}, aliases={}, routers={})
    many["default_router"] = None
    chosen = Policy.model_validate(many)
    assert route_configuration(chosen)["max_direct_response_body_size_bytes"] == len(model_list(chosen))
