"""Error bodies that SDKs can read, for everything Envoy answers itself."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.envoy.replies import REPLIES, local_reply_config


def conditions(mapper: dict[str, Any]) -> list[dict[str, Any]]:
    found = mapper["filter"]
    return found["and_filter"]["filters"] if "and_filter" in found else [found]


def answer(status: int, path: str, metadata: frozenset[str] = frozenset()) -> tuple[int, dict[str, Any]]:
    """What a client would read: the first mapper that fits, as Envoy chooses it."""

    def holds(condition: dict[str, Any]) -> bool:
        if "status_code_filter" in condition:
            comparison = condition["status_code_filter"]["comparison"]
            wanted = comparison["value"]["default_value"]
            return {"EQ": status == wanted, "GE": status >= wanted, "LE": status <= wanted}[comparison["op"]]
        if "metadata_filter" in condition:
            assert condition["metadata_filter"]["match_if_key_not_found"] is False
            return condition["metadata_filter"]["matcher"]["path"][0]["key"] in metadata
        return path.startswith(condition["header_filter"]["header"]["string_match"]["prefix"])

    for mapper in local_reply_config()["mappers"]:
        if all(holds(condition) for condition in conditions(mapper)):
            return mapper.get("status_code", status), mapper["body_format_override"]["json_format"]
    raise AssertionError(f"nobody answers a {status}")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 413, 415, 426, 429, 431, 500, 501, 502, 503, 504])
@pytest.mark.parametrize("metadata", [frozenset(), frozenset({"error"}), frozenset({"tries"})])
def test_every_error_has_a_message_a_type_and_a_code_in_both_shapes(status: int, metadata: frozenset[str]) -> None:
    for path in ("/v1/chat/completions", "/v1/messages", "/"):
        _, body = answer(status, path, metadata)
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert all(body["error"][key] for key in ("message", "type", "code"))
        assert (body.get("type") == "error") is (path == "/v1/messages")


def test_only_a_refusal_of_the_sidecar_shows_its_own_sentence() -> None:
    for status in (400, 403, 404, 413, 500, 503, 504):
        assert answer(status, "/", frozenset({"error"}))[1]["error"]["message"] == "%LOCAL_REPLY_BODY%"
        assert "%" not in answer(status, "/")[1]["error"]["message"]


def test_no_text_can_name_a_socket_or_an_address() -> None:
    for reply in REPLIES:
        assert "DETAILS" not in reply.message
        assert ("LOCAL_REPLY_BODY" in reply.message) == reply.refusal


def test_a_key_that_could_not_be_read_is_not_the_clients_fault() -> None:
    status, body = answer(401, "/v1/chat/completions", frozenset({"tries"}))
    assert (status, body["error"]["code"]) == (503, "gateway_unavailable")
    assert answer(401, "/v1/chat/completions")[0] == 401


def test_an_empty_body_is_a_400_that_says_so() -> None:
    status, body = answer(422, "/v1/chat/completions")
    assert (status, "no body" in body["error"]["message"]) == (400, True)


def test_an_unknown_model_and_an_unknown_path_are_told_apart() -> None:
    assert answer(404, "/v1/models/nope")[1]["error"]["code"] == "model_not_found"
    assert answer(404, "/v1/nope")[1]["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (503, "api_error"),
        (504, "timeout_error"),
    ],
)
def test_anthropics_clients_find_their_own_types(status: int, type_: str) -> None:
    assert answer(status, "/v1/messages?beta=true")[1]["error"]["type"] == type_
