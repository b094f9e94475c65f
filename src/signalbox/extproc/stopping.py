"""When a server stops: a drain, then a grace, both of which can only be brought forward."""

from __future__ import annotations

import math
import time


class StopTimes:
    """Two points in monotonic time, at infinity until a drain begins.

    Written by signal handlers and other threads, read by the serving loop. Each is one float, replaced
    whole; a lock would be wrong here, because the thread a signal interrupts may be holding it.
    """

    __slots__ = ("accept_until", "cancel_at")

    def __init__(self) -> None:
        self.accept_until = math.inf  # no call is accepted after this
        self.cancel_at = math.inf  # what still runs then is cancelled

    @property
    def draining(self) -> bool:
        """Whether a stop was asked for."""
        return self.accept_until != math.inf

    def begin(self, drain_seconds: float, grace_seconds: float) -> None:
        """Accept calls for another `drain_seconds`, then let them run for `grace_seconds`."""
        accept_until = time.monotonic() + drain_seconds
        self.cancel_at = min(self.cancel_at, accept_until + grace_seconds)
        self.accept_until = min(self.accept_until, accept_until)
