"""What the task matcher is fitted with: the same figures as at run time, and fits that find what was put in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.brain.artifact import sha256
from signalbox.brain.encoder import Encoder
from signalbox.brain.task_carry import Carry, Summary
from signalbox.brain.tasks import TaskMatcher, Turn
from signalbox.engines.base import Route as Task
from signalbox.errors import SetupError
from signalbox.training import task_fit
from signalbox.training.recipes import tasks as recipe
from signalbox.training.task_descriptions import BANKING_GROUPS
from signalbox.training.task_fit import fit_space, logistic, scope_features, similarities, stated_features
from signalbox.training.task_sets import TaskSet, described, read_sets

ENCODER = Encoder.load()

rows = st.lists(st.floats(-1, 2, width=32), min_size=1, max_size=30)


@given(rows)
def test_figures_of_a_turn_are_those_of_run_time(row: list[float]) -> None:
    fitted = scope_features(np.array([row], np.float32))[0]
    assert fitted == pytest.approx(Summary.of([float(value) for value in np.float32(row)]), abs=1e-6)


@given(rows, st.integers(0, 5000))
def test_log_odds_that_a_turn_is_stated_are_those_of_run_time(row: list[float], length: int) -> None:
    dice = np.random.default_rng(1)
    weights, direction, vector = dice.normal(size=6), dice.normal(size=4), dice.normal(size=4).astype(np.float32)
    features = stated_features(np.array([row], np.float32), vector[None], [length])[0]
    fitted = features @ np.concatenate([weights[:-1], direction]) + weights[-1]
    carry = Carry((0.0,) * 7, tuple(weights), direction.astype(np.float32), 1.0, 0.5)
    along = float(3.0 * direction @ vector)
    assert carry.stated_odds(Summary.of([float(v) for v in np.float32(row)]), along, length) == pytest.approx(
        fitted, abs=1e-5
    )


def test_log_odds_are_found_again_from_draws_of_them() -> None:
    dice = np.random.default_rng(3)
    features = dice.normal(size=(20_000, 2)) * [1.0, 10.0]
    chance = 1 / (1 + np.exp(-(features @ [1.5, -0.05] - 0.7)))
    found = logistic(features, dice.random(20_000) < chance, np.ones(20_000))
    assert found == pytest.approx([1.5, -0.05, -0.7], abs=0.08)


def small_set() -> TaskSet:
    tasks = {"cooking": "Recipes and meals", "trains": "Train tickets and timetables"}
    texts = [f"{verb} {noun}" for verb in ("cook", "bake", "boil") for noun in ("potatoes", "rice", "a cake")]
    texts += [
        f"{verb} {noun}" for verb in ("a ticket for", "when leaves") for noun in ("the train", "my express", "it")
    ]
    texts += ["the timetable", "which platform", "delays of trains"]
    return TaskSet(
        "small",
        "small",
        tuple(tasks),
        ENCODER.vectors([text.encode() for text in texts]),
        np.repeat([0, 1], 9),
        *described(tasks, ENCODER),
        np.array([len(text) for text in texts]),
    )


def test_a_fitted_space_puts_prompts_beside_their_descriptions() -> None:
    one = small_set()
    space = fit_space([one])
    similar = similarities(space, one.prompts, one.wholes, one.parts, one.starts)
    assert (similar.argmax(axis=1) == one.task).mean() > 0.9
    assert np.linalg.norm(space.prompts(one.prompts), axis=1) == pytest.approx(1.0, abs=1e-3)


def test_every_label_of_the_banking_groups_is_in_one_of_them() -> None:
    labels = [label for _, of_group in BANKING_GROUPS.values() for label in of_group]
    assert len(labels) == len(set(labels)) == 77


def test_a_folder_without_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="give --data its path"):
        read_sets(tmp_path, ENCODER)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in small: made-up prompts of every source, with the labels that the recipe knows."""
    folder = tmp_path_factory.mktemp("data")
    words = {"oven": "cook", "loan": "money", "song": "music", "train": "travel"}

    def write(name: str, records: list[dict[str, object]]) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in records).encode()))

    def prompts(fields: dict[str, str]) -> list[dict[str, object]]:
        return [
            {"text": f"{verb} the {noun} {extra}", "split": "train"} | {f: f"{label}{i}" for f, label in fields.items()}
            for i, noun in enumerate(words)
            for verb in ("show", "find", "change")
            for extra in ("now", "for me", "again")
        ]

    write(
        "intents/clinc150.jsonl.gz",
        [*prompts({"label": "c", "domain": "d"}), {"text": "x", "label": "oos", "domain": "oos", "split": "train"}],
    )
    write("intents/hwu64.jsonl.gz", prompts({"label": "h", "scenario": "s"}))
    labels = [label for _, of_group in BANKING_GROUPS.values() for label in of_group]
    write(
        "intents/banking77.jsonl.gz",
        [
            {"text": f"{label} {n}".replace("_", " "), "label": label, "split": "train"}
            for label in labels
            for n in range(6)
        ],
    )
    write(
        "intents/llm_tasks.jsonl.gz",
        [
            {"text": f"{text} {n}", "label": label, "split": "train"}
            for label, text in (
                ("coding", "write a function"),
                ("math", "prove the theorem"),
                ("creative_writing", "a poem of spring"),
                (None, "hello"),
            )
            for n in range(8)
        ],
    )
    write(
        "capability/x.jsonl.gz",
        [
            {"prompt": f"{text} {n}", "domain": domain, "split": "train"}
            for domain, text in (("math", "add up"), ("science", "the atom of"), ("code_cs", "what prints"))
            for n in range(8)
        ],
    )
    write("modality/image_prompts.jsonl.gz", [{"text": f"a red cat {n}", "split": "train"} for n in range(8)])
    turns = [
        [
            ("find a train", ["T_1.Find"], True),
            ("yes", ["T_1.Find"], False),
            ("play a song", ["M_1.Play"], True),
            ("bye", [], False),
        ],
        [("play music", ["M_1.Play"], True), ("louder", ["M_1.Play"], False), ("a train please", ["T_1.Find"], True)],
    ]
    write(
        "intents/sgd_multiturn.jsonl.gz",
        [
            {
                "split": "train",
                "turns": [{"r": "u", "t": text, "i": i} | ({"n": i} if new else {}) for text, i, new in turns[n % 2]],
            }
            for n in range(10)
        ],
    )
    (folder / "intents/sgd_schema.json").write_text(
        json.dumps(
            {
                "T_1": {"description": "Trains", "intents": {"Find": "Find a train"}},
                "M_1": {"description": "Music", "intents": {"Play": "Play a song"}},
            }
        )
    )
    described = {
        f"{letter}{i}": f"{noun} and {verb}" for letter in "cds" for i, (noun, verb) in enumerate(words.items())
    }
    (folder / "intents/descriptions.json").write_text(
        json.dumps(
            {
                "clinc150": {k: v for k, v in described.items() if k[0] == "c"},
                "clinc150_domains": {k: v for k, v in described.items() if k[0] == "d"} | {"oos": "else"},
                "hwu64_scenarios": {k: v for k, v in described.items() if k[0] == "s"},
                "banking77": {label: label.replace("_", " ") for label in labels},
            }
        )
    )
    return folder


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_fit, "SETS_PER_SOURCE", 4)


@pytest.mark.usefixtures("few_draws")
def test_the_recipe_makes_the_same_bytes_twice_and_a_matcher_of_them(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = []
    for name in ("first", "second"):
        monkeypatch.setattr("sys.argv", ["tasks", "--data", str(data), "--out", str(tmp_path / name)])
        recipe.main()
        sums.append((sha256(tmp_path / name / "tasks.npz"), sha256(tmp_path / name / "tasks.json")))
    assert sums[0] == sums[1]
    encoder = Encoder.load(tmp_path / "first")
    matcher = TaskMatcher.load(tmp_path / "first", encoder=encoder)
    prepared = matcher.prepare([Task("trains", "Trains and tickets"), Task("music", "Songs and music")])
    assert matcher.match(prepared, [Turn("user", b"find the train for me")]).scores[0][0] == "trains"


@pytest.mark.usefixtures("few_draws")
def test_a_family_that_is_left_out_is_not_learned_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["tasks", "--data", str(data), "--out", str(tmp_path), "--without", "clinc150", "--without", "hwu64"]
    monkeypatch.setattr("sys.argv", words)
    recipe.main()
    manifest = json.loads((tmp_path / "tasks.json").read_text())
    assert manifest["left_out"] == ["clinc150", "hwu64"]
    assert set(manifest["unseen_accuracy"]) == {"banking77", "sgd", "llm_tasks", "capability"}
