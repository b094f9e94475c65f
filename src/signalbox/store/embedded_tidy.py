"""Removes what is dead from the embedded store, in steps so small that no request notices.

A clock's hand goes round each table: a step reads on from where the last one stopped, which takes no lock, and then
removes what was dead, some rows at a time. No index over the ends of life is needed, which every pin would pay for.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from signalbox.store.embedded_file import OPEN_SECONDS, is_busy, newest, open_file

ROUND_SECONDS = 0.25
ROWS_READ = 2000  # in one step of one table: 100,000 sessions in 13 s
ROWS_REMOVED = 50  # under one lock: some 100 us
PAUSE_SECONDS = 0.001  # between two locks, so that those who wait get theirs

HANDS = (("pins", "session"), ("settled", "request"), ("budgets", "budget"))


class Hand:
    """Where the next step of one table begins."""

    def __init__(self, table: str, key: str) -> None:
        # Both look at rows inside SQLite, which lets other threads run; only what is dead becomes a Python object.
        self._end = f"SELECT {key} FROM {table} WHERE {key}>? ORDER BY {key} LIMIT 1 OFFSET {ROWS_READ - 1}"
        self._dead = f"SELECT {key} FROM {table} WHERE {key}>? AND {key}<=? AND dies<=?"
        self._dead_at_the_end = f"SELECT {key} FROM {table} WHERE {key}>? AND dies<=?"
        self._remove = f"DELETE FROM {table} WHERE {key}=? AND dies<=?"
        self._at = ""

    def step(self, connection: sqlite3.Connection, now: float) -> int:
        """Read on and remove what is dead; returns how many rows went.

        Raises sqlite3.Error; SQLITE_BUSY costs nothing, the rows are seen again in the next round.
        """
        end = connection.execute(self._end, (self._at,)).fetchone()
        if end is None:
            keys = connection.execute(self._dead_at_the_end, (self._at, now)).fetchall()
        else:
            keys = connection.execute(self._dead, (self._at, end[0], now)).fetchall()
        self._at = "" if end is None else end[0]
        dead = [(key, now) for (key,) in keys]
        for start in range(0, len(dead), ROWS_REMOVED):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(self._remove, dead[start : start + ROWS_REMOVED])
            connection.execute("COMMIT")
            time.sleep(PAUSE_SECONDS)
        return len(dead)


class Tidier(threading.Thread):
    """One thread for each process; the one that has the lock tidies, the others only look.

    path: of the store's file. clock: as the store's. look: called every round.
    """

    def __init__(self, path: Path, clock: Callable[[], float], look: Callable[[], None]) -> None:
        super().__init__(name="store-tidier", daemon=True)
        self._path = path
        self._clock = clock
        self._look = look
        self._stopped = threading.Event()
        self._lock: TextIO | None = None
        self._connection: sqlite3.Connection | None = None
        self._generation = 0
        self._hands = [Hand(table, key) for table, key in HANDS]

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped.wait(ROUND_SECONDS):
            try:
                self._look()
                if self._is_ours():
                    self._tidy()
            except (sqlite3.Error, OSError) as error:  # the store itself says what is wrong with its file
                if not (isinstance(error, sqlite3.Error) and is_busy(error)):
                    self._let_go()
                elif self._connection is not None and self._connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
        self._let_go()

    def stop(self) -> None:
        """Return when the thread has let go of the file."""
        self._stopped.set()
        if self.ident is not None:
            self.join()

    def _is_ours(self) -> bool:
        if self._lock is None:
            lock = self._path.with_name(self._path.name + ".tidy").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                return False
            self._lock = lock
        return True

    def _tidy(self) -> None:
        number, file = newest(self._path)
        if self._connection is not None and (number > self._generation or not file.exists()):
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection, self._generation = open_file(self._path, self._clock(), OPEN_SECONDS)
        for hand in self._hands:
            hand.step(self._connection, self._clock())
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()

    def _let_go(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
