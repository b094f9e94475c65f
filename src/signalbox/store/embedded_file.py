"""The file of the embedded store: where it is, its tables, and what happens when it is damaged.

The file has generations: `state.sqlite`, `state.1.sqlite`, and so on; the newest one counts. A damaged one is left
where it lies and the next begun. It is never renamed or deleted under its users: SQLite removes a write-ahead log by
name when the last of them closes, and would remove that of a successor with the same name.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from signalbox.errors import SetupError

SCHEMA_VERSION = 1
OLDEST_SQLITE = (3, 37)  # STRICT tables; RETURNING came with 3.35
OPEN_SECONDS = 0.2  # what others that open the file are waited for, outside of requests
MAX_PAGES = 262_144  # 1 GiB of 4 KiB pages: some ten million sessions; full, the store says so and stays readable

SCHEMA = """
CREATE TABLE boot(id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE pins(
    session TEXT PRIMARY KEY, model TEXT NOT NULL, turns INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, dies REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE budgets(
    budget TEXT PRIMARY KEY, spent INTEGER NOT NULL, held INTEGER NOT NULL, dies REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE holds(
    budget TEXT NOT NULL, request TEXT NOT NULL, amount INTEGER NOT NULL, expires REAL NOT NULL,
    PRIMARY KEY (budget, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_by_end ON holds(budget, expires);
CREATE TRIGGER holds_go_with_their_budget AFTER DELETE ON budgets
    BEGIN DELETE FROM holds WHERE budget = old.budget; END;
CREATE TABLE settled(request TEXT PRIMARY KEY, dies REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE facts(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""
"""`dies` is on the monotonic clock, which every process of a machine shares and nobody can set; the ends of holds are
on the caller's. `settled.request` is request and budget in one."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)  # ERROR: its tables are gone


def is_damage(error: sqlite3.Error) -> bool:
    """Whether only a new file can help."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process was writing."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def newest(path: Path) -> tuple[int, Path]:
    """The generation that counts and its file; generation 0 at `path` itself when there is none yet."""
    pattern = re.compile(rf"{re.escape(path.stem)}\.(\d+){re.escape(path.suffix)}\Z")
    numbers = [int(match[1]) for other in path.parent.glob("*") if (match := pattern.match(other.name))]
    return _generation(path, max(numbers, default=0))


def begin_anew(path: Path, damaged: int, wait_seconds: float) -> None:
    """Make the generation after `damaged` the one that counts, unless another process has done so already.

    The damaged file stays for whoever wants to look at it; the one before it goes.

    Raises OSError if the directory cannot be written, or another process held its lock for `wait_seconds`.
    """
    with _lock(path, wait_seconds):
        if newest(path)[0] > damaged:
            return
        _generation(path, damaged + 1)[1].touch(mode=0o600, exist_ok=True)
        if damaged > 0:
            before = _generation(path, damaged - 1)[1]
            for suffix in ("", "-wal", "-shm"):
                before.with_name(before.name + suffix).unlink(missing_ok=True)


def open_file(path: Path, now: float, wait_seconds: float) -> tuple[sqlite3.Connection, int]:
    """Open the newest generation and make its tables when it is empty. Returns the connection and the generation.

    now: on the monotonic clock. wait_seconds: for others that open or write it.

    Raises sqlite3.Error or OSError when it cannot be opened, or is damaged, or of another version (SQLITE_NOTADB), and
    SetupError when this Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise SetupError(
            f"SQLite is version {sqlite3.sqlite_version}, expected {wanted} or newer; "
            "fix: use a newer Python build, or name a Redis server under `state.redis`"
        )
    with _lock(
        path, wait_seconds
    ):  # two that switch a new file to its write-ahead log at once get an error instead of a wait
        number, file = newest(path)
        connection = sqlite3.connect(
            file, timeout=wait_seconds, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            _prepare(connection, now)
            connection.execute("PRAGMA busy_timeout=0")  # SQLite waits whole milliseconds; the store waits itself
        except BaseException:
            connection.close()
            raise
    return connection, number


def _prepare(connection: sqlite3.Connection, now: float) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute("PRAGMA journal_mode=WAL")
    # Never wait for a disk: a commit would, each time the log starts over. A crash of this process loses nothing. A
    # crash of the machine may damage the file, which is then begun anew; in a pod, the directory is gone then anyway.
    connection.execute("PRAGMA synchronous=OFF")
    # The tidier moves the log into the file. This is for the time when there is none.
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    connection.execute("PRAGMA journal_size_limit=16777216")
    connection.execute(f"PRAGMA max_page_count={MAX_PAGES}")
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT")
    elif version != SCHEMA_VERSION:
        error = sqlite3.DatabaseError(f"schema version {version}, expected {SCHEMA_VERSION}")
        error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
        raise error
    boot = _boot_id()
    if connection.execute("SELECT 1 FROM boot WHERE id=?", (boot,)).fetchone() is None:
        # The clock began again with the machine, so no time in the file means anything now.
        connection.execute("BEGIN IMMEDIATE")
        for statement in ("DELETE FROM pins", "DELETE FROM settled", "DELETE FROM boot"):
            connection.execute(statement)
        connection.execute("UPDATE budgets SET dies=?", (now + 40 * 86_400,))
        connection.execute("INSERT INTO boot VALUES(?)", (boot,))
        connection.execute("COMMIT")


def _generation(path: Path, number: int) -> tuple[int, Path]:
    return number, path.with_name(f"{path.stem}.{number}{path.suffix}") if number else path


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


@contextlib.contextmanager
def _lock(path: Path, wait_seconds: float) -> Iterator[None]:
    """One process at a time; BlockingIOError after a while, because its holder may be stopped."""
    with path.with_name(path.name + ".lock").open("w") as file:
        end = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.001)
        yield
