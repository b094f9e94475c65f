from __future__ import annotations

import json

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from signalbox.errors import RequestError
from signalbox.extproc.parse import Facts, Phase, find_endpoint, parse_request, read_message
from signalbox.types import Endpoint

from .envoy_messages import body_message, chat, headers_message


def test_a_body_message_gives_body_path_and_the_listed_headers() -> None:
    message = read_message(body_message(b"{}", "/v1/messages?beta=1", {"x-data-class": "restricted", "x-a": ""}))
    assert (message.phase, message.body, message.end_of_stream) == (Phase.BODY, b"{}", True)
    assert message.facts == Facts("/v1/messages?beta=1", {"x-data-class": "restricted", "x-a": ""})


def test_a_headers_message_gives_facts_and_says_whether_a_body_follows() -> None:
    message = read_message(headers_message("/v1/responses", {"x-a": "b"}, end_of_stream=True))
    assert (message.phase, message.body, message.end_of_stream) == (Phase.HEADERS, b"", True)
    assert message.facts == Facts("/v1/responses", {"x-a": "b"})


def test_a_message_without_attributes_has_no_facts() -> None:
    assert read_message(body_message(b"{}", attributes=False)).facts is None


def test_attributes_without_a_path_say_so() -> None:
    assert read_message(body_message(b"{}", path=None)).facts == Facts(None, {})


@pytest.mark.parametrize("phase", ["response_headers", "response_body", "request_trailers"])
def test_a_phase_nobody_asked_for_is_named(phase: str) -> None:
    message = pb.ProcessingRequest()
    getattr(message, phase).SetInParent()
    with pytest.raises(ValueError, match=phase):
        read_message(message.SerializeToString())


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"", b"{}"])
def test_bytes_that_are_no_request_are_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError):
        read_message(garbage)


@pytest.mark.parametrize("endpoint", Endpoint)
def test_each_endpoint_is_found_by_its_path_with_or_without_a_query(endpoint: Endpoint) -> None:
    assert find_endpoint(endpoint.path) is endpoint
    assert find_endpoint(endpoint.path + "?api-version=1&x=/v1/messages") is endpoint


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/chat/completions/", "/v2/messages", "", "?", "/"])
def test_another_path_is_a_404_that_names_the_paths_there_are_and_not_the_one_sent(path: str) -> None:
    with pytest.raises(RequestError) as refusal:
        find_endpoint(path + "?key=sk-secret")
    assert (refusal.value.status, refusal.value.code) == (404, "unsupported_endpoint")
    assert "/v1/embeddings" in str(refusal.value)
    assert "sk-secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("endpoint", "members", "missing"),
    [
        (Endpoint.CHAT_COMPLETIONS, {}, "`messages` is missing"),
        (Endpoint.CHAT_COMPLETIONS, {"messages": []}, "`messages` is empty"),
        (Endpoint.CHAT_COMPLETIONS, {"input": "hello"}, "`messages` is missing"),
        (Endpoint.MESSAGES, {"prompt": "hello"}, "`messages` is missing"),
        (Endpoint.RESPONSES, {"messages": [{"role": "user", "content": "hello"}]}, "`input` is missing"),
        (Endpoint.RESPONSES, {"input": None}, "`input` is missing"),
        (Endpoint.COMPLETIONS, {"input": "hello"}, "`prompt` is missing"),
        (Endpoint.EMBEDDINGS, {"prompt": "hello"}, "`input` is missing"),
        (Endpoint.EMBEDDINGS, {"input": None}, "`input` is missing"),
    ],
)
def test_a_body_without_what_its_endpoint_needs_is_a_400_that_says_what(
    endpoint: Endpoint, members: dict[str, object], missing: str
) -> None:
    with pytest.raises(RequestError, match=missing) as refusal:
        parse_request(endpoint, json.dumps({"model": "auto", **members}).encode(), {})
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("endpoint", "members"),
    [
        (Endpoint.CHAT_COMPLETIONS, {"messages": [{"role": "user", "content": "hello"}]}),
        (Endpoint.MESSAGES, {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}),
        (Endpoint.RESPONSES, {"input": "hello"}),
        (Endpoint.RESPONSES, {"previous_response_id": "resp_1"}),
        (Endpoint.RESPONSES, {"conversation": "conv_1"}),
        (Endpoint.RESPONSES, {"prompt": {"id": "pmpt_1"}}),
        (Endpoint.COMPLETIONS, {"prompt": "hello"}),
        (Endpoint.COMPLETIONS, {"prompt": [1, 2, 3]}),
        (Endpoint.EMBEDDINGS, {"input": ["hello", "you"]}),
    ],
)
def test_a_body_with_what_its_endpoint_needs_is_parsed(endpoint: Endpoint, members: dict[str, object]) -> None:
    body = json.dumps({"model": "auto", **members}).encode()
    request = parse_request(endpoint, body, {"x-a": "b"})
    assert (request.endpoint, request.body, request.scan.model) == (endpoint, body, "auto")
    assert request.headers == {"x-a": "b"}


@pytest.mark.parametrize("body", [b"", b"{", b"\x1f\x8b\x08\x00", b"[]", chat()[:-1], chat() + b"x"])
def test_a_body_that_is_no_json_object_is_a_400(body: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        parse_request(Endpoint.CHAT_COMPLETIONS, body, {})
    assert refusal.value.status == 400
