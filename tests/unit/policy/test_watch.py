"""The watcher, polled by hand: nothing here waits for a clock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signalbox.policy.document import MAX_POLICY_BYTES
from signalbox.policy.watch import PolicyWatcher


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_bytes(b"one")
    return path


@pytest.fixture
def watcher(file: Path) -> PolicyWatcher:
    return PolicyWatcher(file, seen=b"one")


def polls(watcher: PolicyWatcher, times: int) -> list[bytes | None]:
    return [watcher.poll() for _ in range(times)]


def test_a_file_that_stays_as_it_was_is_no_news(watcher: PolicyWatcher) -> None:
    assert polls(watcher, 3) == [None, None, None]
    assert watcher.problem is None


def test_without_a_known_content_the_first_stable_one_is_news(file: Path) -> None:
    assert polls(PolicyWatcher(file), 3) == [None, b"one", None]


def test_new_content_is_returned_once_after_it_held_still_for_two_polls(file: Path, watcher: PolicyWatcher) -> None:
    file.write_bytes(b"two")
    assert polls(watcher, 4) == [None, b"two", None, None]


def test_a_file_being_written_is_not_returned_half(file: Path, watcher: PolicyWatcher) -> None:
    for part in (b"t", b"tw", b"two"):
        file.write_bytes(part)
        assert watcher.poll() is None
    assert polls(watcher, 2) == [b"two", None]


def test_a_change_that_is_taken_back_at_once_is_no_news(file: Path, watcher: PolicyWatcher) -> None:
    file.write_bytes(b"two")
    watcher.poll()
    file.write_bytes(b"one")
    assert polls(watcher, 3) == [None, None, None]


def test_a_change_within_one_tick_of_the_file_clock_is_seen(file: Path, watcher: PolicyWatcher) -> None:
    before = file.stat()
    file.write_bytes(b"eno")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert polls(watcher, 2) == [None, b"eno"]


def test_a_rename_over_the_file_is_seen(file: Path, watcher: PolicyWatcher) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_bytes(b"two")
    fresh.replace(file)
    assert polls(watcher, 2) == [None, b"two"]


def test_the_swap_of_a_configmaps_data_link_is_seen(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "policy.yaml").write_text(version)
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    watcher = PolicyWatcher(tmp_path / "policy.yaml", seen=b"one")
    assert polls(watcher, 2) == [None, None]
    (tmp_path / "..data_tmp").symlink_to("..two")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert polls(watcher, 3) == [None, b"two", None]


def test_a_file_that_vanishes_for_a_moment_is_no_problem(file: Path, watcher: PolicyWatcher) -> None:
    file.unlink()
    assert watcher.poll() is None
    assert watcher.problem is None
    file.write_bytes(b"two")
    assert polls(watcher, 2) == [None, b"two"]


def test_a_file_that_stays_away_is_a_problem_until_it_is_back(file: Path, watcher: PolicyWatcher) -> None:
    file.unlink()
    polls(watcher, 2)
    assert watcher.problem is not None
    assert f"{file}: the policy cannot be read: No such file" in str(watcher.problem)
    file.write_bytes(b"one")
    assert polls(watcher, 2) == [None, None]
    assert watcher.problem is None


def test_content_that_flickers_around_an_absence_must_hold_still_again(file: Path, watcher: PolicyWatcher) -> None:
    file.write_bytes(b"two")
    watcher.poll()
    file.unlink()
    watcher.poll()
    file.write_bytes(b"two")
    assert polls(watcher, 2) == [None, b"two"]


def test_an_older_content_that_comes_back_is_news_again(file: Path, watcher: PolicyWatcher) -> None:
    file.write_bytes(b"broken")
    assert polls(watcher, 2) == [None, b"broken"]
    file.write_bytes(b"one")
    assert polls(watcher, 2) == [None, b"one"]


def test_a_fifo_or_directory_in_its_place_is_a_problem_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        watcher = PolicyWatcher(path)
        assert polls(watcher, 2) == [None, None]
        assert "not a regular file" in str(watcher.problem) or "directory" in str(watcher.problem)


def test_a_file_far_too_large_is_read_only_as_far_as_the_loader_needs_to_refuse_it(file: Path) -> None:
    with file.open("wb") as large:
        large.truncate(MAX_POLICY_BYTES * 4)
    news = polls(PolicyWatcher(file), 2)[1]
    assert news is not None
    assert len(news) == MAX_POLICY_BYTES + 1
