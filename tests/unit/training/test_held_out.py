"""Scores of sources that the heads never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from signalbox.brain.encoder import Encoder
from signalbox.evaluation.records import read_records
from signalbox.training.held_out import NOT_ASKED, held_out_scores, main
from tests.unit.evaluation.data import made_up, write


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load()


def test_a_sources_outcomes_do_not_touch_its_own_scores(tmp_path: Path, encoder: Encoder) -> None:
    one, two = made_up(90, source="one"), made_up(90, source="two", seed=1)
    flipped = [{**row, "p_weak": 1.0 - row["p_weak"]} for row in one]
    before, after = (
        held_out_scores(read_records(write(tmp_path / "x.jsonl", [*rows, *two])), encoder) for rows in (one, flipped)
    )
    assert before[:90].tolist() == after[:90].tolist()
    assert before[90:].tolist() != after[90:].tolist()


def test_scores_are_written_in_the_order_of_the_rows_with_those_that_have_no_outcome(
    tmp_path: Path, encoder: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*made_up(60, source="one"), {"prompt": "no outcome", "source": "one"}, *made_up(60, source="two", seed=1)]
    file, out = write(tmp_path / "x.jsonl", rows), tmp_path / "scores.npy"
    assert main(["--data", str(file), "--out", str(out)]) == 0
    assert "121 scores, 2 sources" in capsys.readouterr().out
    scores = np.load(out)
    assert scores[60] == np.float32(NOT_ASKED)
    expected = held_out_scores(read_records(file), encoder)
    assert np.delete(scores, 60).tolist() == expected.tolist()


def test_one_source_alone_cannot_be_held_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "x.jsonl", made_up(30))
    assert main(["--data", str(file), "--out", str(tmp_path / "s.npy")]) == 1
    assert "all are of one source" in capsys.readouterr().err
