"""What a long run says while it works: the step, how far it is, how long it has taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_EVERY_SECONDS = 10.0  # a line in a log; a terminal's line is kept up to date


class Progress:
    """Steps, one after another. Silent where `out` is None."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out
        self._began = time.monotonic()
        self._state = ""
        self._lock = threading.Lock()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step, go on saying that it runs, and say what it took."""
        began = time.monotonic()
        self._state = ""
        ended = threading.Event()
        self._say(f"{name} ...")
        ticker = threading.Thread(target=self._tick, args=(name, began, ended), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()
        self._say(f"{name}: {time.monotonic() - began:.1f} s")

    def at(self, done: int, of: int) -> None:
        """Say how far the step is, with its next sign of life."""
        self._state = f", {done} of {of}"

    def note(self, text: str) -> None:
        """Say something that was found out."""
        self._say(text)

    def _tick(self, name: str, began: float, ended: threading.Event) -> None:
        while not ended.wait(_EVERY_SECONDS):
            self._say(f"{name}: {time.monotonic() - began:.0f} s so far{self._state}")

    def _say(self, text: str) -> None:
        if self._out is not None:
            with self._lock:
                print(f"[{time.monotonic() - self._began:6.1f} s] {text}", file=self._out, flush=True)
