"""What a mock refuses, because a real provider would."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from signalbox.mock import MockProvider, running_mock

PATH = "/v1/chat/completions"


def user(content: Any) -> list[Any]:
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"model": "m"',
        b'{"model": "m"}}',
        b'{"model": "m", "messages": [{"role": "user", "content": "\xff"}]}',
        b'\xef\xbb\xbf{"model": "m", "messages": [{"role": "user", "content": "a"}]}',
        b'{"model": "m", "temperature": NaN, "messages": [{"role": "user", "content": "a"}]}',
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "list", "null", "cut off", "trailing", "not UTF-8", "BOM", "NaN", "too deep", "huge number"],
)
def test_a_body_that_is_no_json_object_is_a_400(http: httpx.Client, body: bytes) -> None:
    answer = http.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("chat/completions", {"messages": user("hi")}, "model"),
        ("chat/completions", {"model": 1, "messages": user("hi")}, "model"),
        ("chat/completions", {"model": "", "messages": user("hi")}, "model"),
        ("chat/completions", {"model": "m"}, "messages"),
        ("chat/completions", {"model": "m", "messages": "hi"}, "messages"),
        ("chat/completions", {"model": "m", "messages": []}, "messages"),
        ("chat/completions", {"model": "m", "messages": ["hi"]}, "messages[0]"),
        ("chat/completions", {"model": "m", "messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
        ("chat/completions", {"model": "m", "messages": user(5)}, "messages[0].content"),
        ("chat/completions", {"model": "m", "messages": user([{"text": "a"}])}, "messages[0].content[0].type"),
        ("chat/completions", {"model": "m", "messages": user("hi"), "stream": "yes"}, "stream"),
        ("chat/completions", {"model": "m", "messages": user("hi"), "n": 0}, "n"),
        ("chat/completions", {"model": "m", "messages": user("hi"), "max_tokens": True}, "max_tokens"),
        ("chat/completions", {"model": "m", "messages": user("hi"), "tools": {}}, "tools"),
        (
            "chat/completions",
            {"model": "m", "messages": user("hi"), "tools": [{"type": "function"}]},
            "tools[0].function.name",
        ),
        (
            "chat/completions",
            {"model": "m", "messages": user("hi"), "stream_options": {"include_usage": True}},
            "stream_options",
        ),
        ("completions", {"model": "m"}, "prompt"),
        ("completions", {"model": "m", "prompt": [{}]}, "prompt[0]"),
        ("responses", {"model": "m"}, "input"),
        ("responses", {"model": "m", "input": [{}]}, "input[0]"),
        ("embeddings", {"model": "m", "input": []}, "input"),
        ("embeddings", {"model": "m", "input": "a", "encoding_format": "hex"}, "encoding_format"),
        ("embeddings", {"model": "m", "input": "a", "stream": True}, "stream"),
    ],
)
def test_a_wrong_member_is_a_400_that_names_it(http: httpx.Client, path: str, body: Any, param: str) -> None:
    answer = http.post(f"/v1/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_an_error_repeats_no_text_of_the_client(http: httpx.Client) -> None:
    body = {"model": "m", "messages": [{"role": "hunter2", "content": "hunter2"}], "stream": "hunter2"}
    assert "hunter2" not in http.post(PATH, json=body).text


def test_a_chunked_body_is_refused(http: httpx.Client, chat: dict[str, Any]) -> None:
    def parts() -> Iterator[bytes]:
        yield json.dumps(chat).encode()

    assert http.post(PATH, content=parts()).status_code == 411


def test_a_compressed_body_is_refused_and_recorded_as_it_came(
    http: httpx.Client, provider: MockProvider, chat: dict[str, Any]
) -> None:
    body = gzip.compress(json.dumps(chat).encode())
    assert http.post(PATH, content=body, headers={"content-encoding": "gzip"}).status_code == 415
    assert provider.requests()[0].body == body


def test_a_body_of_several_megabytes_is_taken(http: httpx.Client) -> None:
    answer = http.post(PATH, json={"model": "m", "messages": user("word " * 1_000_000)})
    assert answer.json()["usage"]["prompt_tokens"] == 1_000_001


def test_a_body_over_the_limit_is_a_413_and_the_next_request_is_served(chat: dict[str, Any]) -> None:
    with running_mock("alpha", max_body_bytes=1000) as alpha, httpx.Client(base_url=alpha.url) as client:
        answer = client.post(PATH, json=chat | {"user": "x" * 1000})
        assert answer.status_code == 413
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert client.post(PATH, json=chat).status_code == 200


def test_expect_100_continue_is_answered_before_the_body(provider: MockProvider, chat: dict[str, Any]) -> None:
    body = json.dumps(chat).encode()
    connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=5)
    try:
        connection.putrequest("POST", PATH)
        connection.putheader("content-length", str(len(body)))
        connection.putheader("expect", "100-continue")
        connection.endheaders()
        assert connection.sock.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.send(body)
        assert connection.getresponse().status == 200
    finally:
        connection.close()


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"authorization": "secret"}]
)
def test_a_required_key_is_required(chat: dict[str, Any], headers: dict[str, str]) -> None:
    expected = 200 if headers.get("authorization") == "secret" else 401
    with running_mock("alpha", required_key="secret") as alpha, httpx.Client(base_url=alpha.url) as client:
        answer = client.post(PATH, json=chat, headers=headers)
        assert answer.status_code == expected
        assert "wrong" not in answer.text
        assert client.post(PATH, json=chat, headers={"authorization": "Bearer secret"}).status_code == 200
        assert client.get("/v1/models", headers={"x-api-key": "secret"}).status_code == 200


def test_a_model_that_is_not_served_is_a_404_that_lists_those_that_are(chat: dict[str, Any]) -> None:
    with running_mock("alpha", models=["small", "large"]) as alpha, httpx.Client(base_url=alpha.url) as client:
        answer = client.post(PATH, json=chat)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "model_not_found"
        assert "small, large" in answer.json()["error"]["message"]
        assert client.post(PATH, json=chat | {"model": "large"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", PATH, 405), ("POST", "/v1/images", 404), ("GET", "/v1/modelsx", 404), ("PUT", "/v1/models", 404)],
)
def test_unknown_calls_are_refused(http: httpx.Client, method: str, path: str, status: int) -> None:
    assert http.request(method, path, json={}).status_code == status


def test_health_is_reported_and_not_recorded(http: httpx.Client, provider: MockProvider) -> None:
    assert http.get("/healthz").json() == {"status": "ok", "provider": "alpha"}
    assert provider.requests() == []
