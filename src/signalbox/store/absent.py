"""The store of those that could not have theirs: it says so from each operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from signalbox.store.base import StoreError
from signalbox.world import Hold, Pin


class AbsentStore:
    """See `base.Store`. why: what was wrong when the real one was to be opened."""

    def __init__(self, why: str) -> None:
        self._why = why

    def pin(self, session: str, ttl_seconds: int) -> Pin | None:
        """Raises StoreError, as all others do."""
        self._fail()

    def claim(self, session: str, model: str, ttl_seconds: int, *, instead_of: str | None = None) -> Pin:
        self._fail()

    def observe(self, session: str, model: str, input_tokens: int, cached_tokens: int, turns: int = 0) -> None:
        self._fail()

    def hold(self, request: str, holds: Sequence[Hold], now_seconds: float) -> str | None:
        self._fail()

    def settle(self, request: str, amounts: Sequence[tuple[str, int]]) -> None:
        self._fail()

    def spent(self, budget: str, now_seconds: float) -> tuple[int, int]:
        self._fail()

    def get(self, name: str) -> bytes | None:
        self._fail()

    def put(self, name: str, value: bytes) -> None:
        self._fail()

    def close(self) -> None:
        """There is nothing to let go of."""

    def _fail(self) -> NoReturn:
        raise StoreError("down", self._why)
