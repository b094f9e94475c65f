"""What labels of a source are worth that the general heads never saw: measured beside TF-IDF, on made-up sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalbox.brain.encoder import Encoder
from signalbox.errors import DataError
from signalbox.evaluation.baselines import WORD_COUNT
from signalbox.evaluation.records import read_records
from signalbox.training import few_labels as module
from signalbox.training.few_labels import UNTRAINED, few_labels, main
from tests.unit.training.rows import labelled, write


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sources")
    found = []
    for name in ("a", "b", "c"):
        rows = [
            {"prompt": f"{row['prompt']} of {name}", "source": name, "p_strong": 1.0, "p_weak": row["scores"]["small"]}
            for row in labelled(60)
        ]
        found.append(write(folder / f"{name}.jsonl", rows))
    return found


def test_labels_are_compared_on_the_same_rows_of_a_source_left_out(files: list[Path]) -> None:
    found = few_labels(read_records(files), Encoder.load(), "a", draws=2)
    assert all(values.shape == (2,) for values in found.values())
    assert found[f"trained on {module.FEW}"].mean() > found[WORD_COUNT].mean()
    assert found[UNTRAINED].mean() > 0.6


def test_a_lone_source_cannot_be_left_out(files: list[Path]) -> None:
    with pytest.raises(DataError, match="one source"):
        few_labels(read_records(files[:1]), Encoder.load(), "a", draws=1)


def test_the_command_prints_a_table_for_each_large_source(
    files: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--data", *map(str, files), "--draws", "1"]
    assert main(words) == 1
    assert "no source has" in capsys.readouterr().err
    monkeypatch.setattr(module, "LEAST", 60)
    assert main(words) == 0
    assert capsys.readouterr().out.count(UNTRAINED) == 3
