"""A server that works on a few answers at once: who waits, who is counted, and who gives up a place."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from signalbox.mock import MockProvider, running_mock
from signalbox.mock.slots import Slots

PATH = "/v1/chat/completions"
Wait = Callable[[Callable[[], bool]], None]


def gauges(server: MockProvider) -> dict[str, float]:
    text = httpx.get(f"{server.url}/metrics").text
    return {name: float(value) for name, value in re.findall(r'^vllm:(\w+)\{model_name="m-1"\} (\S+)$', text, re.M)}


def asking(server: MockProvider, chat: dict[str, Any], times: int) -> list[threading.Thread]:
    threads: list[threading.Thread] = []
    for _ in range(times):
        threads.append(threading.Thread(target=lambda: httpx.post(server.url + PATH, json=chat, timeout=30)))
        threads[-1].start()
    return threads


def test_more_requests_than_slots_wait_and_metrics_say_so_in_vllms_words(
    chat: dict[str, Any], wait_until: Wait
) -> None:
    with running_mock("home", models=["m-1"], latency_seconds=0.4, slots=2) as server:
        assert gauges(server) == {"num_requests_running": 0, "num_requests_waiting": 0, "kv_cache_usage_perc": 0}
        start = time.monotonic()
        threads = asking(server, chat, 5)
        wait_until(lambda: gauges(server).get("num_requests_waiting") == 3)
        assert gauges(server) == {"num_requests_running": 2, "num_requests_waiting": 3, "kv_cache_usage_perc": 1}
        for thread in threads:
            thread.join()
        assert time.monotonic() - start >= 1.2  # three rounds of 0.4 s
        assert gauges(server) == {"num_requests_running": 0, "num_requests_waiting": 0, "kv_cache_usage_perc": 0}


def test_a_slot_is_taken_until_the_stream_has_ended(chat: dict[str, Any], wait_until: Wait) -> None:
    with running_mock("home", models=["m-1"], slots=1, chunk_gap_seconds=0.2) as server:
        body = chat | {"stream": True}
        with httpx.stream("POST", server.url + PATH, json=body, timeout=30) as answer:
            pieces = answer.iter_bytes()
            next(pieces)
            assert gauges(server)["num_requests_running"] == 1
            list(pieces)
        wait_until(lambda: gauges(server)["num_requests_running"] == 0)


@pytest.mark.parametrize("leaves", ["the queue", "a slot"])
def test_a_client_that_leaves_gives_up_its_place(chat: dict[str, Any], wait_until: Wait, leaves: str) -> None:
    with running_mock("home", models=["m-1"], latency_seconds=0.5 if leaves == "the queue" else 60, slots=1) as server:
        first = asking(server, chat, 1) if leaves == "the queue" else []
        wait_until(lambda: gauges(server)["num_requests_running"] == len(first))
        body = b'{"model": "m-1", "messages": [{"role": "user", "content": "hello"}]}'
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            gauge = "num_requests_waiting" if leaves == "the queue" else "num_requests_running"
            wait_until(lambda: gauges(server)[gauge] == 1)
        wait_until(lambda: gauges(server)["num_requests_waiting"] == 0 == gauges(server)["num_requests_running"])
        for thread in first:
            thread.join()


def test_health_checks_and_model_lists_need_no_slot(chat: dict[str, Any], wait_until: Wait) -> None:
    with running_mock("home", models=["m-1"], latency_seconds=2, slots=1) as server:
        threads = asking(server, chat, 3)
        wait_until(lambda: gauges(server)["num_requests_waiting"] == 2)
        server.set_latency(0)  # of those that come from now on; the one in the slot still takes its time
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert httpx.get(f"{server.url}/v1/models").status_code == 200
        assert gauges(server)["num_requests_waiting"] == 2
        for thread in threads:
            thread.join()


def test_latency_changes_while_it_runs(chat: dict[str, Any]) -> None:
    with running_mock("alpha") as alpha:
        control = f"{alpha.url}/__mock__/latency"
        assert httpx.put(control, json={"seconds": 0.3}).json() == {"seconds": 0.3}
        assert httpx.get(control).json() == {"seconds": 0.3}
        start = time.monotonic()
        assert httpx.post(alpha.url + PATH, json=chat).status_code == 200
        assert time.monotonic() - start >= 0.3
        alpha.set_latency(0)
        assert httpx.get(control).json() == {"seconds": 0}


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"seconds": true}', '{"seconds": -1}', '{"seconds": NaN}'])
def test_a_latency_that_is_none_is_refused_and_changes_nothing(body: str) -> None:
    with running_mock("alpha", latency_seconds=0.01) as alpha:
        answer = httpx.put(f"{alpha.url}/__mock__/latency", content=body)
        assert answer.status_code == 400
        assert "expected" in answer.json()["error"]
        assert httpx.get(f"{alpha.url}/__mock__/latency").json() == {"seconds": 0.01}


def test_no_slots_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        Slots(0)


def test_a_models_name_cannot_break_out_of_its_label() -> None:
    assert 'model_name="a\\"b\\\\c\\nd"} 0' in Slots(1).vllm_metrics('a"b\\c\nd')
