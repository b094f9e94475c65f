"""Takes entries from the event loop and brings them to the disk, from threads of its own.

Losing lines is better than holding up anything: the queue is bounded, a disk that is full or broken costs the lines
of the moment, and the next batch tries again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from signalbox.collector.journal.files import JournalFiles, tidy
from signalbox.policy.world import Journal
from signalbox.telemetry import JournalOutcome

FLUSH_SECONDS = 0.25
MAX_QUEUED_BYTES = 8 * 1024 * 1024  # some seconds of a stuck disk at full load
BATCH_BYTES = 64 * 1024  # the smallest file a policy may ask for: a batch never makes one twice as large


class JournalWriter:
    """Writes lines to the journal a policy names. `write` and `use` return at once, whatever the disk does.

    wall: seconds since the epoch; names of files come from it.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._section: Journal | None = None
        self._lock = threading.Lock()
        self._queue: list[bytes | _Turn] = []
        self._queued_bytes = 0
        self._counts = dict.fromkeys(JournalOutcome, 0)
        self._problem = ""
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._files: JournalFiles | None = None
        self._kept = 0  # files, by the section in use
        self._untidy: tuple[Path, int] | None = None  # what the other thread is to do next
        self._is_tidying = False

    @property
    def is_on(self) -> bool:
        return self._section is not None

    @property
    def counts(self) -> dict[JournalOutcome, int]:
        """Lines so far, by what became of them."""
        with self._lock:
            return dict(self._counts)

    def take_problem(self) -> str:
        """Return what went wrong last, a word without paths, and forget it; empty if nothing did."""
        with self._lock:
            problem, self._problem = self._problem, ""
        return problem

    def use(self, section: Journal | None) -> None:
        """Write to this journal from now on, or to none; lines queued before still go where they belong."""
        if section == self._section:
            return
        self._section = section
        with self._lock:
            self._queue.append(_Turn(section))
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_forever, name="journal", daemon=True)
            self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue one line, newline included; without a journal nothing happens."""
        if self._section is None:
            return
        with self._lock:
            if self._queued_bytes + len(line) > MAX_QUEUED_BYTES:
                self._counts[JournalOutcome.DROPPED] += 1
                return
            self._queue.append(line)
            self._queued_bytes += len(line)

    def close(self, deadline_seconds: float = 2.0) -> None:
        """Write what is queued, for as long as `deadline_seconds`; a stuck disk loses the rest."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(deadline_seconds)

    # ------------------------------------------------------------------ in the thread

    def _write_forever(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._flush()
        self._flush()
        self._stop_files()

    def _flush(self) -> None:
        with self._lock:
            queue, self._queue = self._queue, []
        batch: list[bytes] = []
        batch_bytes = 0
        for item in queue:
            if isinstance(item, _Turn) or batch_bytes + len(item) > BATCH_BYTES:
                self._append(batch)
                batch, batch_bytes = [], 0
            if isinstance(item, _Turn):
                self._turn(item.section)
            else:
                batch.append(item)
                batch_bytes += len(item)
        self._append(batch)

    def _turn(self, section: Journal | None) -> None:
        self._stop_files()
        if section is not None:
            self._files, self._kept = JournalFiles(Path(section.directory), section.max_bytes), section.files

    def _append(self, lines: list[bytes]) -> None:
        if not lines:
            return
        outcome, files = JournalOutcome.FAILED, self._files
        try:
            if files is not None and files.append(b"".join(lines), self._wall()):
                self._tidy(files.directory, self._kept)
            outcome = JournalOutcome.WRITTEN if files is not None else outcome
        except Exception as problem:  # noqa: BLE001 - a thread that ends would lose every line after this one
            self._report(problem)
        with self._lock:
            self._counts[outcome] += len(lines)
            self._queued_bytes -= sum(map(len, lines))  # only now: what is being written counts too

    def _stop_files(self) -> None:
        if self._files is not None:
            with suppress(OSError):  # closing tells of writes that failed on a network disk; nothing is left to do
                self._files.close()
            self._files = None

    def _tidy(self, directory: Path, files: int) -> None:
        """Compress in another thread: that takes a second or two for a large file, and lines keep coming."""
        with self._lock:
            self._untidy = directory, files
            if not self._is_tidying:
                self._is_tidying = True
                threading.Thread(target=self._tidy_up, name="journal-tidy", daemon=True).start()

    def _tidy_up(self) -> None:
        while True:
            with self._lock:
                untidy, self._untidy = self._untidy, None
                if untidy is None:
                    self._is_tidying = False
                    return
            try:
                tidy(*untidy)
            except Exception as problem:  # noqa: BLE001 - or nobody would tidy ever after
                self._report(problem)

    def _report(self, problem: Exception) -> None:
        reason = problem.strerror if isinstance(problem, OSError) else None
        with self._lock:
            self._problem = reason or type(problem).__name__  # without the path that str() would show


class _Turn:
    """In the queue: from here on, another journal."""

    __slots__ = ("section",)

    def __init__(self, section: Journal | None) -> None:
        self.section = section
