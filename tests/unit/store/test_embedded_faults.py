"""A file that is damaged, locked, full or gone loses pins, never a request; and what is dead goes by itself."""

from __future__ import annotations

import fcntl
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signalbox.store import embedded, embedded_file
from signalbox.store.base import StoreError
from signalbox.store.embedded import EmbeddedStore
from signalbox.store.embedded_tidy import HANDS, ROWS_READ, Hand, Tidier
from signalbox.world import Hold, Pin

NOW = 1_760_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def open_store(path: Path, clock: Clock) -> Iterator[Callable[[], EmbeddedStore]]:
    opened: list[EmbeddedStore] = []

    def open_one() -> EmbeddedStore:
        opened.append(EmbeddedStore(path, clock=clock, tidy=False))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def fault(operation: Callable[[], object]) -> str:
    with pytest.raises(StoreError) as caught:
        operation()
    return caught.value.kind


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.glob("*.sqlite"))


def connection_of(store: EmbeddedStore) -> sqlite3.Connection:
    assert store._connection is not None
    return store._connection


def rows(store: EmbeddedStore, table: str) -> int:
    count: int = connection_of(store).execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count


def sweep(store: EmbeddedStore, clock: Clock) -> int:
    """One round of each table."""
    removed = 0
    for table, key in HANDS:
        hand = Hand(table, key)
        removed += sum(hand.step(connection_of(store), clock.now) for _ in range(rows(store, table) // ROWS_READ + 1))
    return removed


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough" * 100, b"SQLite format 3\0" + b"\xff" * 8000]
)
def test_a_damaged_file_is_left_aside_and_a_new_one_begun(
    path: Path, open_store: Callable[[], EmbeddedStore], content: bytes
) -> None:
    path.write_bytes(content)
    assert open_store().claim("s", "large", 60) == Pin("large", 1)
    assert files(path) == ["state.1.sqlite", "state.sqlite"]
    assert path.read_bytes() == content
    assert open_store().pin("s", 60) == Pin("large", 1)


def damage_tables(path: Path, store: EmbeddedStore) -> None:
    """All but the first page, which says what tables there are; `store` has read the others and forgotten them."""
    connection_of(store).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    connection_of(store).execute("PRAGMA shrink_memory")


def test_damage_found_by_a_request_costs_it_its_answer_and_no_more(
    path: Path, open_store: Callable[[], EmbeddedStore]
) -> None:
    first, second = open_store(), open_store()
    second.claim("s", "large", 60)
    damage_tables(path, first)
    assert fault(lambda: first.pin("s", 60)) == "down"
    assert first.pin("s", 60) is None
    assert first.claim("s", "small", 60) == Pin("small", 1)

    second._look()  # what its tidier does four times a second
    assert second.claim("s", "large", 60) == Pin("small", 2)
    assert files(path) == ["state.1.sqlite", "state.sqlite"]


def test_a_disk_that_damages_every_file_does_not_fill_up(
    path: Path, open_store: Callable[[], EmbeddedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "REST_SECONDS", 0.0)
    path.write_bytes(b"x" * 5000)
    store = open_store()
    damage_tables(embedded_file.newest(path)[1], store)
    assert {fault(lambda: store.pin("s", 60)) for _ in range(5)} == {"down"}
    assert files(path) == ["state.1.sqlite", "state.sqlite"]
    monkeypatch.setattr(store, "_begun_anew_at", time.monotonic() - embedded.ANEW_SECONDS)
    assert store.claim("s", "large", 60) == Pin("large", 1)


def test_of_the_damaged_files_the_last_one_stays(path: Path, open_store: Callable[[], EmbeddedStore]) -> None:
    for _ in range(4):
        embedded_file.newest(path)[1].write_bytes(b"x" * 5000)
        store = open_store()
        store.claim("s", "large", 60)
        store.close()
    assert files(path) == ["state.3.sqlite", "state.4.sqlite"]


def test_a_file_of_another_version_is_left_aside(path: Path, open_store: Callable[[], EmbeddedStore]) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    assert open_store().claim("s", "large", 60) == Pin("large", 1)
    assert files(path) == ["state.1.sqlite", "state.sqlite"]


def test_a_file_that_was_deleted_is_made_again(path: Path, open_store: Callable[[], EmbeddedStore]) -> None:
    store = open_store()
    store.claim("s", "large", 60)
    for file in path.parent.glob("state.sqlite*"):
        file.unlink()
    store._look()
    assert store.claim("s", "small", 60) == Pin("small", 1)
    assert open_store().pin("s", 60) == Pin("small", 1)


# ---------------------------------------------------------------- no way to write, or to open


def test_a_file_that_can_only_be_read_is_down_and_tried_again(
    open_store: Callable[[], EmbeddedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    connection_of(store).execute("PRAGMA query_only=1")
    assert fault(lambda: store.claim("s", "large", 60)) == "down"
    assert fault(lambda: store.claim("s", "large", 60)) == "down"
    monkeypatch.setattr(store, "_rest_until", 0.0)
    assert store.claim("s", "large", 60) == Pin("large", 1)


def test_a_place_where_no_file_can_be_is_down(path: Path, open_store: Callable[[], EmbeddedStore]) -> None:
    path.mkdir()
    store = open_store()
    assert fault(lambda: store.pin("s", 60)) == "down"
    assert fault(lambda: store.hold("r", [Hold("b", 1, 9, NOW)], NOW)) == "down"
    missing = EmbeddedStore(path.parent / "nowhere" / "state.sqlite", tidy=False)
    assert fault(lambda: missing.get("f")) == "down"
    missing.close()


def test_a_full_file_still_tells_pins(open_store: Callable[[], EmbeddedStore]) -> None:
    store = open_store()
    store.claim("s", "large", 60)
    connection_of(store).execute("PRAGMA max_page_count=1")
    assert fault(lambda: [store.claim(f"s{number}", "large", 60) for number in range(1000)]) == "down"
    assert store.pin("s", 60) == Pin("large", 1)


def test_a_value_of_another_shape_is_broken(open_store: Callable[[], EmbeddedStore]) -> None:
    store = open_store()
    assert fault(lambda: store.hold("r", [Hold("b", 1, 9, float("nan"))], NOW)) == "broken"
    assert store.spent("b", NOW) == (0, 0)


def test_one_that_was_stopped_while_it_opened_the_file_makes_nobody_wait(
    path: Path, open_store: Callable[[], EmbeddedStore]
) -> None:
    store = open_store()
    store.claim("s", "large", 60)
    with path.with_name("state.sqlite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waits = []
        for _ in range(5):
            store._superseded = True
            store._rest_until = 0.0
            begun = time.perf_counter()
            assert fault(lambda: store.pin("s", 60)) == "down"
            waits.append(time.perf_counter() - begun)
    assert min(waits) < (embedded.TIMEOUT_MS + 4) / 1000
    store._rest_until = 0.0
    assert store.pin("s", 60) == Pin("large", 1)


# ---------------------------------------------------------------- others that write


def test_a_writer_that_never_ends_makes_writers_late_and_readers_not(
    path: Path, clock: Clock, open_store: Callable[[], EmbeddedStore]
) -> None:
    store = open_store()
    store.claim("s", "large", 160)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits = []
    for _ in range(5):
        begun = time.perf_counter()
        assert fault(lambda: store.claim("s", "large", 160)) == "late"
        waits.append(time.perf_counter() - begun)
    assert min(waits) < (embedded.TIMEOUT_MS + 2) / 1000
    assert fault(lambda: store.hold("r", [Hold("b", 1, 9, NOW)], NOW)) == "late"
    assert store.pin("s", 160) == Pin("large", 1)
    clock.now += 100  # now the pin should be extended, which has to wait for another time
    assert store.pin("s", 160) == Pin("large", 1)
    other.execute("ROLLBACK")
    other.close()
    assert store.pin("s", 160) == Pin("large", 1)
    clock.now += 150
    assert store.pin("s", 160) == Pin("large", 1)


def test_a_writer_that_was_killed_leaves_nothing_half_done(
    path: Path, tmp_path: Path, open_store: Callable[[], EmbeddedStore]
) -> None:
    store = EmbeddedStore(path, tidy=False)  # on the clock of the machine, as the other process
    store.claim("s", "large", 60)
    ready = tmp_path / "ready"
    program = f"from tests.unit.store.contenders import begin_and_wait; begin_and_wait({str(path)!r}, {str(ready)!r})"
    child = subprocess.Popen([sys.executable, "-c", program], env={"PYTHONPATH": ":".join(sys.path)})
    try:
        end = time.monotonic() + 20
        while not ready.exists():
            assert child.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        assert fault(lambda: store.claim("s", "large", 60)) == "late"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert store.claim("s", "large", 60) == Pin("large", 2)
    store.close()


# ---------------------------------------------------------------- what is dead goes


def test_after_a_restart_of_the_machine_pins_are_forgotten_and_budgets_are_not(
    open_store: Callable[[], EmbeddedStore], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    store.claim("s", "large", 3600)
    store.settle("r", [("b", 5)])
    store.put("f", b"1")
    store.close()
    monkeypatch.setattr(embedded_file, "_boot_id", lambda: "another")
    clock.now = 1.0
    store = open_store()
    assert store.pin("s", 3600) is None
    assert store.spent("b", NOW) == (5, 0)
    assert store.get("f") == b"1"
    sweep(store, clock)
    assert store.spent("b", NOW) == (5, 0)


def test_what_is_dead_is_removed_and_what_lives_is_not(open_store: Callable[[], EmbeddedStore], clock: Clock) -> None:
    store = open_store()
    for number in range(3 * ROWS_READ):
        store.claim(f"s{number}", "large", 160 if number % 3 else 1600)
    store.hold("r1", [Hold("a/2026-11-21", 1, 9, NOW + 900), Hold("a/2026-11", 1, 9, NOW + 900)], NOW)
    store.settle("r2", [("a/2026-11", 1)])
    clock.now += 1000
    assert sweep(store, clock) == 2 * ROWS_READ + 1
    assert rows(store, "pins") == ROWS_READ
    assert (rows(store, "settled"), rows(store, "holds")) == (0, 2)
    clock.now += 4 * 86_400
    sweep(store, clock)
    assert (rows(store, "pins"), rows(store, "budgets"), rows(store, "holds")) == (0, 1, 1)
    assert store.spent("a/2026-11", NOW) == (1, 1)


def test_a_hundred_thousand_sessions_fit_and_leave_their_place_to_the_next(
    path: Path, open_store: Callable[[], EmbeddedStore], clock: Clock
) -> None:
    def size() -> int:
        connection_of(store).execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.stat().st_size

    store = open_store()
    for number in range(100_000):
        store.claim(f"{number * 2_654_435_761 % 2**32:032x}", "a-model-of-usual-length", 160)
    first = size()
    assert first < 20_000_000
    clock.now += 200
    assert sweep(store, clock) == 100_000
    for number in range(20_000):
        store.claim(f"{number * 2_654_435_789 % 2**32:032x}", "a-model-of-usual-length", 160)
    assert rows(store, "pins") == 20_000
    assert size() <= first


def test_one_of_the_tidiers_tidies_and_another_takes_over(path: Path) -> None:
    clock = Clock()
    store = EmbeddedStore(path, clock=clock, tidy=False)
    tidiers = [Tidier(path, clock, lambda: None) for _ in range(3)]
    for tidier in tidiers:
        tidier.start()
    while tidiers:
        store.claim("s", "large", 160)
        clock.now += 1000
        end = time.monotonic() + 20
        while rows(store, "pins"):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert sum(other._lock is not None for other in tidiers) == 1
        next(other for other in tidiers if other._lock is not None).stop()
        tidiers = [other for other in tidiers if other.is_alive()]
    store.close()


def test_a_tidier_goes_on_with_the_file_that_took_the_place_of_a_damaged_one(path: Path) -> None:
    clock = Clock()
    path.write_bytes(b"x" * 5000)
    tidier = Tidier(path, clock, lambda: None)
    tidier.start()
    store = EmbeddedStore(path, clock=clock, tidy=False)
    store.claim("s", "large", 160)
    clock.now += 1000
    end = time.monotonic() + 20
    while rows(store, "pins"):
        assert time.monotonic() < end
        time.sleep(0.01)
    tidier.stop()
    store.close()
