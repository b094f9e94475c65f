"""Policies that are well-formed and cannot work, or were hardly meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.errors import PolicyError
from signalbox.policy.load import load_text
from signalbox.policy.schema import Policy

from .policies import VALID, changed, errors_of, load, only_error, only_warning


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("(", "missing )"), ("(?=x)", "invalid perl operator"), (r"(a)\1", "invalid escape"), ("a{2000}", "repetition")],
)
def test_a_pattern_re2_refuses_is_an_error_with_its_reason(
    pattern: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    problem = only_error(changed("routers/everyday/rules/0/when/regex", pattern))
    assert reason in problem.found
    assert capfd.readouterr().err == ""


def test_a_pattern_that_matches_everything_is_a_warning() -> None:
    problem = only_warning(changed("routers/everyday/rules/0/when/regex", "(error)*"))
    assert "matches any text" in problem.found


def test_a_blank_keyword_is_an_error() -> None:
    assert only_error(changed("routers/everyday/rules/0/when/keywords", ["x", "  "])).found == "a blank keyword"


def test_a_model_that_no_call_can_reach_is_an_error() -> None:
    problem = only_error(changed("models/large/endpoints", ["messages"]))
    assert problem.path == "models.large.endpoints"
    assert "serves none of messages" in problem.found
    problem = only_error(
        changed("providers/claude", {"endpoint": "http://localhost", "serves": []})
        | {"models": VALID["models"] | {"sonnet": {"provider": "claude"}}}
    )
    assert problem.path == "models.sonnet"


def test_a_call_its_provider_does_not_serve_is_a_warning() -> None:
    problem = only_warning(changed("models/large/endpoints", ["messages", "responses"]))
    assert "does not serve messages" in problem.found


def test_a_model_cannot_fall_back_to_itself() -> None:
    problem = only_error(changed("models/mini/fallback", ["small", "mini"]))
    assert problem.path == "models.mini.fallback[1]"


def test_a_chain_longer_than_the_attempts_is_a_warning_that_names_the_rest() -> None:
    problem = only_warning(changed("gateway/max_attempts", 1) | {"routers": {}, "default_router": None,
        "aliases": {}, "unknown_model": None, "routing_preference": {}})  # fmt: skip
    assert problem.path == "models.mini.fallback"
    assert "small is tried only when" in problem.fix
    paths = {warning.path for warning in load(changed("gateway/max_attempts", 1)).warnings}
    assert "routers.everyday.tasks[0].models" in paths


def test_a_model_that_is_in_a_chain_twice_counts_once() -> None:
    assert load(changed("gateway/max_attempts", 2) | {"models": VALID["models"]}).warnings == ()


def test_fallbacks_in_header_mode_are_one_warning() -> None:
    assert "fallbacks have no effect" in only_warning(changed("gateway/mode", "cluster_header")).found


@pytest.mark.parametrize(("usd", "found"), [(1500, "more than any model"), (0.0000002, "less than any model")])
def test_a_price_in_the_wrong_unit_is_a_warning(usd: float, found: str) -> None:
    problem = only_warning(changed("models/large/price/input", usd))
    assert problem.path == "models.large.price.input"
    assert found in problem.found


def test_a_price_per_token_is_converted_in_the_fix() -> None:
    assert "write 0.15" in only_warning(changed("models/large/price/input", 0.00000015)).fix


def test_cheapest_over_models_without_a_price_is_a_warning() -> None:
    problem = only_warning(changed("routers/everyday/tasks/0/models", ["gpt-4.1", "small"]))
    assert problem.found.endswith("without a price: gpt-4.1")


def test_a_model_that_a_price_list_knows_needs_no_price_for_that() -> None:
    text = yaml.safe_dump(changed("routers/everyday/tasks/0/models", ["gpt-4.1", "small"])).encode()
    assert load_text(text, "policy.yaml", priced=lambda policy: {"gpt-4.1"} & policy.models.keys()).warnings == ()


def test_with_price_lists_on_the_web_nobody_can_say_yet_which_models_have_no_price() -> None:
    source = {"url": "https://models.dev/api.json", "format": "models_dev"}
    policy = changed("routers/everyday/tasks/0/models", ["gpt-4.1", "small"]) | {"prices": {"sources": [source]}}
    assert load(policy).warnings == ()


def test_no_price_list_is_asked_about_names_that_lead_nowhere() -> None:
    asked: list[Policy] = []

    def priced(policy: Policy) -> list[str]:
        asked.append(policy)
        return []

    text = yaml.safe_dump(changed("models/small/provider", "nobody")).encode()
    with pytest.raises(PolicyError):
        load_text(text, "policy.yaml", priced=priced)
    assert asked == []


def test_local_only_without_any_local_model_is_one_warning() -> None:
    problem = only_warning(changed("providers/home/location", "cloud"))
    assert problem.path == "privacy.local_only"
    assert "every local-only request will be refused" in problem.found


def test_a_router_without_a_local_model_is_a_warning_while_requests_may_be_local_only() -> None:
    document = changed("routers/cloud", {"models": ["large"]})
    assert only_warning(document).path == "routers.cloud"
    del document["privacy"]
    assert load(document).warnings == ()
    document["routers"]["cloud"]["privacy"] = {"local_only": {"headers": {"x-class": "a"}}}
    assert only_warning(document).path == "routers.cloud.privacy"


@pytest.mark.parametrize("endpoint", ["http://api.acme.test/v1", "http://10.0.0.8/v1"])
def test_a_key_over_plain_http_to_the_cloud_is_a_warning(endpoint: str) -> None:
    assert "unencrypted" in only_warning(changed("providers/acme/endpoint", endpoint)).found


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8000/v1", "http://[::1]:8000/v1", "http://localhost/v1"])
def test_a_key_over_loopback_is_fine(endpoint: str) -> None:
    assert load(changed("providers/acme/endpoint", endpoint)).warnings == ()


def test_tls_options_without_tls_are_warnings() -> None:
    assert only_warning(changed("providers/home/sni", "home.test")).path == "providers.home.sni"


@pytest.mark.parametrize(
    "header",
    ["authorization", "x-api-key", "cookie", "host", "content-length", "x-envoy-retry-on", "x-signalbox-privacy",
     "x-model-router-selected-route"],
)  # fmt: skip
def test_conditions_on_headers_that_never_arrive_are_errors(header: str) -> None:
    places = ("privacy/local_only/headers", "routers/everyday/rules/1/when/headers")
    for place in places:
        problem = only_error(changed(place, {header: "x"}))
        assert problem.found == f'the header "{header}" can never match'
    own = {"local_only": {"headers": {header: "x"}}}
    assert only_error(changed("routers/everyday/privacy", own)).path.startswith("routers.everyday.privacy")


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "host", "accept-encoding", "x-envoy-max-retries"])
def test_a_provider_cannot_set_headers_that_leak_or_do_nothing(header: str) -> None:
    assert only_error(changed("providers/acme/headers", {header: "x"})).path == f"providers.acme.headers.{header}"


def test_a_key_may_travel_in_a_header_of_its_own_but_not_in_envoys() -> None:
    assert load(changed("providers/acme/key/header", "x-serving-key")).warnings == ()
    assert only_error(changed("providers/acme/key/header", "host")).path == "providers.acme.key.header"


@pytest.mark.parametrize(("option", "value"), [("prefix", "Bearer sk-abcdef123456"), ("header", "sk-abcdef123456")])
def test_a_key_written_beside_its_file_is_an_error_that_does_not_show_it(option: str, value: str) -> None:
    problem = only_error(changed(f"providers/acme/key/{option}", value))
    assert problem.path == f"providers.acme.key.{option}"
    assert "sk-abcdef123456" not in str(problem)


def test_a_prefix_of_ones_own_is_fine() -> None:
    assert load(changed("providers/acme/key/prefix", "Token ")).warnings == ()


def test_a_header_value_that_looks_like_a_key_is_a_warning_that_does_not_show_it() -> None:
    problem = only_warning(changed("providers/acme/headers", {"x-org": "sk-abcdef123456"}))
    assert "sk-abcdef123456" not in str(problem)


def test_a_mistake_in_one_entry_does_not_hide_another_entrys() -> None:
    document = changed("models/large/tools", "maybe")
    document["models"]["mini"]["endpoints"] = ["messages"]
    assert [problem.path for problem in errors_of(document)] == ["models.large.tools", "models.mini.endpoints"]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """A policy whose files are all in order, below `tmp_path`."""
    (tmp_path / "key").write_text("sk-1234567890\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "tls.key").write_text("-----BEGIN EC PRIVATE KEY-----\n")
    document = changed("providers/acme/key/file", str(tmp_path / "key"))
    document["providers"]["acme"]["ca_file"] = str(tmp_path / "ca.pem")
    document["gateway"]["tls"] = {"certificate": str(tmp_path / "ca.pem"), "private_key": str(tmp_path / "tls.key")}
    return document


def file_warnings(document: dict[str, Any]) -> list[str]:
    text = yaml.safe_dump(document).encode()
    assert load_text(text, "policy.yaml").warnings == ()
    return [f"{w.path}: {w.found}" for w in load_text(text, "policy.yaml", check_files=True).warnings]


def test_files_in_order_are_no_warning(files: dict[str, Any]) -> None:
    assert file_warnings(files) == []


@pytest.mark.parametrize(
    ("file", "content", "place", "found"),
    [
        ("key", None, "providers.acme.key.file", "is not there"),
        ("key", "", "providers.acme.key.file", "is empty"),
        ("key", " \n", "providers.acme.key.file", "is empty"),
        ("key", "Bearer sk-1234567890", "providers.acme.key.file", "holds more than a key"),
        ("tls.key", "-----BEGIN CERTIFICATE-----", "gateway.tls.private_key", "holds no PEM private key"),
    ],
)
def test_a_file_that_is_not_in_order_is_a_warning(
    files: dict[str, Any], tmp_path: Path, file: str, content: str | None, place: str, found: str
) -> None:
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    (warning,) = file_warnings(files)
    assert warning.startswith(place)
    assert warning.endswith(found)
    assert "sk-1234567890" not in warning


def test_a_directory_is_no_key_file(files: dict[str, Any], tmp_path: Path) -> None:
    files["providers"]["acme"]["key"]["file"] = str(tmp_path)
    assert file_warnings(files)[0].endswith("is no file")
