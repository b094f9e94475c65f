"""Decisions of traffic, judged by their feedback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from signalbox.cli import main
from signalbox.collector.journal.entry import VERSION, FeedbackEntry, RequestEntry, encode
from signalbox.errors import SetupError
from signalbox.evaluation.journal import SCORE, evaluate_journal
from signalbox.features.journal import FIELDS

WORDS = FIELDS.index("words")


def journal(directory: Path, *, tries: bool, rows: int = 400, marked: bool = True) -> Path:
    """Write decisions of a router whose score is right about the weak side; it tries the other one where `tries`."""
    dice = np.random.default_rng(0)
    lines = []
    for number in range(rows):
        hard = float(dice.random())
        strong = hard > 0.6 if not tries else bool(dice.random() < 0.5)
        good = dice.random() < (0.9 if strong else 1.0 - 0.8 * hard)
        features = [0.0] * len(FIELDS)
        features[WORDS] = float(dice.integers(1, 100))
        request = RequestEntry(
            v=VERSION,
            ended_seconds=number,
            id=f"id-{number}",
            router="support",
            model="big" if strong else "small",
            complexity=round(hard, 4),
            score=hard,
            usd=0.01 if strong else 0.001,
            features=tuple(features),
            estimate_tokens=20,
        )
        lines.append(encode(request))
        if marked:
            lines.append(encode(FeedbackEntry(v=VERSION, at_seconds=number, id=f"id-{number}", score=float(good))))
    lines.append(encode(RequestEntry(v=VERSION, ended_seconds=1, id="x", router="other", model="third")))
    directory.mkdir(exist_ok=True)
    (directory / "journal-20260101T000000.000000Z.jsonl").write_bytes(b"".join(lines))
    return directory


def test_a_score_that_is_right_about_the_weak_side_stands_above_words(tmp_path: Path) -> None:
    report = evaluate_journal(journal(tmp_path, tries=True), ["big"], ["small"], resamples=100)
    assert report.separation[SCORE].value > 0.65
    assert report.differences["word count"].above_zero
    assert (report.decided, report.others) == (400, 1)


def test_either_side_alone_is_reckoned_where_both_were_tried(tmp_path: Path) -> None:
    report = evaluate_journal(journal(tmp_path, tries=True), ["big"], ["small"], resamples=100)
    assert report.always_strong is not None
    assert report.always_weak is not None
    assert report.always_strong.low < 0.9 < report.always_strong.high
    assert report.always_weak.low < 0.6 < report.always_weak.high


def test_what_was_never_tried_is_left_open(tmp_path: Path) -> None:
    report = evaluate_journal(journal(tmp_path, tries=False), ["big"], ["small"], resamples=20)
    assert report.always_strong is None
    assert report.always_weak is None
    assert report.as_json["always_weak_reckoned"] is None


def test_the_words_of_eval_lead_to_a_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(journal(tmp_path, tries=True))
    words = ["eval", "--journal", folder, "--strong", "big", "--weak", "small", "--resamples", "20"]
    assert main(words) == 0
    assert "always weak, reckoned" in capsys.readouterr().out
    assert main([*words, "--router", "support", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["marked"] == 400
    assert found["elsewhere"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"strong": ["big"], "weak": []}, r"needs two sides[\s\S]*fix: name some of small, big"),
        ({"strong": ["big"], "weak": ["big"]}, "needs two sides"),
        ({"strong": ["huge"], "weak": ["small"]}, "'huge' answered nothing"),
        ({"strong": ["big"], "weak": ["small"], "router": "sales"}, "router 'sales' decided nothing"),
    ],
)
def test_sides_and_routers_that_are_not_there_are_named(tmp_path: Path, words, told) -> None:
    folder = journal(tmp_path, tries=True, rows=40)
    with pytest.raises(SetupError, match=told):
        evaluate_journal(folder, words["strong"], words["weak"], router=words.get("router", ""))


def test_without_marks_there_is_nothing_to_judge(tmp_path: Path) -> None:
    folder = journal(tmp_path, tries=True, rows=40, marked=False)
    with pytest.raises(SetupError, match="none of 40 answers has a mark"):
        evaluate_journal(folder, ["big"], ["small"])
