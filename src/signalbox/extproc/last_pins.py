"""Pins as this worker saw them last: what stands in for a store that gives no answer in time.

An agent in the middle of its tool calls must not change models because a server was late for once. What is kept here
may be older than what the store has, by what other workers did since; it is asked only when the store says nothing.
"""

from __future__ import annotations

from collections import OrderedDict

from signalbox.world import Pin

MAX_PINS = 20_000  # about 500 bytes each


class LastPins:
    """Bounded; those not seen for longest go first. Times are seconds since the epoch. Used by one thread."""

    def __init__(self) -> None:
        self._pins: OrderedDict[str, tuple[Pin, float]] = OrderedDict()

    def note(self, session: str, pin: Pin | None, dies_seconds: float) -> None:
        """Keep what the store said of a session; None: it has no pin."""
        if pin is None:
            self._pins.pop(session, None)
            return
        self._pins[session] = pin, dies_seconds
        self._pins.move_to_end(session)
        if len(self._pins) > MAX_PINS:
            self._pins.popitem(last=False)

    def get(self, session: str, now_seconds: float) -> Pin | None:
        """Return a session's last pin, unless it has died since."""
        known = self._pins.get(session)
        return known[0] if known is not None and now_seconds < known[1] else None
