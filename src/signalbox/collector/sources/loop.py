"""Asks one source for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from signalbox.errors import SignalError
from signalbox.telemetry import SourceOutcome

JITTER = 0.1
"""Share of the interval by which a wait is longer or shorter, so that many sidecars do not ask in step."""

GRACE_SECONDS = 1.0
"""Given to a request beyond its own timeout, to read, check and keep the answer."""


class SourceError(SignalError):
    """A source gave nothing to use; `outcome` says why. The text holds nothing that came from outside."""

    def __init__(self, outcome: SourceOutcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class Refresher:
    """Calls `refresh` at once and then on an interval, whatever comes of it.

    refresh: asks once, keeps what is good, and returns UPDATED, PARTIAL or EMPTY; raises SourceError otherwise.
    told: called with the outcome of each round. dice: numbers in [0, 1). sleep: waits for some seconds.
    """

    def __init__(
        self,
        refresh: Callable[[], Awaitable[SourceOutcome]],
        told: Callable[[SourceOutcome], None],
        *,
        interval_seconds: float,
        timeout_seconds: float,
        dice: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._refresh = refresh
        self._told = told
        self._interval_seconds = interval_seconds
        self._timeout_seconds = timeout_seconds
        self._dice = dice
        self._sleep = sleep

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.once()
            await self._sleep(self.wait_seconds())

    async def once(self) -> SourceOutcome:
        """Ask one time. Returns what came of it, which has been told; raises nothing but cancellation."""
        try:
            async with asyncio.timeout(self._timeout_seconds + GRACE_SECONDS):
                outcome = await self._refresh()
        except SourceError as problem:
            outcome = problem.outcome
        except TimeoutError:
            outcome = SourceOutcome.TIMEOUT
        except Exception:  # noqa: BLE001 - counted by its outcome; the next round may go better
            outcome = SourceOutcome.FAILED
        self._told(outcome)
        return outcome

    def wait_seconds(self) -> float:
        """Return how long to wait now: the interval, give or take a tenth."""
        return self._interval_seconds * (1 + JITTER * (2 * self._dice() - 1))
