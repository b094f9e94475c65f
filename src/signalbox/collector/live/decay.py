"""Sums in which what is older counts less: half as much after each half-life.

Clocks are seconds that never go back; one that does anyway stands still here.
"""

from __future__ import annotations

import math


class DecayedSum:
    """A sum of numbers whose weight halves with each half-life."""

    __slots__ = ("_at_seconds", "_half_life_seconds", "_value")

    def __init__(self, half_life_seconds: float) -> None:
        self._half_life_seconds = half_life_seconds
        self._value = 0.0
        self._at_seconds = -math.inf

    def add(self, amount: float, now_seconds: float) -> None:
        """Add `amount` with weight 1."""
        self._move(now_seconds)
        self._value += amount

    def at(self, now_seconds: float) -> float:
        """Return the sum as of now."""
        passed = now_seconds - self._at_seconds
        return self._value if passed <= 0 else self._value * 0.5 ** min(passed / self._half_life_seconds, 1000.0)

    def change_half_life(self, half_life_seconds: float, now_seconds: float) -> None:
        """Decay from now on at another rate."""
        self._move(now_seconds)
        self._half_life_seconds = half_life_seconds

    def _move(self, now_seconds: float) -> None:
        self._value = self.at(now_seconds)
        self._at_seconds = max(self._at_seconds, now_seconds)
