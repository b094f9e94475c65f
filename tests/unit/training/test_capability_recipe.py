"""The recipe of the general heads on small made-up sources: what it learns, and that it always writes the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from signalbox.brain.capability import Capability
from signalbox.brain.encoder import Encoder
from signalbox.errors import DataError
from signalbox.evaluation.records import read_records
from signalbox.evaluation.routers import features_of
from signalbox.training.linear import centres, logistic, ridge
from signalbox.training.recipes.capability import build, write

HARD = ("Prove that {} is continuous", "Derive the distribution of {} formally", "Find a closed form for {}")
EASY = ("Say hello to {}", "Which colour is {}?", "Tell me something nice about {}")
THINGS = ("the sea", "a red chair", "the number line", "my neighbour", "an old bridge", "the integral", "a small town")


def sources(folder: Path) -> Path:
    """Write three sources whose hard prompts are proofs and whose easy ones are chat; each has a mean of its own."""
    folder.mkdir(parents=True)
    dice = np.random.default_rng(5)
    for number, lift in enumerate((0.0, 0.3, -0.2)):
        lines = []
        for row in range(60):
            hard = bool(row % 2)
            prompt = f"{(HARD if hard else EASY)[row % 3].format(THINGS[row % 7])}, case {'abc'[number]}{row}"
            weak = float(np.clip((0.2 if hard else 0.8) + lift + dice.normal(0, 0.05), 0, 1))
            lines.append(json.dumps({"prompt": prompt, "source": f"s{number}", "p_strong": 0.9, "p_weak": weak}))
        (folder / f"s{number}.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(sources(tmp_path_factory.mktemp("data") / "capability").glob("*.jsonl"))


def test_the_recipe_writes_the_same_bytes_twice(files: list[Path], tmp_path: Path) -> None:
    encoder = Encoder.load()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(read_records(files), encoder, tmp_path / name)
    for name in ("capability.json", "capability.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_heads_learn_what_is_hard_within_sources_and_carry_it_to_one_they_never_saw(
    files: list[Path], tmp_path: Path
) -> None:
    encoder = Encoder.load()
    write(read_records(files), encoder, tmp_path)
    says = json.loads((tmp_path / "capability.json").read_text())
    assert says["leave_one_source_out"]["average"]["auroc"] > 0.8
    heads = Capability.load(tmp_path)
    hard, easy = ("Prove that the sum is continuous, case a9", "Say hello to my aunt, case a9")
    scores = [heads.need(encoder.vector(text.encode()), features_of([text])[0]).strong for text in (hard, easy)]
    assert scores[0] > scores[1]


def test_a_data_folder_without_records_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="capability"):
        build(tmp_path, tmp_path)


def test_ridge_finds_the_direction_and_shrinks_with_its_strength() -> None:
    dice = np.random.default_rng(0)
    columns = dice.normal(size=(500, 4))
    target = columns @ np.array([1.0, -2.0, 0.0, 0.5])
    weights = np.ones(500)
    assert ridge(columns, target, weights, 1e-9) == pytest.approx([1.0, -2.0, 0.0, 0.5], abs=1e-6)
    assert np.linalg.norm(ridge(columns, target, weights, 10.0)) < 0.5


def test_the_logistic_fit_recovers_chances_and_stays_finite_where_classes_come_apart() -> None:
    dice = np.random.default_rng(0)
    columns = dice.normal(size=(4000, 1))
    target = (dice.random(4000) < 1 / (1 + np.exp(-(2 * columns[:, 0] - 1)))).astype(float)
    assert logistic(columns, target, np.ones(4000)) == pytest.approx([2.0, -1.0], abs=0.15)
    assert np.isfinite(logistic(columns, (columns[:, 0] > 0).astype(float), np.ones(4000))).all()


def test_centres_lie_where_the_rows_are() -> None:
    dice = np.random.default_rng(0)
    places = np.eye(5)[dice.integers(0, 3, 300)] + dice.normal(0, 0.05, (300, 5))
    rows = places / np.linalg.norm(places, axis=1, keepdims=True)
    found = centres(rows, 3)
    assert (rows @ found.T).max(axis=1).min() > 0.9
    assert len(centres(rows[:2], 8)) == 2
