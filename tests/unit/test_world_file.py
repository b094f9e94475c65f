"""A worker gets the newest snapshot, keeps the last good one, and gives up one that nobody replaces."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import msgspec
import pytest

from signalbox.world import NOTHING_KNOWN, ModelState, RolloutState, Snapshot, Timing
from signalbox.world_file import MAX_AGE_SECONDS, WorldReader

WALL_SECONDS = 1_795_252_119.0


class Clocks:
    """A monotonic clock and a wall clock that a test turns."""

    def __init__(self) -> None:
        self.seconds, self.wall_seconds = 1000.0, WALL_SECONDS

    def later(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall_seconds += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "world.json"


@pytest.fixture
def reader(path: Path, clocks: Clocks) -> WorldReader:
    return WorldReader(path, clock=lambda: clocks.seconds, wall_clock=lambda: clocks.wall_seconds)


def write(path: Path, content: bytes | Snapshot) -> None:
    draft = path.with_suffix(".new")
    draft.write_bytes(content if isinstance(content, bytes) else msgspec.json.encode(content))
    os.replace(draft, path)


def snapshot(generation: int = 1, published: float = WALL_SECONDS) -> Snapshot:
    models = {
        "large": ModelState(ttft=Timing(0.3, 0.9, 12.0), in_flight=3, price=(1.0, 2.0, 0.5)),
        "small": ModelState(error_rate=1.0),
    }
    return Snapshot(generation, published, models, rollouts={"r": RolloutState(0.0, "error_rate")})


def test_before_anything_was_published_nothing_is_known(reader: WorldReader) -> None:
    reader.look()
    assert reader.current is NOTHING_KNOWN
    assert reader.unreadable == 0


def test_the_newest_snapshot_is_read_as_it_was_written(reader: WorldReader, path: Path) -> None:
    for generation in (1, 2):
        write(path, snapshot(generation))
        reader.look()
        assert reader.current == snapshot(generation)


def test_an_unchanged_file_is_not_read_again(reader: WorldReader, path: Path) -> None:
    write(path, snapshot())
    reader.look()
    first = reader.current
    reader.look()
    assert reader.current is first


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"generation": "x"}', b'{"models": {"a": {"ttft": [1]}}}', b"\xff\xfe", b"[" * 10**5],
    ids=lambda content: content[:20].decode(errors="replace"),
)
def test_a_file_nobody_can_read_leaves_the_last_good_one(reader: WorldReader, path: Path, content: bytes) -> None:
    write(path, snapshot())
    reader.look()
    write(path, content)
    for _ in range(3):
        reader.look()
    assert reader.current == snapshot()
    assert reader.unreadable == 1
    write(path, snapshot(2))
    reader.look()
    assert reader.current.generation == 2


def test_a_file_that_is_gone_leaves_the_last_good_one(reader: WorldReader, path: Path) -> None:
    write(path, snapshot())
    reader.look()
    path.unlink()
    reader.look()
    assert reader.current == snapshot()


def test_a_snapshot_nobody_replaces_becomes_neutral_but_for_prices_and_rollouts(
    reader: WorldReader, path: Path, clocks: Clocks
) -> None:
    write(path, snapshot())
    reader.look()
    clocks.later(MAX_AGE_SECONDS)
    reader.look()
    assert reader.current == snapshot()
    clocks.later(0.1)
    reader.look()
    assert reader.current.models == {"large": ModelState(price=(1.0, 2.0, 0.5))}
    assert reader.current.rollouts == {"r": RolloutState(0.0, "error_rate")}
    write(path, snapshot(2, clocks.wall_seconds))
    reader.look()
    assert reader.current.models["large"].ttft == Timing(0.3, 0.9, 12.0)


@pytest.mark.parametrize("jump", [-1e9, -3600.0, 3600.0, 1e9])
def test_a_wall_clock_that_jumps_makes_no_fresh_snapshot_stale(
    reader: WorldReader, path: Path, clocks: Clocks, jump: float
) -> None:
    write(path, snapshot())
    reader.look()
    clocks.wall_seconds += jump
    for generation in range(2, 5):
        write(path, snapshot(generation))  # the collector's clock has not jumped yet
        clocks.seconds += 1
        reader.look()
        assert reader.current.models["large"].in_flight == 3
        assert reader.age_seconds == 0.0


def test_a_file_from_long_ago_is_not_believed_when_a_worker_starts(
    reader: WorldReader, path: Path, clocks: Clocks
) -> None:
    write(path, snapshot(9, WALL_SECONDS - 3600))
    reader.look()
    assert "small" not in reader.current.models
    assert reader.age_seconds == 3600.0
    write(path, snapshot(10, WALL_SECONDS))
    reader.look()
    assert "small" in reader.current.models


def test_a_collector_that_starts_over_is_followed(reader: WorldReader, path: Path) -> None:
    for generation in (500, 1):
        write(path, snapshot(generation))
        reader.look()
    assert reader.current.generation == 1


def test_the_thread_picks_up_what_is_written_and_ends_when_asked(path: Path) -> None:
    reader = WorldReader(path)
    reader.start(poll_seconds=0.005)
    write(path, snapshot(7, time.time()))
    deadline = time.monotonic() + 5
    while reader.current.generation != 7 and time.monotonic() < deadline:
        time.sleep(0.005)
    reader.close()
    assert reader.current.generation == 7
    assert not any(thread.name == "world" for thread in threading.enumerate())


def test_many_writes_and_reads_at_once_never_show_half_a_file(path: Path) -> None:
    """Each snapshot names its generation in every model; one from two files would not agree with itself."""
    reader = WorldReader(path)
    reader.start(poll_seconds=0.0005)
    for generation in range(1, 400):
        models = {f"m{number}": ModelState(in_flight=generation) for number in range(50)}
        write(path, Snapshot(generation, time.time(), models))
        seen = reader.current
        assert {state.in_flight for state in seen.models.values()} <= {seen.generation}
    reader.close()
    assert reader.unreadable == 0
