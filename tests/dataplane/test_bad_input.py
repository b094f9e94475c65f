"""Bad input gets a clear, OpenAI-shaped answer in under a second, and no provider hears of it."""

from __future__ import annotations

import gzip
import json
import socket
import time

import pytest

from .stack import Stack

pytestmark = pytest.mark.dataplane

DEEP = b'{"model":"auto","messages":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

REFUSED = {
    "not JSON": (b"not json", 400),
    "truncated": (b'{"model":"auto","messages":[{"role":"us', 400),
    "two documents": (b'{"model":"auto","messages":[]} {}', 400),
    "an array": (b"[]", 400),
    "no model": (b'{"messages":[{"role":"user","content":"Hi"}]}', 400),
    "model of a wrong type": (b'{"model":7,"messages":[{"role":"user","content":"Hi"}]}', 400),
    "messages of a wrong type": (b'{"model":"auto","messages":"Hi"}', 400),
    "no messages": (b'{"model":"auto"}', 400),
    "a message that is text": (b'{"model":"auto","messages":["Hi"]}', 400),
    "model given twice": (b'{"model":"auto","model":"beta-large","messages":[{"role":"user","content":"Hi"}]}', 400),
    "model given twice, once escaped": (
        b'{"model":"auto","mod\\u0065l":"x","messages":[{"role":"user","content":"Hi"}]}',
        400,
    ),
    "invalid UTF-8": (b'{"model":"auto","messages":[{"role":"user","content":"\xff"}]}', 400),
    "a byte-order mark": (b'\xef\xbb\xbf{"model":"auto","messages":[{"role":"user","content":"Hi"}]}', 400),
    "deeply nested": (DEEP, 400),
    "an unknown model": (b'{"model":"gpt-nope","messages":[{"role":"user","content":"Hi"}]}', 404),
    "an unknown router": (b'{"model":"router:nope","messages":[{"role":"user","content":"Hi"}]}', 404),
}


def assert_openai_error(answer) -> dict:
    error = answer.json()["error"]
    assert error["message"]
    assert error["type"]
    assert error["code"]
    assert answer.headers["content-type"].startswith("application/json")
    return error


@pytest.mark.parametrize("name", REFUSED)
def test_a_body_that_cannot_be_routed_is_refused(stack: Stack, test_id: str, name: str) -> None:
    body, status = REFUSED[name]
    started = time.monotonic()
    answer = stack.post(body, x_test_id=test_id)
    assert answer.status_code == status, answer.text
    assert_openai_error(answer)
    assert time.monotonic() - started < 1
    assert stack.received(test_id) == []


def test_malformed_json_is_told_where_it_breaks(stack: Stack) -> None:
    error = assert_openai_error(stack.post(b'{"model":"auto",}'))
    assert "byte 16" in error["message"]
    assert error["code"] == "invalid_json"


def test_an_unknown_model_is_told_the_nearest_names(stack: Stack) -> None:
    error = assert_openai_error(stack.chat("alpha-largee"))
    assert error["code"] == "model_not_found"
    assert "alpha-large" in error["message"]


def test_a_model_name_full_of_quotes_and_controls_stays_inside_its_json_string(stack: Stack) -> None:
    answer = stack.post({"model": 'x"},{"\n\u202e\x01' * 20, "messages": [{"role": "user", "content": "Hi"}]})
    assert answer.status_code == 404
    assert_openai_error(answer)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_an_empty_body_is_refused(stack: Stack, test_id: str, path: str) -> None:
    answer = stack.post(b"", path, x_test_id=test_id)
    assert 400 <= answer.status_code < 500
    assert_openai_error(answer)
    assert stack.received(test_id) == []


def test_an_unknown_path_is_a_404_and_not_a_fault(stack: Stack) -> None:
    for answer in (stack.client.get("/v1/unheard-of"), stack.post({"model": "auto"}, "/v1/unheard-of")):
        assert answer.status_code == 404
        assert_openai_error(answer)


def test_a_gzip_body_is_routed(stack: Stack, test_id: str) -> None:
    body = gzip.compress(json.dumps({"model": "beta-large", "messages": [{"role": "user", "content": "Hi"}]}).encode())
    assert stack.post(body, content_encoding="gzip", x_test_id=test_id).status_code == 200
    assert stack.received(test_id)[0]["body"]["model"] == "beta/large-2"


def sized(total: int) -> bytes:
    head, tail = b'{"model":"beta-any","messages":[{"role":"user","content":"', b'"}]}'
    return head + b"x" * (total - len(head) - len(tail)) + tail


def test_a_body_at_the_limit_is_served_and_one_byte_more_is_a_413(stack: Stack, test_id: str) -> None:
    assert stack.post(sized(8388608), x_test_id=test_id).status_code == 200
    started = time.monotonic()
    answer = stack.post(sized(8388609))
    assert answer.status_code == 413
    assert_openai_error(answer)
    assert time.monotonic() - started < 1
    assert len(stack.received(test_id)) == 1


def test_no_eligible_candidate_names_the_filters(stack: Stack, test_id: str) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    body = {
        "model": "local-small",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, image]}],
    }
    answer = stack.post(body, x_test_id=test_id)
    assert answer.status_code in (400, 503)
    error = assert_openai_error(answer)
    assert "modality" in error["message"]
    assert error["code"] == "no_candidate"
    assert stack.received(test_id) == []


def test_a_prompt_beyond_every_context_window_is_refused_before_a_provider_bills_it(stack: Stack, test_id: str) -> None:
    answer = stack.chat("local-small", "word " * 100_000, x_test_id=test_id)
    assert answer.status_code == 400
    assert "context" in assert_openai_error(answer)["message"]
    assert stack.received(test_id) == []


def test_a_router_or_auto_for_embeddings_is_refused(stack: Stack) -> None:
    answer = stack.post({"model": "auto", "input": "x"}, "/v1/embeddings")
    assert answer.status_code == 400
    assert_openai_error(answer)


def test_errors_on_anthropics_endpoint_have_its_shape_too(stack: Stack) -> None:
    answer = stack.post(
        {"model": "nope", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}, "/v1/messages"
    )
    assert (answer.status_code, answer.json()["type"]) == (404, "error")
    assert_openai_error(answer)


def test_a_half_sent_body_does_not_keep_the_gateway_from_serving_others(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port)) as slow:
        slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
        assert stack.chat("auto").status_code == 200


@pytest.mark.parametrize(
    "forged",
    [
        {"x_signalbox_cluster": "local", "x_signalbox_model": "evil", "x_signalbox_privacy": "any"},
        {"x_model_router_selected_route": "evil"},
        {"x_envoy_attempt_count": "9", "x_envoy_max_retries": "0", "x_envoy_retry_on": "gateway-error"},
        {
            "x_envoy_upstream_rq_timeout_ms": "1",
            "x_envoy_original_path": "/evil",
            "x_envoy_decorator_operation": "evil",
        },
    ],
)
def test_forged_internal_headers_change_nothing_and_reach_nobody(stack: Stack, test_id: str, forged: dict) -> None:
    answer = stack.chat("router:chain", x_test_id=test_id, x_mock_fault_alpha="503", **forged)
    assert (answer.status_code, answer.headers["x-signalbox-model"]) == (200, "beta-large")
    assert answer.headers["x-model-router-selected-route"] == "chain"
    for received in stack.received(test_id):
        internal = [name for name in received["headers"] if name.startswith(("x-signalbox-", "x-envoy-", "x-model-"))]
        assert internal == []
        assert "x-forwarded-for" not in received["headers"]
