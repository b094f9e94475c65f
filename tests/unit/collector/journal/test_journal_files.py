"""Files on a disk that fills up, processes that die, clocks that go back."""

from __future__ import annotations

import errno
import gzip
import os
import re
import threading
from pathlib import Path

import pytest

from signalbox.collector.journal import files as files_module
from signalbox.collector.journal.files import JournalFiles, journal_files, tidy

NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z


def line(number: int, size: int = 100) -> bytes:
    return b"%0*d\n" % (size - 1, number)


def content(directory: Path) -> bytes:
    """Everything in the journal, in the order readers see it."""
    return b"".join(
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in journal_files(directory)
    )


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))


def write(directory: Path, *lines: bytes, now_seconds: float = NOON, max_bytes: int = 1000) -> None:
    """Append as a process of its own would: begin, write, go."""
    files = JournalFiles(directory, max_bytes)
    try:
        for text in lines:
            files.append(text, now_seconds)
    finally:
        files.close()


def test_a_file_is_named_after_its_beginning_and_only_made_with_its_first_line(tmp_path):
    files = JournalFiles(tmp_path / "new" / "journal", 1000)
    assert not (tmp_path / "new").exists()
    files.append(line(1), NOON)
    files.close()

    assert names(tmp_path / "new" / "journal") == ["journal-20261121T120000.000000Z.jsonl"]
    assert content(tmp_path / "new" / "journal") == line(1)


def test_no_file_grows_past_its_limit(tmp_path):
    write(tmp_path, *(line(number) for number in range(25)))

    sizes = [path.stat().st_size for path in journal_files(tmp_path)]
    assert sizes == [1000, 1000, 500]
    assert content(tmp_path) == b"".join(map(line, range(25)))


def test_names_sort_by_time_even_when_the_clock_goes_back(tmp_path):
    files = JournalFiles(tmp_path, 100)
    for number, now_seconds in enumerate([NOON, NOON - 3600, NOON, NOON + 60, NOON - 1e6]):
        files.append(line(number), now_seconds)
    files.close()

    assert len(journal_files(tmp_path)) == 5
    assert content(tmp_path) == b"".join(map(line, range(5)))


def test_closed_files_are_compressed_and_the_newest_is_left_alone(tmp_path):
    write(tmp_path, *(line(number) for number in range(25)))
    tidy(tmp_path, 8)

    assert [re.sub(r".*Z", "", name) for name in names(tmp_path)] == [".jsonl.gz", ".jsonl.gz", ".jsonl"]
    assert content(tmp_path) == b"".join(map(line, range(25)))
    assert all(path.stat().st_mode & 0o007 == 0 for path in journal_files(tmp_path))


def test_the_oldest_files_go(tmp_path):
    write(tmp_path, *(line(number) for number in range(65)))
    tidy(tmp_path, 3)

    assert content(tmp_path) == b"".join(map(line, range(40, 65)))


def test_files_of_others_are_left_alone(tmp_path):
    strangers = [
        "notes.txt",
        "journal.jsonl",
        "journal-20261121T120000Z.jsonl",
        "journal-20269999T120000.000000Z.jsonl",
    ]
    for name in strangers:
        (tmp_path / name).write_text("mine")
    write(tmp_path, *(line(number) for number in range(65)))
    tidy(tmp_path, 2)

    assert set(strangers) < set(names(tmp_path))
    assert content(tmp_path) == b"".join(map(line, range(50, 65)))


def test_the_next_process_writes_on_where_the_last_one_stopped(tmp_path):
    for number in range(5):  # a collector that keeps dying must not push out what there was
        write(tmp_path, line(number), now_seconds=NOON + number)

    assert len(journal_files(tmp_path)) == 1
    assert content(tmp_path) == b"".join(map(line, range(5)))


def test_a_torn_line_stays_alone_on_its_line(tmp_path):
    write(tmp_path, line(1))
    (path,) = journal_files(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"kind":"requ')
    write(tmp_path, line(2))

    assert content(tmp_path) == line(1) + b'{"kind":"requ\n' + line(2)


@pytest.mark.parametrize("left_behind", ["both", "partial"])
def test_a_crash_while_compressing_loses_and_doubles_nothing(tmp_path, left_behind):
    write(tmp_path, *(line(number) for number in range(25)))
    whole = content(tmp_path)
    oldest = journal_files(tmp_path)[0]
    packed = gzip.compress(oldest.read_bytes())
    if left_behind == "both":
        oldest.with_name(oldest.name + ".gz").write_bytes(packed)
    else:
        oldest.with_name(oldest.name + ".gz.partial").write_bytes(packed[:20])
    assert content(tmp_path) == whole

    tidy(tmp_path, 8)
    assert content(tmp_path) == whole
    assert [re.sub(r".*Z", "", name) for name in names(tmp_path)] == [".jsonl.gz", ".jsonl.gz", ".jsonl"]


def test_a_full_disk_leaves_whole_lines_and_the_next_attempt_works(tmp_path, monkeypatch):
    files = JournalFiles(tmp_path, 100_000)
    files.append(line(1), NOON)
    real, room = os.write, [150]

    def full(descriptor: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = real(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(files_module.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        files.append(line(2) + line(3), NOON)
    assert content(tmp_path) == line(1)
    room[0] = 10**9
    files.append(line(4), NOON)
    files.close()

    assert content(tmp_path) == line(1) + line(4)


def test_a_disk_that_fails_twice_leaves_one_torn_line(tmp_path, monkeypatch):
    files = JournalFiles(tmp_path, 100_000)
    real, fail = os.write, [True]

    def short(descriptor: int, data: memoryview) -> int:
        if fail[0] and len(data) < 100:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, data[:30] if fail[0] else data)

    def broken(_descriptor: int, _size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files_module.os, "write", short)
    monkeypatch.setattr(files_module.os, "ftruncate", broken)
    with pytest.raises(OSError, match="Input/output"):
        files.append(line(1), NOON)
    fail[0] = False
    files.append(line(2), NOON)
    files.close()

    assert content(tmp_path) == line(1)[:30] + b"\n" + line(2)


def test_two_writers_of_one_directory_do_not_meet(tmp_path):
    first, second = JournalFiles(tmp_path, 1000), JournalFiles(tmp_path, 1000)
    first.append(line(1), NOON)
    with pytest.raises(OSError, match="another process writes this journal"):
        second.append(line(2), NOON)
    first.close()
    second.append(line(2), NOON)
    second.close()

    assert content(tmp_path) == line(1) + line(2)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_file_that_was_moved_away_is_not_written_on(tmp_path, what):
    directory = tmp_path / "journal"
    files = JournalFiles(directory, 1000)
    files.append(line(1), NOON)
    (path,) = journal_files(directory)
    moved = path if what == "file" else directory
    moved.rename(tmp_path / "moved")
    files.append(line(2), NOON)
    files.close()

    assert content(directory) == line(2)


def test_tidying_beside_a_writer_loses_nothing(tmp_path):
    files, stop = JournalFiles(tmp_path, 1000), threading.Event()

    def tidy_all_the_time() -> None:
        while not stop.is_set():
            if tmp_path.is_dir():
                tidy(tmp_path, 1000)

    tidying = threading.Thread(target=tidy_all_the_time)
    tidying.start()
    try:
        for number in range(2000):
            files.append(line(number), NOON)
    finally:
        stop.set()
        tidying.join()
        files.close()

    assert content(tmp_path) == b"".join(map(line, range(2000)))
