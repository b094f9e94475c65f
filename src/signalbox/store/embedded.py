"""Pins, budgets and facts in one SQLite file of the run directory: one pod, all its processes.

Readers never wait. Writers take turns, for some tens of microseconds each; one that waits tries again every 50 us until
its time budget is over. docs/state.md says what is kept for how long.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from signalbox.store.base import StoreError
from signalbox.store.embedded_file import OPEN_SECONDS, begin_anew, is_busy, is_damage, newest, open_file
from signalbox.store.embedded_tidy import Tidier
from signalbox.store.lifetimes import SETTLED_SECONDS, budget_seconds, one_each, whole
from signalbox.world import Hold, Pin

T = TypeVar("T")

TIMEOUT_MS = 5
RETRY_SECONDS = 50e-6  # what a writer needs; SQLite's own waiting begins with a whole millisecond
REST_SECONDS = 1.0  # between two attempts to open a file that could not be used
ANEW_SECONDS = 3600.0  # a file damaged again within this tells of a broken disk, and a third would not help
SLACK = 1 / 16  # a pin lives up to this share longer than asked, so that most readings need not write

SELECT_PIN = "SELECT model, turns, input_tokens, cached_tokens, dies FROM pins WHERE session=? AND dies>?"
EXTEND_PIN = "UPDATE pins SET dies=? WHERE session=? AND dies>?"
CLAIM_PIN = """
INSERT INTO pins VALUES(:session, :model, 1, 0, 0, :dies) ON CONFLICT(session) DO UPDATE SET
    model = CASE WHEN dies<=:now OR model=:instead_of THEN excluded.model ELSE model END,
    turns = CASE WHEN dies<=:now THEN 1 ELSE turns+1 END,
    input_tokens = CASE
        WHEN dies<=:now OR (model=:instead_of AND model<>excluded.model) THEN 0 ELSE input_tokens END,
    cached_tokens = CASE
        WHEN dies<=:now OR (model=:instead_of AND model<>excluded.model) THEN 0 ELSE cached_tokens END,
    dies = excluded.dies
RETURNING model, turns, input_tokens, cached_tokens
"""
OBSERVE_PIN = """
UPDATE pins SET turns = turns+:turns,
    input_tokens = CASE WHEN :input_tokens>0 THEN :input_tokens ELSE input_tokens END,
    cached_tokens = CASE WHEN :input_tokens>0 THEN :cached_tokens ELSE cached_tokens END
WHERE session=:session AND model=:model AND dies>:now
"""

SELECT_BUDGET = """
SELECT spent, held,
    (SELECT amount FROM holds WHERE budget=b.budget AND request=:request),
    EXISTS(SELECT 1 FROM holds WHERE budget=b.budget AND expires<=:now),
    EXISTS(SELECT 1 FROM settled WHERE request=:settled AND dies>:clock)
FROM budgets b WHERE budget=:budget
"""
END_HOLDS = "DELETE FROM holds WHERE budget=? AND expires<=? RETURNING amount"
END_HOLD = "DELETE FROM holds WHERE budget=? AND request=? RETURNING amount"
FREE = "UPDATE budgets SET held=max(0, held-?) WHERE budget=?"
HOLD = "INSERT OR REPLACE INTO holds VALUES(?,?,?,?)"
HOLD_TOTAL = """
INSERT INTO budgets VALUES(?,0,?,?) ON CONFLICT(budget) DO UPDATE SET held=held+excluded.held, dies=excluded.dies
"""
SETTLE = """
INSERT INTO settled VALUES(:settled, :dies) ON CONFLICT(request) DO UPDATE SET dies=excluded.dies WHERE dies<=:clock
RETURNING 1
"""
SETTLE_TOTAL = """
INSERT INTO budgets VALUES(?,?,0,?) ON CONFLICT(budget) DO UPDATE SET spent=spent+excluded.spent, dies=excluded.dies
"""
SPENT = """
SELECT spent, held-ifnull((SELECT sum(amount) FROM holds WHERE budget=b.budget AND expires<=?), 0)
FROM budgets b WHERE budget=?
"""


class EmbeddedStore:
    """A store in a file that several processes of one machine use at once; see `base.Store`.

    path: of the file; created when missing. timeout_ms: longest wait for other writers.
    clock: seconds that only go forward, the same for all processes of the machine.
    tidy: whether a thread removes what is dead; one of the processes that ask for it does so at a time.

    A file that cannot be used raises StoreError("down") from the operations, never from here. A damaged one is left
    aside and a new one begun, once an hour at most.
    """

    def __init__(
        self,
        path: Path,
        *,
        timeout_ms: float = TIMEOUT_MS,
        clock: Callable[[], float] = time.monotonic,
        tidy: bool = True,
    ) -> None:
        self._path = path
        self._timeout_seconds = timeout_ms / 1000
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._generation = 0
        self._superseded = False
        self._closed = False
        self._why = "closed"
        self._rest_until = 0.0
        self._begun_anew_at = -ANEW_SECONDS
        with contextlib.suppress(StoreError):
            self._open(OPEN_SECONDS)
        self._tidier = Tidier(path, clock, self._look) if tidy else None
        if self._tidier is not None:
            self._tidier.start()

    def pin(self, session: str, ttl_seconds: int) -> Pin | None:
        """Return a session's pin and let it live for `ttl_seconds` more, at most a sixteenth longer."""
        now = self._clock()
        row = self._run(lambda connection: connection.execute(SELECT_PIN, (session, now)).fetchone())
        if row is None:
            return None
        longest = ttl_seconds * (1 + SLACK)
        if not ttl_seconds <= row[4] - now <= longest:
            try:
                self._run(lambda connection: connection.execute(EXTEND_PIN, (now + longest, session, now)).close())
            except StoreError as error:
                if error.kind != "late":  # the next request extends it; this one has its answer
                    raise
        return Pin(*row[:4])

    def claim(self, session: str, model: str, ttl_seconds: int, *, instead_of: str | None = None) -> Pin:
        """Pin a session that has no pin, or still has `instead_of`; return the pin that holds afterwards."""
        now = self._clock()
        values = {
            "session": session,
            "model": model,
            "instead_of": instead_of,
            "now": now,
            "dies": now + ttl_seconds * (1 + SLACK),
        }
        return Pin(*self._run(lambda connection: connection.execute(CLAIM_PIN, values).fetchone()))

    def observe(self, session: str, model: str, input_tokens: int, cached_tokens: int, turns: int = 0) -> None:
        """Note what an answer showed of the cache, and count turns, unless the session has another model, or no pin."""
        values = {
            "session": session,
            "model": model,
            "input_tokens": whole(input_tokens),
            "cached_tokens": whole(cached_tokens),
            "turns": turns,
            "now": self._clock(),
        }
        self._run(lambda connection: connection.execute(OBSERVE_PIN, values).close())

    def hold(self, request: str, holds: Sequence[Hold], now_seconds: float) -> str | None:
        """Claim all holds for a request, or none. Returns the first budget whose limit is reached, None if held."""
        if not holds:
            return None
        return self._write(lambda connection: self._hold(connection, request, one_each(holds), now_seconds))

    def settle(self, request: str, amounts: Sequence[tuple[str, int]]) -> None:
        """End a request's holds: (budget, spent amount) for each; 0 releases. Doing it twice counts once."""
        if amounts:
            self._write(lambda connection: self._settle(connection, request, amounts))

    def spent(self, budget: str, now_seconds: float) -> tuple[int, int]:
        """Return what was spent of a budget, and what is held."""
        row = self._run(lambda connection: connection.execute(SPENT, (now_seconds, budget)).fetchone())
        return (0, 0) if row is None else (row[0], max(0, row[1]))

    def get(self, name: str) -> bytes | None:
        """Return a fact."""
        row = self._run(
            lambda connection: connection.execute("SELECT value FROM facts WHERE name=?", (name,)).fetchone()
        )
        return None if row is None else bytes(row[0])

    def put(self, name: str, value: bytes) -> None:
        """Keep a fact until it is replaced."""
        self._run(
            lambda connection: connection.execute("INSERT OR REPLACE INTO facts VALUES(?,?)", (name, value)).close()
        )

    def close(self) -> None:
        """Let go of the file."""
        self._closed = True
        if self._tidier is not None:
            self._tidier.stop()
        self._let_go("closed")

    def _hold(self, connection: sqlite3.Connection, request: str, holds: list[Hold], now_seconds: float) -> str | None:
        clock = self._clock()
        wanted: list[tuple[Hold, int]] = []
        for hold in holds:
            values = {
                "budget": hold.budget,
                "request": request,
                "settled": _settled(request, hold.budget),
                "now": now_seconds,
                "clock": clock,
            }
            row = connection.execute(SELECT_BUDGET, values).fetchone()
            if row is not None and row[3]:
                ended = connection.execute(END_HOLDS, (hold.budget, now_seconds)).fetchall()
                connection.execute(FREE, (sum(amount for (amount,) in ended), hold.budget))
                row = connection.execute(SELECT_BUDGET, values).fetchone()
            spent, held, own, _, settled = row or (0, 0, None, 0, 0)
            if settled:
                continue
            if spent + held - (own or 0) >= hold.limit:
                return hold.budget
            wanted.append((hold, own or 0))
        for hold, own in wanted:
            amount = whole(hold.amount)
            connection.execute(HOLD, (hold.budget, request, amount, hold.expires_seconds))
            connection.execute(HOLD_TOTAL, (hold.budget, amount - own, clock + budget_seconds(hold.budget)))
        return None

    def _settle(self, connection: sqlite3.Connection, request: str, amounts: Sequence[tuple[str, int]]) -> None:
        clock = self._clock()
        for budget, amount in amounts:
            values = {"settled": _settled(request, budget), "dies": clock + SETTLED_SECONDS, "clock": clock}
            if connection.execute(SETTLE, values).fetchone() is None:
                continue
            row = connection.execute(END_HOLD, (budget, request)).fetchone()
            if row is not None:
                connection.execute(FREE, (row[0], budget))
            connection.execute(SETTLE_TOTAL, (budget, whole(amount), clock + budget_seconds(budget)))

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")  # the only statement that can find the file busy
            answer = work(connection)
            connection.execute("COMMIT")
            return answer

        return self._run(transaction)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._superseded:
            self._let_go("another process began a new file")
        connection = self._connection or self._open(self._timeout_seconds)
        end = 0.0
        while True:
            try:
                return work(connection)
            except (sqlite3.Error, OverflowError) as error:
                if connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error) or not is_busy(error):
                    raise self._fault(error) from error
                now = time.monotonic()
                end = end or now + self._timeout_seconds
                if now >= end:
                    raise StoreError("late", f"{self._path}: others were writing for the whole time budget") from error
                time.sleep(RETRY_SECONDS)

    def _fault(self, error: Exception) -> StoreError:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None or code & 0xFF in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG):
            return StoreError("broken", f"{self._path}: {error}")
        if code & 0xFF != sqlite3.SQLITE_FULL:  # a full one can be read, and will have room when something has died
            self._let_go(str(error))
            self._rest_until = time.monotonic() + REST_SECONDS
        if isinstance(error, sqlite3.Error) and is_damage(error):
            self._begin_anew(self._generation)
        return StoreError("down", f"{self._path}: {error}")

    def _open(self, wait_seconds: float) -> sqlite3.Connection:
        if self._closed or time.monotonic() < self._rest_until:
            raise StoreError("down", f"{self._path}: {self._why}")
        for _ in range(2):
            generation = newest(self._path)[0]
            try:
                self._connection, self._generation = open_file(self._path, self._clock(), wait_seconds)
            except (sqlite3.Error, OSError) as error:
                self._why = str(error)
                if not (isinstance(error, sqlite3.Error) and is_damage(error) and self._begin_anew(generation)):
                    break
            else:
                return self._connection
        self._rest_until = time.monotonic() + REST_SECONDS
        raise StoreError("down", f"{self._path}: {self._why}")

    def _begin_anew(self, damaged: int) -> bool:
        now = time.monotonic()
        if now - self._begun_anew_at < ANEW_SECONDS:
            return False
        try:
            begin_anew(self._path, damaged, self._timeout_seconds)
        except OSError:
            return False
        self._begun_anew_at = now
        self._rest_until = 0.0
        return True

    def _let_go(self, why: str) -> None:
        self._why = why
        connection, self._connection = self._connection, None
        self._superseded = False
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _look(self) -> None:
        """Called by the tidier's thread now and then: another process may have found the file damaged."""
        number, file = newest(self._path)
        if self._connection is not None and (number > self._generation or not file.exists()):
            self._superseded = True


def _settled(request: str, budget: str) -> str:
    return f"{request} {budget}"
