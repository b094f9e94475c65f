"""Reads a journal back: whole entries in the order they were written, and the marks that belong to them.

Made for directories that are being written meanwhile, and for what a crash leaves: lines that are torn or somebody
else's are stepped over and counted. Only lines of a newer version are an error, because leaving them out would
make every figure wrong without a word.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from signalbox.collector.journal.entry import VERSION, Entry, FeedbackEntry, RequestEntry, decode
from signalbox.collector.journal.files import CLOSED_SUFFIX, OPEN_SUFFIX, journal_files
from signalbox.errors import SetupError

MAX_LINE_BYTES = 1024 * 1024  # hundreds of times the longest of ours

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # the last one of a thousand brackets


class _Version(msgspec.Struct):
    v: int


class JournalReader:
    """One journal. Each iteration reads it anew, from the oldest entry to the newest.

    skipped: lines, or rests of broken files, that the last iteration could not read.
    Iterating raises SetupError when there is no journal or a newer Signalbox wrote it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.skipped = 0

    def __iter__(self) -> Iterator[Entry]:
        self.skipped = 0
        for path in self._files():
            for number, line in enumerate(self._lines(path), start=1):
                entry = self._entry(line, path, number)
                if entry is not None:
                    yield entry

    def marked(self) -> Iterator[tuple[RequestEntry, FeedbackEntry | None]]:
        """Yield each request with the last mark it was given. Reads twice: marks come after what they mark."""
        marks = {entry.id: entry for entry in self if isinstance(entry, FeedbackEntry)}
        for entry in self:
            if isinstance(entry, RequestEntry):
                yield entry, marks.get(entry.id)

    def _files(self) -> list[Path]:
        try:
            files = journal_files(self._directory)
        except OSError as problem:
            raise self._no_journal(f"cannot be read: {problem.strerror}") from problem
        if not files:
            raise self._no_journal("holds no journal")
        return files

    def _no_journal(self, found: str) -> SetupError:
        return SetupError(
            f"{self._directory} {found}\n"
            "  expected: the directory that `journal.directory` of a policy names, after the first requests\n"
            "  fix: check the path, and that the policy has a `journal`"
        )

    def _lines(self, path: Path) -> Iterator[bytes]:
        file = _open(path)
        if file is None:
            return  # removed since it was listed: it was the oldest
        with closing(file):
            while True:
                try:
                    line = file.readline(MAX_LINE_BYTES)
                except (OSError, EOFError, zlib.error):  # damaged; what came before is whole
                    self.skipped += 1
                    return
                if not line:
                    return
                yield line

    def _entry(self, line: bytes, path: Path, number: int) -> Entry | None:
        try:
            entry = decode(line)
        except UNREADABLE:
            self._refuse_newer(_version(line), path, number)
            self.skipped += 1
            return None
        self._refuse_newer(entry.v, path, number)
        return entry

    @staticmethod
    def _refuse_newer(version: int, path: Path, number: int) -> None:
        if version > VERSION:
            raise SetupError(
                f"{path}:{number}: written by a newer Signalbox, in version {version} of the journal\n"
                f"  expected: version {VERSION} at most\n"
                "  fix: read it with the release that wrote it, or a later one"
            )


def _version(line: bytes) -> int:
    try:
        return msgspec.json.decode(line, type=_Version).v
    except UNREADABLE:
        return 0


def _open(path: Path) -> BinaryIO | None:
    """Open a file under the name it has by now; None when it is gone."""
    if path.name.endswith(OPEN_SUFFIX):
        try:
            return path.open("rb")
        except FileNotFoundError:  # compressed since it was listed
            path = path.with_name(path.name.removesuffix(OPEN_SUFFIX) + CLOSED_SUFFIX)
    try:
        return cast("BinaryIO", gzip.open(path, "rb"))
    except FileNotFoundError:
        return None
