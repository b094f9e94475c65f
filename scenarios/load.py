"""Clients that do not wait for each other: requests come when they come, however long the answers take.

A closed loop would ask less when the gateway gets slower, and so hide what a scenario is about.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

TIMEOUT_SECONDS = 60.0
LEFT = "left"  # error of a client that hung up on purpose


@dataclass(frozen=True)
class Sample:
    """One request as its client saw it.

    at: seconds since the scenario began. model: that answered; empty when none did. status: 0 without any.
    ttft_seconds: request sent to first byte of the body. error: empty for an answer that came through to its end.
    usage: prompt and completion tokens. retry_after: of a refusal.
    """

    at: float
    model: str
    reason: str
    attempts: int
    status: int
    ttft_seconds: float | None
    seconds: float
    error: str = ""
    usage: tuple[int, int] | None = None
    retry_after: str = ""
    decision: str = ""

    @property
    def is_answered(self) -> bool:
        return not self.error


class Clock:
    """Seconds since the scenario began."""

    def __init__(self) -> None:
        self._zero = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._zero

    async def until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self.now()))


class Clients:
    """Asks gateways, in streams, and keeps what came of it."""

    def __init__(self, urls: Sequence[str], clock: Clock) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        self._https = [httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, limits=limits) for url in urls]
        self.clock = clock
        self.samples: list[Sample] = []

    async def __aenter__(self) -> Clients:
        return self

    async def __aexit__(self, *_: object) -> None:
        for http in self._https:
            await http.aclose()
        self.samples.sort(key=lambda sample: sample.at)

    async def ask(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]] = ({"role": "user", "content": "Hello there"},),
        *,
        gateway: int = 0,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
        leave_after_pieces: int | None = None,
    ) -> Sample:
        """Ask once and read the stream to its end. Never raises for what a gateway does.

        leave_after_pieces: hang up once that much of the stream has come; the sample's error is then `LEFT`.
        """
        at = self.clock.now()
        body = {"model": model, "stream": True, "messages": messages, **(more or {})}
        head = status = first = None
        data = bytearray()
        error, pieces = "", 0
        try:
            http = self._https[gateway]
            async with http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
                head, status = answer.headers, answer.status_code
                async for piece in answer.aiter_raw():
                    if first is None:
                        first = self.clock.now() - at
                    data += piece
                    pieces += 1
                    if pieces == leave_after_pieces:
                        error = LEFT
                        break
        except httpx.HTTPError as problem:
            error = type(problem).__name__
        if not error and status != 200:
            error = f"status {status}"
        if not error and b"data: [DONE]" not in data:
            error = "cut short"
        head = head or httpx.Headers()
        sample = Sample(
            at=at,
            model=head.get("x-signalbox-model", ""),
            reason=head.get("x-signalbox-reason", ""),
            attempts=int(head.get("x-signalbox-attempts", 0)),
            status=status or 0,
            ttft_seconds=first if not error else None,
            seconds=self.clock.now() - at,
            error=error,
            usage=_usage(bytes(data)),
            retry_after=head.get("retry-after", ""),
            decision=head.get("x-signalbox-decision", ""),
        )
        self.samples.append(sample)
        return sample

    async def open_loop(
        self, rate: Callable[[float], float], until: float, ask: Callable[[int], Awaitable[object]], seed: int = 1
    ) -> float:
        """Call `ask` with a serial number at random times, `rate(at)` times a second, and wait for all answers.

        Returns by how many seconds a request was sent too late, at most: what these figures are worth.
        """
        dice, late, at, serial = Random(seed), 0.0, self.clock.now(), 0
        async with asyncio.TaskGroup() as asking:
            while (at := at + dice.expovariate(rate(at))) < until:
                await self.clock.until(at)
                late = max(late, self.clock.now() - at)
                asking.create_task(_wait(ask(serial)))
                serial += 1
        return late


async def _wait(asked: Awaitable[object]) -> None:
    await asked


def _usage(data: bytes) -> tuple[int, int] | None:
    """Prompt and completion tokens of a stream's last chunk, where it has them."""
    at = data.rfind(b'"usage":{')
    if at < 0:
        return None
    line = data[data.rfind(b"\ndata: ", 0, at) + len(b"\ndata: ") :].partition(b"\n")[0]
    usage = json.loads(line)["usage"]
    return usage["prompt_tokens"], usage["completion_tokens"]
