"""Responses pass as the provider sent them: the same bytes, at the same time."""

from __future__ import annotations

import itertools
import re
import time

import httpx
import pytest

from .stack import Stack, wait_until

pytestmark = pytest.mark.dataplane


def stream_times(stack: Stack, test_id: str, *, model: str = "router:chain", **headers: str) -> tuple[list[float], str]:
    """Ask for a stream; return when each data line arrived (seconds from the first) and the whole text."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    times, text = [], []
    with stack.client.stream(
        "POST", "/v1/chat/completions", json=body, headers={"x-test-id": test_id, **headers}
    ) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            text.append(line)
            if line.startswith("data:"):
                times.append(time.monotonic())
    return [moment - times[0] for moment in times], "\n".join(text)


def test_response_chunks_reach_the_client_before_the_upstream_finishes(stack: Stack, test_id: str) -> None:
    times, text = stream_times(stack, test_id, **{"x-mock-chunks": "6", "x-mock-gap": "0.2"})
    assert "data: [DONE]" in text
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert sum(gap > 0.1 for gap in gaps) >= 5, gaps


def test_no_decision_rpc_is_open_while_a_response_streams(stack: Stack, test_id: str) -> None:
    body = {"model": "router:chain", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"x-test-id": test_id, "x-mock-chunks": "4", "x-mock-gap": "0.2"}
    with stack.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert stack.envoy_stat("cluster.signalbox-workers.upstream_rq_active") == 0
        assert "data: [DONE]" in list(lines)


def test_the_response_bytes_are_the_providers(stack: Stack) -> None:
    def content(answer: httpx.Response) -> bytes:
        return re.sub(rb'"(id|created)": ?("[^"]*"|\d+)', b"", answer.content)  # two requests, perhaps two seconds

    body = '{"model": "%s", "messages": [{"role": "user", "content": "Hi"}]}'
    direct = httpx.post(f"{stack.mocks['beta'].url}/v1/chat/completions", content=body % "beta/large-2")
    through = stack.post((body % "beta-large").encode())
    assert content(through) == content(direct)


def test_a_large_streamed_answer_arrives_whole(stack: Stack, test_id: str) -> None:
    _, text = stream_times(stack, test_id, **{"x-mock-chunks": "2000", "x-mock-gap": "0"})
    assert text.count("data: ") == 2000 + 4  # before them the role; after them the end, the usage and [DONE]


def test_the_collector_reports_time_to_first_token_and_usage_of_streams(stack: Stack, test_id: str) -> None:
    count = "gen_ai_server_time_to_first_token_seconds_count"
    total = "gen_ai_server_time_to_first_token_seconds_sum"
    labels = {"gen_ai_request_model": "counted-alpha"}  # nobody else's: entries of earlier requests may still come in
    before = stack.metric(count, **labels), stack.metric(total, **labels)
    tokens = stack.metric("gen_ai_client_token_usage_sum", gen_ai_token_type="output", **labels)
    stream_times(stack, test_id, model="counted-alpha", **{"x-mock-fault-alpha": "early-headers=0.3"})
    wait_until(lambda: stack.metric(count, **labels) == before[0] + 1, "one more time to first token", 5)
    assert 0.28 < stack.metric(total, **labels) - before[1] < 0.6
    wait_until(
        lambda: stack.metric("gen_ai_client_token_usage_sum", gen_ai_token_type="output", **labels) > tokens,
        "output tokens counted",
        5,
    )
