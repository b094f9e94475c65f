"""What a worker says about its own faults: where, never what was in the request.

An exception's message may quote a prompt, so only its type and the frames it passed are written. The count
of refusals is in the access log; a line here is for finding the line of code.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from datetime import UTC, datetime

MAX_PLACES = 256  # distinct places reported per policy; a loop of faults must not become a flood of lines


class FaultLog:
    """Writes one JSON line to stderr for each distinct place that failed."""

    def __init__(self) -> None:
        self._places: set[tuple[str, str, int | None]] = set()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Report every place again, because the policy that led there has changed."""
        with self._lock:
            self._places.clear()

    def report(self, problem: BaseException, decision_id: str) -> None:
        """Log an exception's type and frames, once per place. Never raises, never writes its message."""
        frames = traceback.extract_tb(problem.__traceback__)
        last = frames[-1] if frames else None
        place = (type(problem).__name__, last.filename if last else "", last.lineno if last else None)
        with self._lock:
            if place in self._places or len(self._places) >= MAX_PLACES:
                return
            self._places.add(place)
        line = json.dumps(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "level": "error",
                "event": "decide_failed",
                "id": decision_id,
                "exception": type(problem).__name__,
                "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        )
        try:
            print(line, file=sys.stderr, flush=True)
        except (OSError, ValueError):
            return  # stderr is gone or closed; the access log still counts the refusal
