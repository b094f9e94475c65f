"""Each fault, as a client sees it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest

from signalbox.mock import MockProvider
from signalbox.mock.faults import NO_FAULT, Fault, FaultKind, fault_for, parse_fault
from signalbox.mock.sse import drop_connection

WaitUntil = Callable[[Callable[[], bool]], None]
PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("503", Fault(FaultKind.STATUS, 503)),
        (" reset ", Fault(FaultKind.RESET)),
        ("slow-headers=0.5", Fault(FaultKind.SLOW_HEADERS, 0.5)),
        ("cut=2", Fault(FaultKind.CUT, 2)),
        ("none", NO_FAULT),
    ],
)
def test_a_fault_is_read_from_its_spelling_and_spelled_the_same_way(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault
    assert str(fault) == text.strip()


@pytest.mark.parametrize(
    "text",
    ["", "200", "600", "boom", "status", "cut", "cut=x", "cut=-1", "cut=1.5", "reset=1", "hang=", "slow-headers=nan"],
)
def test_an_unknown_fault_is_refused_with_all_spellings(text: str) -> None:
    with pytest.raises(ValueError, match="error-event=N"):
        parse_fault(text)


def test_a_providers_own_header_wins_over_the_general_one_and_both_over_the_standing_fault() -> None:
    standing = parse_fault("503")
    assert fault_for({}, "x-mock-fault-a", standing) == standing
    assert fault_for({"x-mock-fault": "429"}, "x-mock-fault-a", standing) == parse_fault("429")
    both = {"x-mock-fault": "429", "x-mock-fault-a": "none"}
    assert fault_for(both, "x-mock-fault-a", standing) == NO_FAULT


def test_a_fault_for_another_provider_is_ignored(http: httpx.Client, chat: dict[str, Any]) -> None:
    assert http.post(PATH, json=chat, headers={"x-mock-fault-beta": "503"}).status_code == 200


def test_a_misspelled_fault_is_a_400_that_says_what_is_known(http: httpx.Client, chat: dict[str, Any]) -> None:
    answer = http.post(PATH, json=chat, headers={"x-mock-fault": "explode"})
    assert answer.status_code == 400
    assert "slow-chunks=SECONDS" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_a_status_fault_has_openais_shape(
    openai_client: openai.OpenAI, status: int, raised: type[openai.APIStatusError]
) -> None:
    with pytest.raises(raised) as caught:
        openai_client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], extra_headers={"x-mock-fault": str(status)}
        )
    assert caught.value.status_code == status
    body: Any = caught.value.body
    assert set(body) == {"message", "type", "param", "code"}


def test_a_429_says_when_to_come_back(http: httpx.Client, chat: dict[str, Any]) -> None:
    answer = http.post(PATH, json=chat, headers={"x-mock-fault": "429"})
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


def test_a_reset_is_a_tcp_reset_before_any_byte_and_is_recorded(
    http: httpx.Client, chat: dict[str, Any], provider: MockProvider
) -> None:
    with pytest.raises(httpx.ReadError, match="reset by peer"):
        http.post(PATH, json=chat, headers={"x-mock-fault": "reset"})
    assert len(provider.requests()) == 1
    assert http.post(PATH, json=chat).status_code == 200


def test_a_hang_lasts_until_the_client_leaves(
    http: httpx.Client, chat: dict[str, Any], provider: MockProvider, wait_until: WaitUntil
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        http.post(PATH, json=chat, headers={"x-mock-fault": "hang"}, timeout=0.2)
    wait_until(lambda: provider.totals().get("connections_lost") == 1)


def test_slow_headers_delay_the_whole_answer(http: httpx.Client, chat: dict[str, Any]) -> None:
    start = time.monotonic()
    assert http.post(PATH, json=chat, headers={"x-mock-fault": "slow-headers=0.3"}).status_code == 200
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize("stream", [True, False])
def test_early_headers_arrive_before_the_wait_and_the_body_after_it(
    http: httpx.Client, chat: dict[str, Any], stream: bool
) -> None:
    headers = {"x-mock-fault": "early-headers=0.4"}
    with http.stream("POST", PATH, json=chat | {"stream": stream}, headers=headers) as answer:
        headers_at = time.monotonic()
        answer.read()
        assert time.monotonic() - headers_at >= 0.2


def test_slow_chunks_put_a_pause_between_events(http: httpx.Client, chat: dict[str, Any]) -> None:
    headers = {"x-mock-fault": "slow-chunks=0.1", "x-mock-chunks": "3"}
    with http.stream("POST", PATH, json=chat | {"stream": True}, headers=headers) as answer:
        arrivals = [time.monotonic() for part in answer.iter_raw() if part]
    assert len(arrivals) >= 4
    assert arrivals[-1] - arrivals[0] >= 0.3


def test_a_gap_header_paces_a_healthy_stream(http: httpx.Client, chat: dict[str, Any]) -> None:
    start = time.monotonic()
    headers = {"x-mock-gap": "0.1", "x-mock-chunks": "2"}
    answer = http.post(PATH, json=chat | {"stream": True}, headers=headers)
    assert answer.text.count("data: ") == 5
    assert time.monotonic() - start >= 0.4


def read_until_dropped(answer: httpx.Response) -> bytes:
    """What arrived before the connection broke; fails if it did not break."""
    received = b""
    try:
        for part in answer.iter_raw():
            received += part
    except httpx.RemoteProtocolError:
        return received
    raise AssertionError(f"the answer was complete, with {len(received)} bytes")


@pytest.mark.parametrize("events", [0, 1, 3])
def test_a_cut_drops_a_stream_after_that_many_events(http: httpx.Client, chat: dict[str, Any], events: int) -> None:
    headers = {"x-mock-fault": f"cut={events}"}
    with http.stream("POST", PATH, json=chat | {"stream": True}, headers=headers) as answer:
        assert answer.status_code == 200
        assert read_until_dropped(answer).count(b"data: ") == events


def test_what_was_written_before_a_cut_arrives_even_at_a_slow_reader() -> None:
    size = 60_000  # more than the socket takes at once, less than what makes a writer wait

    async def cut_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        writer.write(b"x" * size)
        request: Any = SimpleNamespace(transport=writer.transport)
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):  # it waits to be cancelled, as aiohttp does
            await asyncio.wait_for(drop_connection(request), 5)

    async def read_slowly() -> int:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            server = await asyncio.start_server(cut_off, "127.0.0.1", 0)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, server.sockets[0].getsockname())
            await asyncio.sleep(0.1)
            received = 0
            while part := await loop.sock_recv(client, 65536):
                received += len(part)
            server.close()
            return received

    assert asyncio.run(read_slowly()) == size


def test_a_cut_stops_a_json_body_after_that_many_bytes(http: httpx.Client, chat: dict[str, Any]) -> None:
    with http.stream("POST", PATH, json=chat, headers={"x-mock-fault": "cut=10"}) as answer:
        assert int(answer.headers["content-length"]) > 10
        assert read_until_dropped(answer) == b'{"id":"cha'


def test_an_error_event_comes_inside_a_200_that_then_ends(http: httpx.Client, chat: dict[str, Any]) -> None:
    answer = http.post(PATH, json=chat | {"stream": True}, headers={"x-mock-fault": "error-event=2"})
    events = answer.text.strip().split("\n\n")
    assert answer.status_code == 200
    assert len(events) == 3
    assert events[-1].startswith('data: {"error":')
    assert "[DONE]" not in answer.text


def test_an_error_event_reaches_the_sdk_as_an_error(openai_client: openai.OpenAI) -> None:
    stream = openai_client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        extra_headers={"x-mock-fault": "error-event=1"},
    )
    with pytest.raises(openai.APIError, match="told to fail in the middle"):
        list(stream)


def test_a_client_that_leaves_a_stream_ends_it(
    http: httpx.Client, chat: dict[str, Any], provider: MockProvider, wait_until: WaitUntil
) -> None:
    headers = {"x-mock-gap": "0.05", "x-mock-chunks": "1000"}
    with http.stream("POST", PATH, json=chat | {"stream": True}, headers=headers) as answer:
        next(answer.iter_raw())
    wait_until(lambda: provider.totals().get("connections_lost") == 1)


@pytest.mark.parametrize("header", ["x-mock-chunks", "x-mock-gap", "x-mock-bytes"])
@pytest.mark.parametrize("value", ["-1", "many", "1e99", "nan"])
def test_an_unusable_pace_is_a_400_that_names_the_header(
    http: httpx.Client, chat: dict[str, Any], header: str, value: str
) -> None:
    answer = http.post(PATH, json=chat, headers={header: value})
    assert answer.status_code == 400
    assert header in answer.json()["error"]["message"]
