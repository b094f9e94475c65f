"""The recipes of the guards' models: the same bytes each time, from a small folder of data made here."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from signalbox.brain.artifact import MODELS
from signalbox.brain.encoder import Encoder
from signalbox.brain.modality import Modality
from signalbox.training.recipes import modality, privacy

THINGS = ("a red kite", "two boats", "an old clock", "a fox in the snow", "three pears on a plate")
QUESTIONS = ("how do i reset my password", "what is the interest rate", "sort this list", "is it going to rain")
CODE = "def add(a, b):\n    return a + b\nWhat does this print?"


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    splits = ["train", "train", "train", "valid"]
    captions = [{"text": thing, "split": splits[at % 4]} for at, thing in enumerate(THINGS * 8)]
    asked = [{"text": f"{text} {at}", "split": splits[at % 4]} for at, text in enumerate(QUESTIONS * 30)]
    prompts = [{"prompt": f"{CODE} {at}", "split": splits[at % 4]} for at in range(24)]
    write(folder / "modality" / "image_prompts.jsonl.gz", captions)
    for name in ("banking77", "clinc150", "hwu64", "llm_tasks"):
        write(folder / "intents" / f"{name}.jsonl.gz", asked)
    turns = [{"turns": [{"r": "u", "t": text}], "split": splits[at % 4]} for at, text in enumerate(QUESTIONS * 4)]
    write(folder / "intents" / "sgd_multiturn.jsonl.gz", turns)
    for name in ("evalperf", "zeroeval_crux", "zeroeval_math_l5", "mmlu_pro", "reasoning_gym"):
        write(folder / "capability" / f"{name}.jsonl.gz", prompts)
    sentences = [
        {"text": f"My name is {name}.", "spans": [[11, 11 + len(name), "PERSON"]], "template": at}
        for at, name in enumerate(("Ann Lee", "Bo Berg", "Cora Diaz", "Eve Moss"))
    ]
    write(folder / "privacy" / "presidio_synth.jsonl.gz", sentences)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for recipe, sizes in (
        (modality, {"WRAPPED": 600, "TALKED": 600, "BARE": 20}),
        (privacy, {"MADE": 300, "PLAIN": 200, "ADDRESSES": 1, "ITERATIONS": 10}),
    ):
        for name, size in sizes.items():
            monkeypatch.setattr(recipe, name, size)


@pytest.mark.parametrize("recipe", [modality, privacy])
def test_a_recipe_makes_the_same_bytes_each_time(recipe: Any, data: Path, tmp_path: Path) -> None:
    made = []
    for attempt in ("one", "two"):
        out = tmp_path / attempt
        out.mkdir()
        for path in MODELS.glob("encoder.*"):
            shutil.copy(path, out)
        recipe.build(data, out)
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert made[0] == made[1]
    assert len(made[0]) > 4


def test_what_was_made_tells_what_it_was_shown(data: Path, tmp_path: Path) -> None:
    for path in MODELS.glob("encoder.*"):
        shutil.copy(path, tmp_path)
    modality.build(data, tmp_path)
    encoder, asks = Encoder.load(tmp_path), Modality.load(tmp_path)
    for text, wanted in ((b"Draw a fox in the snow", True), (b"what is the interest rate", False)):
        assert (asks.image(encoder.vector(text), text) >= 0.5) is wanted
