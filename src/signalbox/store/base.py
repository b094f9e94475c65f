"""The contract of a store. `embedded` keeps everything in one file for one pod, `shared` in Redis for many.

Every operation is atomic: two workers, or two pods, asking at once get one answer. Every operation may fail, and then
raises `StoreError` within the store's time budget; whoever asked goes on without an answer. One that was late may have
happened all the same: a hold it left behind is void at its end. Keys are hashes or names of the policy, never anything
a client wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from signalbox.errors import SignalboxError
from signalbox.world import Hold, Pin


class StoreError(SignalboxError):
    """The store gave no answer.

    kind: a closed set, for metrics. "late": over its time budget; "down": no connection, or resting after failures;
    "broken": an answer nobody can read.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Store(Protocol):
    """Pins, budgets and facts. One object may be used from one thread at a time."""

    def pin(self, session: str, ttl_seconds: int) -> Pin | None:
        """Return a session's pin and let it live for `ttl_seconds` more, or a little longer."""

    def claim(self, session: str, model: str, ttl_seconds: int, *, instead_of: str | None = None) -> Pin:
        """Pin a session that has no pin, or still has `instead_of`; return the pin that holds afterwards.

        That counts a turn. Of several that ask at once, one decides and all are told the same.
        """

    def observe(self, session: str, model: str, input_tokens: int, cached_tokens: int, turns: int = 0) -> None:
        """Note what an answer showed of the cache, and count `turns` that no claim has counted.

        input_tokens: 0 when the answer showed nothing; what is known stays then. Nothing happens when the session has
        another model, or no pin.
        """

    def hold(self, request: str, holds: Sequence[Hold], now_seconds: float) -> str | None:
        """Claim all holds for a request, or none. Returns the first budget whose limit is reached, None if held.

        A hold is granted while what was spent and is held lies below the limit, so a budget is exceeded by one hold at
        most, however many ask at once. Holding a budget again for the same request replaces the hold.

        A budget is named `UNIT/PERIOD/…`, so that one whose period is a day, `YYYY-MM-DD`, is forgotten sooner.
        """

    def settle(self, request: str, amounts: Sequence[tuple[str, int]]) -> None:
        """End a request's holds: (budget, spent amount) for each; 0 releases.

        Doing it twice counts once, for `lifetimes.SETTLED_SECONDS`. What was spent counts without a hold, too.
        """

    def spent(self, budget: str, now_seconds: float) -> tuple[int, int]:
        """Return what was spent of a budget, and what is held."""

    def get(self, name: str) -> bytes | None:
        """Return a fact."""

    def put(self, name: str, value: bytes) -> None:
        """Keep a fact until it is replaced."""

    def close(self) -> None:
        """Let go of the file or connection."""
