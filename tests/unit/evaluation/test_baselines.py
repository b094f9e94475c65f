"""Baselines: what they see, and what they must not see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from signalbox.errors import SetupError
from signalbox.evaluation.baselines import NEIGHBOURS, TFIDF, best_single, counted, fitted
from signalbox.evaluation.folds import make_folds
from signalbox.evaluation.metrics import auroc
from signalbox.evaluation.records import NEITHER, Records, read_records
from tests.unit.evaluation.data import made_up, write


def records_of(tmp_path: Path, rows: list) -> Records:
    return read_records(write(tmp_path / "x.jsonl", rows))


def test_words_are_counted_and_the_composite_is_the_fixed_formula(tmp_path: Path) -> None:
    prompt = "Prove that 3 is not even unless 4 is odd."
    words, composite = counted(records_of(tmp_path, [{"prompt": prompt, "p_strong": 1, "p_weak": 0}]))
    assert words.scores.tolist() == [10.0]
    hard, numbers, negations = 1, 2, 2
    expected = 0.30 * 10 / 200 + 0.20 * hard / 5 + 0.15 * numbers / 8 + 0.15 * negations / 8
    assert composite.scores[0] == pytest.approx(expected)


def test_fitted_baselines_learn_what_the_words_say_from_other_rows(tmp_path: Path) -> None:
    records = records_of(tmp_path, made_up(300))
    ridge, neighbours = fitted(records, make_folds(records.prompts, records.sources))
    told = records.labels != NEITHER
    assert [ridge.name, neighbours.name] == [TFIDF, NEIGHBOURS]
    for verdicts in (ridge, neighbours):
        assert auroc(verdicts.scores[told], records.labels[told] == 1) > 0.58


def test_no_row_is_scored_by_what_was_fitted_on_it(tmp_path: Path) -> None:
    rows = made_up(120)
    records = records_of(tmp_path, rows)
    folds = make_folds(records.prompts, records.sources)
    before = fitted(records, folds)
    test = folds[0].test
    flipped = [
        {**row, "p_strong": 1.0, "p_weak": 1.0 - row["p_weak"]} if number in set(test.tolist()) else row
        for number, row in enumerate(rows)
    ]
    after = fitted(records_of(tmp_path, flipped), folds)
    for first, second in zip(before, after, strict=True):
        assert first.scores[test].tolist() == second.scores[test].tolist()


def test_equal_prompts_are_never_on_both_sides_of_a_fold() -> None:
    prompts = ["same", " same", "a", "b", "c", "same", "d", "e", "f", "g"]
    for sources, by in ((["x"] * 5 + ["y"] * 5, "source"), (["x"] * 10, "prompt")):
        folds = make_folds(prompts, sources, by)
        assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(10))
        for fold in folds:
            known = {prompts[row].strip() for row in fold.train}
            assert known.isdisjoint(prompts[row].strip() for row in fold.test)


def test_several_sources_are_left_out_one_by_one() -> None:
    folds = make_folds(["a", "b", "c", "d"], ["x", "y", "x", "y"])
    assert [(fold.name, fold.train.tolist(), fold.test.tolist()) for fold in folds] == [
        ("x", [1, 3], [0, 2]),
        ("y", [0, 2], [1, 3]),
    ]
    with pytest.raises(SetupError, match="all rows are of one source"):
        make_folds(["a", "b"], ["x", "x"], "source")


def test_too_few_labels_to_learn_from_give_equal_scores_and_a_note(tmp_path: Path) -> None:
    for rows in (made_up(1), made_up(6), [{"prompt": f"p{n}", "p_strong": 1, "p_weak": 1} for n in range(40)]):
        records = records_of(tmp_path, rows)
        for verdicts in fitted(records, make_folds(records.prompts, records.sources)):
            assert len(set(verdicts.scores.tolist())) == 1
            assert "too few to learn from" in verdicts.notes[0]


def test_the_best_single_model_is_one_that_answered_nearly_everything(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "scores": {"a": 0.5, "b": 0.6, "lucky": 1.0}} for n in range(30)]
    for row in rows[3:]:
        del row["scores"]["lucky"]
    records = read_records(write(tmp_path / "x.jsonl", rows), "b", "a")
    assert best_single(records, np.arange(30)) == ("b", pytest.approx(0.6))
    assert best_single(records_of(tmp_path, made_up(2)).only(np.array([0])), np.arange(1)) is not None
    tiers = records_of(tmp_path, [{"prompt": "p", "p_strong": 1, "p_weak": 0}])
    assert best_single(tiers, np.arange(1)) is None
