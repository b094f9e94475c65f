"""`signalbox eval` and `signalbox score`, from words to text, JSON, plots and exit status."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import numpy as np
import pytest

from signalbox.cli import main
from tests.unit.evaluation.data import made_up, write

COST = str(Path(__file__).parents[3] / "docs" / "examples" / "cost.yaml") + ":cost"
QUICK = ["--resamples", "20", "--quiet"]


@pytest.fixture
def data(tmp_path: Path) -> str:
    rows = made_up(60, source="one") + made_up(50, source="two", seed=1)
    return str(write(tmp_path / "data.jsonl.gz", rows))


def evaluated(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["eval", *words, "--json", *QUICK]) == 0
    return json.loads(capsys.readouterr().out)


def test_eval_prints_tables_with_every_baseline(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--data", data, "--router", COST, "--padding", *QUICK]) == 0
    told = capsys.readouterr()
    for expected in (
        "word count",
        "surface composite",
        "TF-IDF + ridge",
        "k-NN",
        "random",
        "always weak",
        "always strong",
        "oracle",
        "best single model",
        "Macro average over the sources",
        "APGR by source",
        "Length padding",
        "p99",
    ):
        assert expected in told.out
    assert told.err == ""  # not a terminal: no bar


def test_eval_json_has_every_figure_with_its_interval(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluated(capsys, "--data", data, "--router", COST)
    assert set(found["sources"]) == {"one", "two"}
    figures = found["macro"]["figures"]["cost.yaml:cost"]
    assert set(figures) == {"auroc", "apgr", "cpt_50", "cpt_80", "cost_at_95", "quality", "cost", "regret"}
    for interval in figures.values():
        assert interval["low"] <= interval["value"] <= interval["high"]
    assert set(found["macro"]["router_minus"]["word count"]) == set(figures)
    assert found["data"]["used"] == 110
    assert len(found["all_rows"]["curves"]["strong_share"]) == 101


def test_eval_takes_the_scores_of_any_tool(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = tmp_path / "scores.npy"
    np.save(scores, np.linspace(0, 1, 110))
    found = evaluated(capsys, "--data", data, "--router", f"scores:{scores}", "--split", "valid", "--padding")
    assert found["data"]["used"] == 28
    assert found["all_rows"]["calibration"]["rows"] > 0
    assert any("padding is not measured" in note for note in found["notes"])


def test_score_writes_one_float_for_each_row_in_order(data: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "scores.npy"
    assert main(["score", "--data", data, "--out", str(out), "--router", COST, "--quiet"]) == 0
    assert "110 scores" in capsys.readouterr().out
    scores = np.load(out)
    assert scores.dtype == np.float32
    assert scores.shape == (110,)
    assert np.isfinite(scores).all()
    found = evaluated(capsys, "--data", data, "--router", f"scores:{out}")
    again = evaluated(capsys, "--data", data, "--router", COST)
    assert found["macro"]["figures"]["scores.npy"]["auroc"] == again["macro"]["figures"]["cost.yaml:cost"]["auroc"]


def test_one_row_is_evaluated_with_what_there_is_to_say(tmp_path: Path, capsys) -> None:
    file = write(tmp_path / "one.jsonl", made_up(1))
    found = evaluated(capsys, "--data", str(file), "--router", COST)
    assert found["macro"]["figures"]["cost.yaml:cost"]["auroc"]["value"] is None
    assert any("1 rows; its figures tell little" in note for note in found["notes"])
    assert any("AUROC does not exist" in note for note in found["notes"])
    assert main(["eval", "--data", str(file), "--router", COST, *QUICK]) == 0


def test_a_strong_side_that_is_no_better_is_said(tmp_path: Path, capsys) -> None:
    rows = [{"prompt": f"p {n}", "scores": {"a": 1, "b": n % 2}} for n in range(20)]
    file = write(tmp_path / "x.jsonl", rows)
    found = evaluated(capsys, "--data", str(file), "--router", COST, "--strong", "b", "--weak", "a")
    assert found["macro"]["figures"]["random"]["apgr"]["value"] is None
    assert any("no gap to recover" in note for note in found["notes"])


def test_without_scikit_learn_the_other_baselines_go_on(data: str, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *rest, **words):
        if name.partition(".")[0] == "sklearn":
            raise ImportError(name)
        return whole(name, *rest, **words)

    monkeypatch.setattr(builtins, "__import__", without)
    found = evaluated(capsys, "--data", data, "--router", COST)
    assert "TF-IDF + ridge" not in found["macro"]["figures"]
    assert any("signalbox[train]" in note for note in found["notes"])


def test_plots_are_files_that_are_the_same_each_time(data: str, tmp_path: Path, capsys) -> None:
    pytest.importorskip("matplotlib")
    scores = tmp_path / "scores.npy"
    np.save(scores, np.linspace(0, 1, 110))
    for folder in ("first", "second"):
        words = ["--router", f"scores:{scores}", "--plots", str(tmp_path / folder)]
        assert main(["eval", "--data", data, *words, *QUICK]) == 0
    for name in ("curves.svg", "differences.svg", "calibration.svg"):
        first = (tmp_path / "first" / name).read_bytes()
        assert first.startswith(b"<?xml")
        assert first == (tmp_path / "second" / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--router", "nonsense"], "expected: builtin, builtin:DIR, POLICY.yaml:ROUTER or scores:FILE.npy"),
        (["--router", "nowhere.yaml:cost"], "nowhere.yaml"),
        (["--router", COST, "--strong", "bigg"], "did you mean 'big'"),
        (["--router", COST, "--prices", "/nowhere.yaml"], "/nowhere.yaml"),
        (["--router", "scores:/nowhere.npy"], "/nowhere.npy"),
    ],
)
def test_words_that_mean_nothing_are_one_clear_message(data: str, capsys, words: list[str], told: str) -> None:
    assert main(["eval", "--data", data, *words, *QUICK]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--seed", "-1"],
        ["--resamples", "0"],
        ["--target-share", "1.5"],
        ["--threshold", "nan"],
        ["--scale", "5:1"],
        ["--threshold", "0.5", "--target-share", "0.5"],
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_read(data: str, words: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["eval", "--data", data, *words])
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_score_refuses_what_cannot_be_asked_or_written(data: str, tmp_path: Path, capsys) -> None:
    assert main(["score", "--data", data, "--out", str(tmp_path / "no" / "s.npy"), "--router", COST, "--quiet"]) == 1
    assert "after --out" in capsys.readouterr().err
    assert main(["score", "--data", data, "--out", str(tmp_path / "s.npy"), "--router", "scores:x.npy"]) == 1
    assert "scores already" in capsys.readouterr().err
