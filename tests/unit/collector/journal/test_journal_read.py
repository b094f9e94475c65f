"""Reading back what was written, what is being written, and what a crash left of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.cli import main
from signalbox.collector.journal.entry import FeedbackEntry, RequestEntry, encode
from signalbox.collector.journal.files import journal_files
from signalbox.collector.journal.read import JournalReader
from signalbox.errors import SetupError
from signalbox.label import Label

FIRST, SECOND = "journal-20261121T110000.000000Z.jsonl", "journal-20261121T120000.000000Z.jsonl"


def request(number: int, **members) -> RequestEntry:
    known = {"router": "coding", "route": "bug-fixing", "provider": "cloud", "model": "gpt-large", "status": 200}
    return RequestEntry(1, 1_795_258_800.0 + number, f"sb-{number}", **(known | members))


def mark(number: int, score: float | None, label: str = "") -> FeedbackEntry:
    return FeedbackEntry(1, 1_795_259_000.0, f"sb-{number}", score, label)


def ids(directory: Path) -> list[str]:
    return [entry.id for entry in JournalReader(directory)]


def test_entries_come_in_order_from_compressed_and_open_files(tmp_path):
    (tmp_path / f"{FIRST}.gz").write_bytes(gzip.compress(encode(request(1)) + encode(request(2))))
    (tmp_path / SECOND).write_bytes(encode(request(3)))

    assert list(JournalReader(tmp_path)) == [request(1), request(2), request(3)]


def test_torn_and_foreign_lines_are_stepped_over_and_counted(tmp_path):
    lines = [
        encode(request(1)), b"\n", b"{}\n", b"not json\n", b'{"kind":"dance","v":1}\n', b"\xff\xfe\n",
        b'{"kind":"request","v":1,"ended_seconds":null,"id":"sb-9"}\n', b"x" * 1_500_000 + b"\n",
        encode(request(2)), encode(request(3))[:40],
    ]  # fmt: skip
    (tmp_path / FIRST).write_bytes(b"".join(lines))
    reader = JournalReader(tmp_path)

    assert [entry.id for entry in reader] == ["sb-1", "sb-2"]
    assert reader.skipped == 9  # the long one counts as two


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([b"[" * 100_000, b'{"kind":"request","v":1,"x":' + b"[" * 100_000])
    )
)
def test_whatever_stands_between_lines_they_are_found(junk):
    with TemporaryDirectory() as directory:
        lines = [b"".join((encode(request(number)), text, b"\n")) for number, text in enumerate(junk)]
        (Path(directory) / FIRST).write_bytes(b"".join(lines))
        assert ids(Path(directory)) == [f"sb-{number}" for number in range(len(junk))] if junk else True


@pytest.mark.parametrize("cut", [5, 60, -4])
def test_a_compressed_file_that_is_cut_short_yields_what_is_whole(tmp_path, cut):
    packed = gzip.compress(b"".join(encode(request(number)) for number in range(200)))
    (tmp_path / f"{FIRST}.gz").write_bytes(packed[:cut])
    (tmp_path / SECOND).write_bytes(encode(request(999)))
    reader = JournalReader(tmp_path)
    found = [entry.id for entry in reader]

    assert found == [f"sb-{number}" for number in range(len(found) - 1)] + ["sb-999"]
    assert reader.skipped == 1


@pytest.mark.parametrize(
    "line", [b'{"kind":"request","v":2,"ended_seconds":1.5,"id":"sb-1"}', b'{"kind":"trace","v":3}']
)
def test_a_newer_version_is_refused_and_named(tmp_path, line):
    (tmp_path / FIRST).write_bytes(encode(request(1)) + line + b"\n")

    with pytest.raises(SetupError, match=rf"{FIRST}:2: written by a newer Signalbox"):
        ids(tmp_path)


def test_a_file_that_is_compressed_meanwhile_is_read_under_its_new_name(tmp_path):
    (tmp_path / FIRST).write_bytes(encode(request(1)))
    (tmp_path / SECOND).write_bytes(encode(request(2)))
    found = []
    for entry in JournalReader(tmp_path):
        found.append(entry.id)
        if entry.id == "sb-1":
            (tmp_path / f"{SECOND}.gz").write_bytes(gzip.compress(encode(request(2))))
            (tmp_path / SECOND).unlink()

    assert found == ["sb-1", "sb-2"]


def test_a_file_that_is_removed_meanwhile_is_missed_by_nobody(tmp_path):
    (tmp_path / FIRST).write_bytes(encode(request(1)))
    (tmp_path / SECOND).write_bytes(encode(request(2)))
    found = []
    for entry in JournalReader(tmp_path):
        found.append(entry.id)
        (tmp_path / SECOND).unlink()

    assert found == ["sb-1"]
    assert [path.name for path in journal_files(tmp_path)] == [FIRST]


def test_a_request_gets_its_last_mark_wherever_it_stands(tmp_path):
    early, late = mark(2, 0.0), mark(1, 1.0)
    lines = [early, request(1), request(2), mark(1, 0.0), request(3), late, mark(77, 1.0)]
    (tmp_path / FIRST).write_bytes(b"".join(map(encode, lines)))

    assert list(JournalReader(tmp_path).marked()) == [(request(1), late), (request(2), early), (request(3), None)]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    lines = [
        request(0, usd=0.25),
        request(1, usd=0.5),
        request(2, provider="local", model="qwen", usd=None),
        request(3, router="", route="gpt-small", provider="spare", model="gpt-small", usd=0.125),
        request(4, router="", route="", provider="", model="", error="model_not_found", status=404),
        mark(0, 1.0),
        mark(1, 0.2, "wrong"),
        mark(3, None, "slow"),
    ]
    (tmp_path / FIRST).write_bytes(b"".join(map(encode, lines)) + b"torn")
    return tmp_path


def test_the_summary_has_shares_cost_and_feedback(journal, capsys):
    assert main(["journal", "--dir", str(journal), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)

    def figures(
        requests: int, failed: int, usd: float, unpriced: int, good: int = 0, bad: int = 0
    ) -> dict[str, object]:
        shares = {"requests": requests, "share": round(requests / 5, 4), "failed": failed}
        return {**shares, "usd": usd, "unpriced": unpriced, "good": good, "bad": bad}

    assert summary == {
        "first": "2026-11-21T11:00:00.000Z",
        "last": "2026-11-21T11:00:04.000Z",
        "skipped_lines": 1,
        "refused": 1,
        "total": figures(5, 1, 0.875, 1, 1, 1),
        "routers": {"coding": figures(3, 0, 0.75, 1, 1, 1), "(none)": figures(1, 0, 0.125, 0)},
        "routes": {"bug-fixing": figures(3, 0, 0.75, 1, 1, 1), "gpt-small": figures(1, 0, 0.125, 0)},
        "models": {
            "gpt-large": figures(2, 0, 0.75, 0, 1, 1),
            "gpt-small": figures(1, 0, 0.125, 0),
            "qwen": figures(1, 0, 0.0, 1),
        },
        "labels": {},
    }


def label(number: int, task: str = "bug-fixing", **members) -> Label:
    known = {"router": "coding", "engine": "arch", "outcome": "result" if task else "unsure", "task": task}
    return Label(1, 1_795_259_000.0, f"sb-{number}", **(known | members))


def test_the_summary_says_how_often_engines_would_have_decided_likewise(journal, capsys):
    lines = [
        label(0),  # before its request, where lines of another file stand behind
        request(10, router="everything", goal="coding"),
        label(10),
        label(1, "chat"),
        label(2, ""),
        label(77),  # of a request that is not there any more
        label(3),  # of a request that went through no router
        label(1, engine="r1"),
        label(0, "", engine="r1", outcome="late"),
    ]
    (journal / "journal-20261121T100000.000000Z.jsonl").write_bytes(b"".join(map(encode, lines)))
    assert main(["journal", "--dir", str(journal), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["labels"] == {
        "arch": {
            "labels": 6,
            "outcomes": {"result": 5, "unsure": 1},
            "compared": 3,
            "agreed": 2,
            "agreement": 0.6667,
        },
        "r1": {"labels": 2, "outcomes": {"late": 1, "result": 1}, "compared": 1, "agreed": 1, "agreement": 1.0},
    }
    assert main(["journal", "--dir", str(journal)]) == 0
    text = capsys.readouterr().out
    assert "labels of arch: 6 (5 result, 1 unsure); 2 of 3 requests went there (66.7%)" in text


def test_the_summary_for_people_says_what_its_sums_leave_out(journal, capsys):
    assert main(["journal", "--dir", str(journal)]) == 0
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines()]

    assert rows[1] == ["requests", "share", "failed", "USD", "good", "bad"]
    assert ["model", "gpt-large", "2", "40.0%", "0", "0.7500", "1", "1"] in rows
    assert ["model", "qwen", "1", "20.0%", "0", "?", "0", "0"] in rows
    assert "USD leaves out 1 answers whose price or usage is not known" in text
    assert "1 lines could not be read" in text


@pytest.mark.parametrize("place", ["", "nowhere", "file"])
def test_a_place_without_a_journal_is_explained(tmp_path, capsys, place):
    (tmp_path / "file").write_text("")
    assert main(["journal", "--dir", str(tmp_path / place)]) == 1
    assert "fix: check the path" in capsys.readouterr().err
