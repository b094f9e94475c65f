"""`signalbox models bench` measures a bundle in processes of its own, and says what it measured."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from signalbox.bundles import open_bundle
from signalbox.bundles.bench import default_lengths
from signalbox.bundles.manifest import MODEL
from signalbox.bundles.measure import latency, throughput
from signalbox.cli import main
from tests.unit.bundles.tiny import seal, write_bundle

QUICK = ["--seconds", "0.02", "--quiet"]


def test_every_length_thread_count_and_process_count_is_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_bundle(tmp_path / "b")
    words = ["models", "bench", str(folder), "--lengths", "8,64", "--threads", "1,2", "--processes", "1,2", *QUICK]
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "classifier"
    assert report["load_ms"] > 0
    assert {threads: [point["tokens"] for point in points] for threads, points in report["latency"].items()} == {
        "1": [8, 64],
        "2": [8, 64],
    }
    for point in report["latency"]["1"]:
        assert 0 < point["min_ms"] <= point["p50_ms"] <= point["p99_ms"]
        assert point["runs"] >= 3
    assert report["throughput"][0]["concurrent"] == 1
    assert all(each["per_second"] > 0 for each in report["throughput"])
    assert set(report["memory"]) == {"1", "2"}
    assert 0 < report["memory"]["2"]["pss_mb"] <= report["memory"]["2"]["rss_mb"] <= report["memory"]["2"]["peak_mb"]


def test_tensors_are_measured_without_lengths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "bench", str(write_bundle(tmp_path / "b", kind="matrix_factorization")), *QUICK]) == 0
    out = capsys.readouterr().out
    assert "matrix_factorization" in out
    assert "requests/s" in out


def test_lengths_that_the_model_does_not_take_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_bundle(tmp_path / "b", max_tokens=100)
    assert default_lengths(open_bundle(folder)) == [32, 64, 100]
    assert main(["models", "bench", str(folder), "--lengths", "101", *QUICK]) == 1
    assert "takes at most 100 tokens" in capsys.readouterr().err


def test_a_graph_that_cannot_be_run_is_said_and_not_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_bundle(tmp_path / "b")
    content = (folder / MODEL).read_bytes().replace(b"Gather", b"Gatxer")
    (folder / MODEL).write_bytes(content)
    seal(folder, schema=1, kind="classifier", architecture="Tiny", labels=("a", "b", "c"), max_tokens=512)
    assert main(["models", "bench", str(folder), *QUICK]) == 1
    assert "the process that measures ended with status 1" in capfd.readouterr().err


def test_the_peak_is_this_process_and_not_the_one_that_started_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ballast = bytearray(400_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert main(["models", "bench", str(write_bundle(tmp_path / "b")), "--lengths", "8", *QUICK, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memory"]["1"]["peak_mb"] < 400
    del ballast


def test_latency_takes_a_few_runs_however_slow_they_are() -> None:
    assert latency(lambda: None, 0.0)["runs"] == 3


def test_throughput_counts_the_runs_of_all_threads() -> None:
    met = threading.Barrier(2, timeout=10)
    assert throughput(met.wait, 0.0, 2) > 0, "both threads run at the same time, or the barrier breaks"
