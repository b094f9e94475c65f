"""What a process says about its engines: one JSON line on stderr for each, never what was in a request."""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime

from signalbox.engines.open import Notice


class EngineLog:
    """Writes a line for each notice, and one for each place where an engine raised. Threads share one."""

    def __init__(self) -> None:
        self._places: set[tuple[str, str, int | None]] = set()

    def notice(self, notice: Notice) -> None:
        """Say what an operator should know."""
        _write("warning", "engine", engine=notice.engine, problem=notice.problem)

    def failed(self, engine: str, problem: BaseException) -> None:
        """Report an exception by its type and frames, once per place: its message may quote a prompt."""
        frames = traceback.extract_tb(problem.__traceback__)
        last = frames[-1] if frames else None
        place = (engine, last.filename if last else type(problem).__name__, last.lineno if last else None)
        if place in self._places:
            return
        self._places.add(place)
        _write(
            "error",
            "engine_failed",
            engine=engine,
            exception=type(problem).__name__,
            frames=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        )


def _write(level: str, event: str, **facts: object) -> None:
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "event": event, **facts}
    with suppress(OSError, ValueError):  # stderr is gone or closed: the metrics still count
        print(json.dumps(line), file=sys.stderr, flush=True)
