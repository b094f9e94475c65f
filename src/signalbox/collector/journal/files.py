"""The files of a journal: one is written, the closed ones are compressed, the oldest go.

    journal-20261121T120000.000000Z.jsonl      being written, or closed a moment ago
    journal-20261121T110000.000000Z.jsonl.gz   closed

A name says when its file was begun, so names sort by time; after the clock went back, the next name still comes
after the last. Only the newest file is ever written, and it is all that compressing and removing leave alone: so both
may go on in another thread. A file that a crash left behind is written on, behind its last whole line. Blocking:
everything here belongs into a thread.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

OPEN_SUFFIX, CLOSED_SUFFIX, PARTIAL_SUFFIX = ".jsonl", ".jsonl.gz", ".jsonl.gz.partial"
LOCK_NAME = ".journal.lock"
COMPRESS_LEVEL = 3  # within a tenth of level 6 in size, at a third of its time
COPY_BYTES = 256 * 1024

_DATE = r"20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3])[0-5]\d[0-5]\d\.\d{6}Z"
_NAME = re.compile(rf"(journal-{_DATE})(\.jsonl|\.jsonl\.gz|\.jsonl\.gz\.partial)")
_STEM_FORMAT = "journal-%Y%m%dT%H%M%S.%fZ"
_NEWLINE = ord("\n")


def journal_files(directory: Path) -> list[Path]:
    """Return a journal's files in order of time. A file that is there twice is compressed already.

    Raises OSError when the directory cannot be read.
    """
    by_stem: dict[str, Path] = {}
    for stem, suffix, path in _named(directory):
        if suffix == CLOSED_SUFFIX or (suffix == OPEN_SUFFIX and stem not in by_stem):
            by_stem[stem] = path
    return [by_stem[stem] for stem in sorted(by_stem)]


def tidy(directory: Path, files: int) -> None:
    """Compress every file but the newest, and remove the oldest beyond `files`.

    Raises OSError when the disk does not let it; what is done stays done.
    """
    _remove_oldest(directory, files)  # first: compressing needs room
    named = sorted(_named(directory))
    newest = max((stem for stem, suffix, _ in named if suffix != PARTIAL_SUFFIX), default="")
    for stem, suffix, path in named:
        if suffix == OPEN_SUFFIX and stem != newest:
            _compress(path, directory / f"{stem}{CLOSED_SUFFIX}")
        elif suffix == PARTIAL_SUFFIX:
            path.unlink(missing_ok=True)
    _remove_oldest(directory, files)


class JournalFiles:
    """Appends to the newest file of a directory, and begins the next one when it is full. For one thread.

    max_bytes: largest size of a file before compression; a batch of lines larger than that has a file of its own.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._lock: int | None = None
        self._open: int | None = None
        self._path: Path | None = None
        self._bytes = 0
        self._torn = False  # the file ends in the middle of a line

    def append(self, lines: bytes, now_seconds: float) -> bool:
        """Write whole lines to the disk. Returns whether a file was begun, so that there is something to tidy.

        now_seconds: since the epoch. Raises OSError when not all of them could be written; then none is.
        """
        begun = self._open is None or not self._is_still_there()
        if begun:
            self._begin(now_seconds, fresh=False)
        if self._bytes and self._bytes + len(lines) > self._max_bytes:
            self._begin(now_seconds, fresh=True)
            begun = True
        descriptor, before = self._descriptor, self._bytes
        rest = memoryview(b"\n" + lines if self._torn else lines)
        try:
            while rest:
                written = os.write(descriptor, rest)
                self._torn = rest[written - 1] != _NEWLINE
                self._bytes += written
                rest = rest[written:]
        except OSError:
            with suppress(OSError):  # a disk that fails twice leaves a torn line; readers step over it
                os.ftruncate(descriptor, before)
                self._bytes, self._torn = before, self._torn_at(before)
            raise
        return begun

    def close(self) -> None:
        """Let go of the file and the directory; whoever comes next writes on."""
        self._let_go()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _descriptor(self) -> int:
        assert self._open is not None
        return self._open

    def _begin(self, now_seconds: float, *, fresh: bool) -> None:
        """Open a file: the newest there is, if it has room and nobody wants a fresh one, or the next."""
        self._let_go()
        if self._lock is None or not self._path_is(self._lock, self.directory / LOCK_NAME):
            self._take_lock()
        names = [(stem, path) for stem, suffix, path in sorted(_named(self.directory)) if suffix != PARTIAL_SUFFIX]
        newest, left = names[-1] if names else ("", None)
        if not fresh and left is not None and left.suffix == OPEN_SUFFIX and left.stat().st_size < self._max_bytes:
            path = left
        else:
            path = self.directory / f"{_stem_after(newest, now_seconds)}{OPEN_SUFFIX}"
        self._open = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._path = path
        self._bytes = os.fstat(self._open).st_size
        self._torn = self._torn_at(self._bytes)

    def _torn_at(self, end: int) -> bool:
        return end > 0 and os.pread(self._descriptor, 1, end - 1) != b"\n"

    def _take_lock(self) -> None:
        # Two writers would remove each other's files; the kernel frees the lock of a process that died.
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        lock = os.open(self.directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            os.close(lock)
            if isinstance(problem, BlockingIOError):
                raise OSError(errno.EBUSY, "another process writes this journal") from problem
            raise
        self._lock = lock

    def _is_still_there(self) -> bool:
        return self._path is not None and self._path_is(self._descriptor, self._path)

    @staticmethod
    def _path_is(descriptor: int, path: Path) -> bool:
        """Whether the path still leads to this file: somebody may have moved or removed it, or the directory."""
        try:
            return os.path.samestat(os.fstat(descriptor), path.stat())
        except OSError:
            return False

    def _let_go(self) -> None:
        if self._open is not None:
            os.close(self._open)
        self._open = self._path = None
        self._bytes, self._torn = 0, False


def _remove_oldest(directory: Path, files: int) -> None:
    stems: dict[str, list[Path]] = {}
    for stem, suffix, path in _named(directory):
        if suffix != PARTIAL_SUFFIX:
            stems.setdefault(stem, []).append(path)
    for stem in sorted(stems)[:-files]:
        for path in stems[stem]:
            path.unlink(missing_ok=True)


def _named(directory: Path) -> Iterator[tuple[str, str, Path]]:
    """Stem, suffix and path of whatever has a name of ours; anything else in the directory is left alone."""
    for path in directory.iterdir():
        found = _NAME.fullmatch(path.name)
        if found:
            yield found[1], found[2], path


def _stem_after(newest: str, now_seconds: float) -> str:
    stem = datetime.fromtimestamp(now_seconds, UTC).strftime(_STEM_FORMAT)
    if stem > newest:
        return stem
    with suppress(ValueError):  # somebody wrote down a 31st of February
        moment = datetime.strptime(newest, _STEM_FORMAT).replace(tzinfo=UTC)
        return (moment + timedelta(microseconds=1)).strftime(_STEM_FORMAT)
    return stem


def _compress(path: Path, target: Path) -> None:
    """Replace a closed file with its compressed self; a crash at any point leaves one whole of the two."""
    if not target.exists():
        partial = target.with_name(target.name + ".partial")
        partial.touch(0o640)  # who may not read the lines may not read them compressed either
        with path.open("rb") as plain, partial.open("wb") as raw:
            # No name and no time in the header: the same lines give the same bytes.
            with gzip.GzipFile("", "wb", COMPRESS_LEVEL, raw, mtime=0) as packed:
                shutil.copyfileobj(plain, packed, COPY_BYTES)
            raw.flush()
            os.fsync(raw.fileno())  # or a power cut leaves the new name and neither content
        partial.rename(target)
    path.unlink()
