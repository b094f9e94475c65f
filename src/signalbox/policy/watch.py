"""Notices that the policy file changed, by looking again. Reads bytes; what they say is up to `load`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from signalbox.errors import SignalError
from signalbox.policy.document import MAX_POLICY_BYTES

FAILURES_BEFORE_PROBLEM = 2  # between unlink and rename a file is away for a moment; that is no news


class PolicyWatcher:
    """Polls one path, through whatever symlinks lead to it now.

    Polling, because a ConfigMap changes by a swap two symlinks above the file, editors rename, and inotify
    sees either only with care and network volumes not at all. The content is read on each poll, because a
    write within one tick of the file clock changes no stat field; a policy is a few KiB.
    """

    def __init__(self, path: Path, *, seen: bytes | None = None) -> None:
        """seen: content the caller has already; without it the first stable content counts as a change."""
        self._path = path
        self._seen = seen
        self._pending: bytes | None = None
        self._failures = 0
        self._problem: SignalError | None = None

    @property
    def problem(self) -> SignalError | None:
        """Why the file cannot be read, once that lasts longer than a rename; None while it can."""
        return self._problem if self._failures >= FAILURES_BEFORE_PROBLEM else None

    def poll(self) -> bytes | None:
        """The new content, once, after it has been the same on two polls; else None. Raises nothing.

        A file above the size limit is returned cut, one byte too long, for the loader to refuse.
        """
        try:
            content = _read(self._path)
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            self._problem = SignalError(f"{self._path}: the policy cannot be read: {reason}")
            self._failures += 1
            self._pending = None
            return None
        self._failures, self._problem = 0, None
        if content == self._seen:
            self._pending = None
            return None
        if content != self._pending:
            self._pending = content  # perhaps half-written: wait until it holds still
            return None
        self._seen, self._pending = content, None
        return content


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hang the supervisor
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a regular file")
        return file.read(MAX_POLICY_BYTES + 1)
