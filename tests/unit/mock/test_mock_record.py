"""The record of what a provider received, in the process and over HTTP."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import httpx
import pytest

from signalbox.mock import MockProvider, running_mock
from signalbox.mock.record import KEPT_BODY_BYTES

PATH = "/v1/chat/completions"


def big_body() -> bytes:
    text = "x" * (KEPT_BODY_BYTES + 1)
    return json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}).encode()


def test_a_request_is_recorded_as_it_arrived(http: httpx.Client, provider: MockProvider, chat: dict[str, Any]) -> None:
    body = json.dumps(chat).encode()
    headers = {"authorization": "Bearer sk-1", "host": "api.example.com", "x-test-id": "t-1", "X-Custom": "Yes"}
    http.post(f"{PATH}?api-version=2", content=body, headers=headers)
    (received,) = provider.requests("t-1")
    assert (received.provider, received.method, received.path) == ("alpha", "POST", PATH)
    assert received.query == {"api-version": "2"}
    assert (received.host, received.model, received.key) == ("api.example.com", "m-1", "sk-1")
    assert received.headers["x-custom"] == "Yes"
    assert received.json == chat
    assert received.body_bytes == len(body)
    assert received.sha256 == hashlib.sha256(body).hexdigest()
    assert not received.stream


def test_the_endpoint_shows_the_same_record(http: httpx.Client, provider: MockProvider, chat: dict[str, Any]) -> None:
    http.post(PATH, json=chat | {"stream": True}, headers={"x-test-id": "t-1", "x-api-key": "ak-1"})
    http.post(PATH, json=chat, headers={"x-test-id": "t-2"})
    assert [one["test_id"] for one in http.get("/__mock__/requests").json()] == ["t-1", "t-2"]
    (shown,) = http.get("/__mock__/requests", params={"id": "t-1"}).json()
    assert shown == provider.requests("t-1")[0].to_dict()
    assert (shown["key"], shown["stream"], shown["model"]) == ("ak-1", True, "m-1")
    assert ["x-api-key", "ak-1"] in shown["headers"]
    assert shown["body"] == chat | {"stream": True}


def test_refused_requests_are_recorded_too(http: httpx.Client, provider: MockProvider) -> None:
    http.post(PATH, content=b'{"model": "m-1", ')
    http.post("/nowhere", json={"model": 5})
    broken, lost = provider.requests()
    assert (broken.body, broken.json, broken.model) == (b'{"model": "m-1", ', None, None)
    assert (lost.path, lost.json, lost.model) == ("/nowhere", {"model": 5}, None)


@pytest.mark.parametrize("test_id", [None, "t-1"])
def test_a_large_body_is_not_kept_and_hashed_only_for_a_test(
    http: httpx.Client, provider: MockProvider, test_id: str | None
) -> None:
    body = big_body()
    http.post(PATH, content=body, headers={"x-test-id": test_id} if test_id else {})
    (received,) = provider.requests()
    assert (received.body, received.json, received.body_bytes) == (None, None, len(body))
    assert (received.model, received.stream) == ("m", True)
    assert received.sha256 == (hashlib.sha256(body).hexdigest() if test_id else None)


def test_only_the_newest_requests_are_kept_but_all_are_counted(chat: dict[str, Any]) -> None:
    with running_mock("alpha", record_limit=2) as alpha, httpx.Client(base_url=alpha.url) as client:
        for name in ("a", "b", "c"):
            client.post(PATH, json=chat | {"model": name})
        assert [one.model for one in alpha.requests()] == ["b", "c"]
        assert alpha.totals()["requests"] == 3


def test_totals_count_requests_bytes_streams_faults_and_statuses(http: httpx.Client, chat: dict[str, Any]) -> None:
    sizes = [len(http.post(PATH, json=chat | {"stream": stream}).request.content) for stream in (True, False)]
    http.post(PATH, json=chat, headers={"x-mock-fault": "503"})
    totals = http.get("/__mock__/totals").json()
    assert totals["requests"] == 3
    assert totals["request_bytes"] > sum(sizes)
    assert (totals["streams"], totals["status_200"]) == (1, 2)
    assert (totals["fault_status"], totals["status_503"]) == (1, 1)


def test_clearing_forgets_requests_and_totals(http: httpx.Client, provider: MockProvider, chat: dict[str, Any]) -> None:
    http.post(PATH, json=chat)
    assert http.delete("/__mock__/requests").status_code == 204
    assert provider.requests() == []
    assert provider.totals() == {}
    http.post(PATH, json=chat)
    provider.clear()
    assert http.get("/__mock__/requests").json() == []


def test_a_record_file_gets_each_request_as_a_line(chat: dict[str, Any]) -> None:
    lines = io.StringIO()
    body = big_body()
    with running_mock("alpha", record_file=lines) as alpha, httpx.Client(base_url=alpha.url) as client:
        client.post(PATH, json=chat)
        client.post(PATH, content=body)
    small, large = map(json.loads, lines.getvalue().splitlines())
    assert small["body"] == chat
    assert (large["body"], large["sha256"]) == (None, hashlib.sha256(body).hexdigest())


def test_a_standing_fault_breaks_a_provider_until_it_is_cleared(http: httpx.Client, chat: dict[str, Any]) -> None:
    assert http.get("/__mock__/fault").json() == {"fault": None}
    assert http.put("/__mock__/fault", json={"fault": "503"}).json() == {"fault": "503"}
    assert [http.post(PATH, json=chat).status_code for _ in range(2)] == [503, 503]
    assert http.get("/healthz").status_code == 503
    assert http.post(PATH, json=chat, headers={"x-mock-fault-alpha": "none"}).status_code == 200
    assert http.put("/__mock__/fault", json={"fault": None}).json() == {"fault": None}
    assert http.post(PATH, json=chat).status_code == 200


def test_a_standing_fault_can_be_set_from_the_test(
    http: httpx.Client, provider: MockProvider, chat: dict[str, Any]
) -> None:
    provider.set_fault("429")
    assert http.post(PATH, json=chat).status_code == 429
    assert http.delete("/__mock__/fault").status_code == 204
    assert http.post(PATH, json=chat).status_code == 200
    with pytest.raises(ValueError, match="unknown fault"):
        provider.set_fault("boom")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"fault": 503}', b'{"fault": "boom"}'])
def test_an_unusable_standing_fault_is_refused_and_changes_nothing(
    http: httpx.Client, body: bytes, chat: dict[str, Any]
) -> None:
    answer = http.put("/__mock__/fault", content=body)
    assert answer.status_code == 400
    assert "slow-headers=SECONDS" in answer.json()["error"]
    assert http.post(PATH, json=chat).status_code == 200


def test_an_unknown_control_path_says_which_there_are(http: httpx.Client) -> None:
    answer = http.post("/__mock__/requests")
    assert answer.status_code == 404
    assert "PUT /__mock__/fault" in answer.json()["error"]
