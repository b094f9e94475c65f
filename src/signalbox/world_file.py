"""Where the collector's snapshot lies, and how a worker gets the newest one without waiting for anything.

A thread looks at the file many times a second and swaps one reference; a decision reads that reference.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from signalbox.world import NOTHING_KNOWN, ModelState, Snapshot

WORLD_FILE = "world.json"

POLL_SECONDS = 0.05  # a stat() costs microseconds
MAX_AGE_SECONDS = 60.0  # what was true a minute ago is no reason to prefer one model to another
MAX_BYTES = 64 * 1024 * 1024  # a thousand models are half a megabyte; more than this is not ours

_DECODER = msgspec.json.Decoder(Snapshot)


class WorldReader:
    """The newest snapshot in `current`; any thread may read it at any time.

    A file that is missing or cannot be read leaves the last good one there. One that nobody replaces for
    `max_age_seconds` stands for a stalled collector: then `current` is what `settled` leaves of it, until it is
    replaced. Age is counted on the monotonic clock from when the change was seen, so a wall clock that jumps
    spoils nothing; only the first file seen, which may lie there from long ago, is judged by the time written in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_age_seconds: float = MAX_AGE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """clock: seconds that never go back. wall_clock: seconds since the epoch."""
        self.current = NOTHING_KNOWN
        self.unreadable = 0  # files that held anything else than a snapshot
        self._path = path
        self._max_age_seconds = max_age_seconds
        self._clock, self._wall_clock = clock, wall_clock
        self._newest: Snapshot | None = None
        self._changed_seconds = clock()
        self._seen: tuple[int, int, int] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def age_seconds(self) -> float:
        """Seconds since the file was replaced by a readable one, or since the start if it never was."""
        return max(0.0, self._clock() - self._changed_seconds)

    def start(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Look once, then go on looking in a thread of its own."""
        self.look()
        self._thread = threading.Thread(target=self._run, args=(poll_seconds,), name="world", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, poll_seconds: float) -> None:
        while not self._stopping.wait(poll_seconds):
            self.look()

    def look(self) -> None:
        """Look at the file once. Raises nothing."""
        found = self._changed()
        if found is not None:
            age = max(0.0, self._wall_clock() - found.published_seconds) if self._newest is None else 0.0
            self._newest, self._changed_seconds = found, self._clock() - age
            self.current = found
        if self._newest is not None and self.age_seconds > self._max_age_seconds and self.current is self._newest:
            self.current = settled(self._newest)

    def _changed(self) -> Snapshot | None:
        """Return what is in the file if that is new and readable."""
        try:
            status = os.stat(self._path)
            seen = status.st_ino, status.st_mtime_ns, status.st_size
            if seen == self._seen:
                return None
            self._seen = seen
            if status.st_size > MAX_BYTES:
                raise ValueError("too large")
            return _DECODER.decode(self._path.read_bytes())
        except OSError:
            self._seen = None  # not written yet, or not ours to read yet: look again
            return None
        except (ValueError, RecursionError):
            self.unreadable += 1
            return None


def settled(snapshot: Snapshot) -> Snapshot:
    """Return what holds of a snapshot however old it is: prices, and what was decided about rollouts.

    Measurements grow old. That a rollout was rolled back does not: forgetting it would send requests to what failed.
    """
    prices = {name: ModelState(price=state.price) for name, state in snapshot.models.items() if state.price is not None}
    return Snapshot(
        generation=snapshot.generation,
        published_seconds=snapshot.published_seconds,
        models=prices,
        rollouts=snapshot.rollouts,
    )
