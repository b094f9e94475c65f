"""Clients of scenarios: what they keep of an answer, and that they do not wait for each other."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from scenarios.load import LEFT, Clients, Clock, Sample
from signalbox.mock import running_mock


def ask(url: str, **options: Any) -> Sample:
    async def run() -> Sample:
        async with Clients([url], Clock()) as clients:
            sample = await clients.ask("m", more={"stream_options": {"include_usage": True}}, **options)
            assert clients.samples == [sample]
            return sample

    return asyncio.run(run())


def test_an_answer_that_came_through_has_a_time_and_usage() -> None:
    with running_mock("alpha", latency_seconds=0.1, chunk_gap_seconds=0.02) as alpha:
        sample = ask(alpha.url)
    assert (sample.status, sample.error, sample.is_answered) == (200, "", True)
    assert sample.usage == (2, 9)
    assert sample.ttft_seconds is not None
    assert 0.1 <= sample.ttft_seconds < sample.seconds - 0.1


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [("503", 503, "status 503"), ("cut=3", 200, "RemoteProtocolError"), ("error-event=3", 200, "cut short")],
)
def test_what_went_wrong_is_an_error_without_a_time(fault: str, status: int, error: str) -> None:
    with running_mock("alpha") as alpha:
        sample = ask(alpha.url, headers={"x-mock-fault": fault})
    assert (sample.status, sample.error, sample.ttft_seconds) == (status, error, None)


def test_a_refusal_says_when_to_come_back() -> None:
    with running_mock("alpha") as alpha:
        assert ask(alpha.url, headers={"x-mock-fault": "429"}).retry_after == "2"


def test_nobody_there_is_an_error() -> None:
    sample = ask("http://127.0.0.1:1")
    assert (sample.status, sample.error) == (0, "ConnectError")


def test_a_client_that_hangs_up_says_so_and_ends_the_stream() -> None:
    with running_mock("alpha", chunk_gap_seconds=0.2) as alpha:
        sample = ask(alpha.url, leave_after_pieces=2)
    assert sample.error == LEFT
    assert sample.seconds < 1


def test_an_open_loop_asks_at_its_rate_however_long_the_answers_take_and_waits_for_them() -> None:
    begun, ended = [], []

    async def run() -> float:
        clock = Clock()

        async def slow(serial: int) -> None:
            begun.append(clock.now())
            await asyncio.sleep(0.5)
            ended.append(serial)

        async with Clients([], clock) as clients:
            return await clients.open_loop(lambda at: 40.0 if at < 0.5 else 80.0, 1.0, slow, seed=3)

    start = time.monotonic()
    late = asyncio.run(run())
    assert time.monotonic() - start < 3
    assert 35 <= len(begun) <= 85
    assert sum(at < 0.5 for at in begun) < sum(at >= 0.5 for at in begun)
    assert max(begun) < 1.0 + late + 0.1
    assert sorted(ended) == list(range(len(begun)))
