"""The thread between the event loop and the disk."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from access_log_entries import attempt_entry, request_entry
from collector_bench import POLICY, Bench
from journal_records import one_request, said
from test_journal_files import content

from signalbox.collector.journal import files as files_module
from signalbox.collector.journal import writer as writer_module
from signalbox.collector.journal.files import journal_files
from signalbox.collector.journal.writer import JournalWriter
from signalbox.policy.schema import Policy
from signalbox.policy.world import Journal
from signalbox.telemetry import JournalOutcome

KIB_64 = 64 * 1024


def section(directory: Path, max_bytes: int = KIB_64, files: int = 8) -> Journal:
    return Journal(directory=str(directory), max_bytes=max_bytes, files=files)


def wait_until(happened: Callable[[], bool], deadline_seconds: float = 20) -> None:
    end = time.monotonic() + deadline_seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_lines_reach_the_file_in_order_and_are_counted(tmp_path):
    writer = JournalWriter()
    writer.use(section(tmp_path))
    lines = [b'{"n":%d}\n' % number for number in range(1000)]
    for line in lines:
        writer.write(line)
    writer.close()

    assert content(tmp_path) == b"".join(lines)
    assert writer.counts == {JournalOutcome.WRITTEN: 1000, JournalOutcome.DROPPED: 0, JournalOutcome.FAILED: 0}


def test_files_turn_over_and_the_old_ones_are_compressed_and_removed(tmp_path):
    writer = JournalWriter()
    writer.use(section(tmp_path, files=3))
    lines = [b"%07d\n" % number * 128 for number in range(400)]  # 1 KiB each: more than six files
    for line in lines:
        writer.write(line)
    wait_until(lambda: len(journal_files(tmp_path)) == 3 and len(list(tmp_path.glob("*.jsonl"))) == 1)
    writer.close()

    kept = content(tmp_path)
    assert b"".join(lines).endswith(kept)
    assert 2 * KIB_64 < len(kept) <= 3 * KIB_64


def test_without_a_journal_nothing_is_kept_or_counted(tmp_path):
    writer = JournalWriter()
    writer.write(b"{}\n")
    writer.use(None)
    writer.close()

    assert not writer.is_on
    assert set(writer.counts.values()) == {0}


def test_another_journal_takes_over_with_the_next_line(tmp_path):
    writer = JournalWriter()
    writer.use(section(tmp_path / "a"))
    writer.write(b"1\n")
    writer.use(section(tmp_path / "b"))
    writer.write(b"2\n")
    writer.use(section(tmp_path / "b", files=2))  # the same directory: the lock changes hands
    writer.write(b"3\n")
    writer.use(None)
    writer.write(b"4\n")
    writer.close()

    assert (content(tmp_path / "a"), content(tmp_path / "b")) == (b"1\n", b"2\n3\n")
    assert writer.counts[JournalOutcome.WRITTEN] == 3


def test_a_stuck_disk_holds_up_nobody_and_costs_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_QUEUED_BYTES", 20_000)
    stuck, real = threading.Event(), os.write

    def wait(descriptor: int, data: bytes) -> int:
        stuck.wait(20)
        return real(descriptor, data)

    monkeypatch.setattr(files_module.os, "write", wait)
    writer = JournalWriter()
    writer.use(section(tmp_path))
    started = time.monotonic()
    for _ in range(1000):
        writer.write(b"x" * 99 + b"\n")
    writer.close(deadline_seconds=0.2)

    assert time.monotonic() - started < 5
    assert writer.counts[JournalOutcome.DROPPED] == 800
    stuck.set()
    writer.close(deadline_seconds=20)
    assert writer.counts[JournalOutcome.WRITTEN] == 200


@pytest.mark.parametrize("directory", ["/proc/no/such/place", "{file}/below"])
def test_a_place_that_cannot_be_written_costs_lines_and_says_why_without_the_path(tmp_path, directory):
    file = tmp_path / "file"
    file.write_text("")
    writer = JournalWriter()
    writer.use(section(Path(directory.format(file=file))))
    writer.write(b"{}\n")
    writer.close()

    assert writer.counts[JournalOutcome.FAILED] == 1
    problem = writer.take_problem()
    assert problem
    assert "/" not in problem
    assert writer.take_problem() == ""


def test_it_recovers_when_the_disk_does(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "FLUSH_SECONDS", 0.01)
    (tmp_path / "journal").write_text("in the way")
    writer = JournalWriter()
    writer.use(section(tmp_path / "journal"))
    writer.write(b"1\n")
    wait_until(lambda: writer.counts[JournalOutcome.FAILED] == 1)
    (tmp_path / "journal").unlink()
    writer.write(b"2\n")
    writer.close()

    assert content(tmp_path / "journal") == b"2\n"


def test_requests_reach_the_journal_a_policy_asks_for_and_a_reload_ends_it(bench: Bench, tmp_path: Path):
    policy = {**POLICY, "journal": {"directory": str(tmp_path)}}
    one_request(bench, number=1, id="sb-before")
    bench.collector.apply_policy(Policy.model_validate(policy), "1" * 64)
    one_request(bench, number=2, id="sb-during")
    bench.collector.journal.mark("sb-during", 1.0, "")
    bench.collector.apply_policy(Policy.model_validate(POLICY), "2" * 64)
    one_request(bench, number=3, id="sb-after")
    bench.collector.close()

    assert [json.loads(line)["id"] for line in content(tmp_path).splitlines()] == ["sb-during", "sb-during"]
    assert bench.value("signalbox_journal_entries_total", outcome="written") == 2


def test_what_still_waits_at_the_end_is_in_the_journal(bench, tmp_path):
    policy = {**POLICY, "journal": {"directory": str(tmp_path)}}
    bench.collector.apply_policy(Policy.model_validate(policy), "1" * 64)
    bench.requests(request_entry(metadata=said()))  # its attempt's entry never comes
    bench.attempts(attempt_entry(request_id="somebody-else"))
    bench.collector.drain()
    bench.collector.close()

    assert len(content(tmp_path).splitlines()) == 1


def test_a_broken_journal_is_a_warning_once_a_minute_and_a_metric(bench, tmp_path):
    (tmp_path / "file").write_text("")
    policy = {**POLICY, "journal": {"directory": str(tmp_path / "file")}}
    bench.collector.apply_policy(Policy.model_validate(policy), "1" * 64)
    for number in range(3):
        one_request(bench, number=number, id=f"sb-{number}")
        wait_until(lambda done=number: bench.collector.journal.writer.counts[JournalOutcome.FAILED] > done)
        bench.later(1)

    assert bench.value("signalbox_journal_entries_total", outcome="failed") == 3
    assert [line["event"] for line in bench.log.lines].count("journal_failed") == 1
    assert str(tmp_path).encode() not in b"".join(bench.log.raw)
