"""A store with a clock that tests can turn, for either kind."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol, cast

import redis

from signalbox.store.base import Store
from signalbox.store.embedded import EmbeddedStore
from signalbox.store.open import FILE
from signalbox.store.shared import RedisStore

from .redis_server import RedisServer


class StoreBench(Protocol):
    def open(self) -> Store:
        """One more user of the same state."""

    def advance(self, seconds: int) -> None:
        """Let time pass for everything that is kept."""

    def clear(self) -> None:
        """Forget everything; stores that are open stay usable."""


class EmbeddedBench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 1000.0
        self._opened: list[EmbeddedStore] = []

    def open(self) -> EmbeddedStore:
        # Patient, because the machine that tests run on is busy.
        store = EmbeddedStore(self.directory / FILE, timeout_ms=5000, clock=lambda: self.now, tidy=False)
        self._opened.append(store)
        return store

    def advance(self, seconds: int) -> None:
        self.now += seconds

    def clear(self) -> None:
        self.now += 1e9
        store = self.open()
        store._run(lambda connection: connection.executescript("DELETE FROM budgets; DELETE FROM facts;"))
        store.close()

    def close(self) -> None:
        for store in self._opened:
            store.close()


class RedisBench:
    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self._opened: list[RedisStore] = []

    def open(self) -> RedisStore:
        store = RedisStore(self.server.settings())
        self._opened.append(store)
        return store

    def advance(self, seconds: int) -> None:
        """Shorten every life instead: a server's clock cannot be turned."""
        with self.server.client() as client:
            for key in cast("list[bytes]", client.keys("*")):
                left = cast(int, client.ttl(key))
                assert left > 0, f"{key!r} would stay for ever"
                if left > seconds:
                    client.expire(key, left - seconds)
                else:
                    client.delete(key)

    def clear(self) -> None:
        with self.server.client() as client:
            client.flushall()

    def close(self) -> None:
        for store in self._opened:
            with contextlib.suppress(redis.RedisError):
                store.close()
