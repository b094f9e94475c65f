"""The loop that asks for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from signalbox.collector.sources.loop import Refresher, SourceError
from signalbox.telemetry import SourceOutcome


def refresher(
    refresh: Callable[[], Awaitable[SourceOutcome]],
    told: list[SourceOutcome],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    dice: Callable[[], float] = lambda: 0.5,
    timeout_seconds: float = 5,
) -> Refresher:
    return Refresher(
        refresh, told.append, interval_seconds=100, timeout_seconds=timeout_seconds, dice=dice, sleep=sleep
    )


def raising(problem: Exception) -> Callable[[], Awaitable[SourceOutcome]]:
    async def refresh() -> SourceOutcome:
        raise problem

    return refresh


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        (SourceError(SourceOutcome.STATUS, "502"), SourceOutcome.STATUS),
        (TimeoutError(), SourceOutcome.TIMEOUT),
        (ValueError("a defect"), SourceOutcome.FAILED),
        (RecursionError(), SourceOutcome.FAILED),
        (OSError(), SourceOutcome.FAILED),
    ],
)
def test_whatever_goes_wrong_is_told_and_goes_no_further(problem, outcome):
    told: list[SourceOutcome] = []
    assert asyncio.run(refresher(raising(problem), told).once()) == outcome
    assert told == [outcome]


def test_a_refresh_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr("signalbox.collector.sources.loop.GRACE_SECONDS", 0.0)

    async def hang() -> SourceOutcome:
        await asyncio.Event().wait()
        return SourceOutcome.UPDATED

    told: list[SourceOutcome] = []
    asyncio.run(refresher(hang, told, timeout_seconds=0.01).once())
    assert told == [SourceOutcome.TIMEOUT]


def test_it_asks_at_once_and_again_after_each_interval_whatever_came_of_it():
    waits: list[float] = []
    told: list[SourceOutcome] = []
    answers = iter([ValueError(), SourceOutcome.UPDATED, SourceError(SourceOutcome.EMPTY, "")])

    async def refresh() -> SourceOutcome:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(refresher(refresh, told, sleep=sleep, dice=iter([0.0, 0.5, 0.999]).__next__).run())
    assert told == [SourceOutcome.FAILED, SourceOutcome.UPDATED, SourceOutcome.EMPTY]
    assert waits == pytest.approx([90, 100, 110], abs=0.1)
