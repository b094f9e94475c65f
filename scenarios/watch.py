"""What a sidecar says of the world while a scenario plays: its snapshots, several times a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import msgspec

from scenarios.load import Clock
from signalbox.world import CircuitState, Snapshot
from signalbox.world_file import WORLD_FILE
from tests.dataplane.stack import Stack

INTERVAL_SECONDS = 0.25
LEVELS = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}


class Look(NamedTuple):
    """One snapshot, and when it was looked at."""

    at: float
    world: Snapshot


class Watch:
    """Looks at one gateway. beside: called each time with the moment, for what else is to be noted."""

    def __init__(self, gateway: Stack, clock: Clock, beside: Callable[[float], None] | None = None) -> None:
        self._file = gateway.run_dir / WORLD_FILE
        self._clock = clock
        self._beside = beside
        self.looks: list[Look] = []

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look for as long as the block runs. Raises what a look raised."""
        task = asyncio.create_task(self._look_forever())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _look_forever(self) -> None:
        while True:
            if self._file.exists():
                world = msgspec.json.decode(self._file.read_bytes(), type=Snapshot)
                self.looks.append(Look(self._clock.now(), world))
            if self._beside is not None:
                self._beside(self._clock.now())
            await asyncio.sleep(INTERVAL_SECONDS)

    def circuit(self, model: str) -> list[tuple[float, int]]:
        """0 closed, 1 half open, 2 open, over time."""
        return [
            (look.at, LEVELS[look.world.models[model].circuit]) for look in self.looks if model in look.world.models
        ]

    def shift(self, router: str, model: str) -> list[tuple[float, float]]:
        """Share of a router's sessions that moves away from a model, over time."""
        return [(look.at, look.world.shifts.get(router, {}).get(model, 0.0)) for look in self.looks]
