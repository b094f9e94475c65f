"""`signalbox tasks-eval`: what is routed among what, and what is printed of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from signalbox.cli import main
from signalbox.errors import SetupError
from signalbox.evaluation.conversations import read_conversations
from signalbox.evaluation.task_commands import FIGURES, read_groups
from signalbox.evaluation.task_matching import make_jobs, nearest

TASKS = {
    "Food_1": "Find restaurants and reserve tables",
    "Food_2": "A popular service for restaurants",
    "Trains_1": "Buy train tickets and look up trains",
    "Music_1": "Search for songs and play music",
    "Banks_1": "Manage bank accounts and transfer money",
}
ROWS = [
    {"id": "1", "text": "reserve a table for two at a restaurant", "label": "Food_1", "split": "test"},
    {"id": "2", "text": "which trains go to Hamburg, and how much is a ticket", "label": "Trains_1", "split": "test"},
    {"id": "3", "text": "play some music, a quiet song please", "label": "Music_1", "split": "test"},
    {"id": "4", "text": "what is the capital of Mongolia", "label": "oos", "split": "test"},
]
TURNS = [
    {"r": "u", "t": "find me a restaurant for dinner", "i": ["Food_1.Find"], "n": ["Food_1.Find"]},
    {"r": "u", "t": "yes please", "i": ["Food_1.Find"]},
    {"r": "u", "t": "now look up trains to Bremen", "i": ["Trains_1.Find"], "n": ["Trains_1.Find"]},
    {"r": "u", "t": "thanks, bye", "i": []},
    {"r": "u", "t": "and the weather?", "i": ["Weather_1.Get"], "n": ["Weather_1.Get"]},
]
DIALOGUE = {"id": "5", "split": "train", "turns": TURNS}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    data, tasks = tmp_path / "data.jsonl", tmp_path / "tasks.json"
    data.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, DIALOGUE]))
    tasks.write_text(json.dumps(TASKS))
    return data, tasks


def report(capsys: pytest.CaptureFixture[str], files: tuple[Path, Path], *words: str) -> dict[str, Any]:
    data, tasks = files
    given = ["tasks-eval", "--data", str(data), "--descriptions", str(tasks), "--resamples", "20", "--json", *words]
    assert main(given) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_single_prompts_are_judged_beside_plain_cosine(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(capsys, files, "--split", "test")
    assert (found["turns"], found["in_scope"], found["label_field"]) == (4, 3, "label")
    assert found["figures"]["built-in"]["best_accuracy"]["value"] == 1.0
    cosine = found["figures"]["cosine, built-in encoder"]
    assert cosine["fallback_rate"]["value"] == 0.0
    assert set(cosine) == {name for name, _ in FIGURES}
    assert set(found["gains"]["accuracy"]) == {"cosine, built-in encoder"}


def test_a_dialogue_is_judged_turn_by_turn_where_something_is_asked(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(capsys, files, "--split", "train", "--routes", "3")
    assert (found["turns"], found["in_scope"], found["label_field"]) == (4, 3, "service")
    assert found["figures"]["built-in"]["carried_accuracy"]["value"] == 1.0


def test_the_same_words_print_tables_for_people(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    data, tasks = files
    assert main(["tasks-eval", "--data", str(data), "--descriptions", str(tasks), "--split", "test"]) == 0
    shown = capsys.readouterr().out
    for said in ("4 turns of 4 conversations, 3 in scope", "built-in less ...", "out of scope, recall", "Trains_1"):
        assert said in shown


def test_only_conversations_with_labels_unknown_to_a_split_are_kept(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(capsys, files, "--not-in", "test", "--label-field", "service")["turns"] == 4
    data, tasks = files
    words = ["tasks-eval", "--data", str(data), "--descriptions", str(tasks), "--split", "test", "--not-in", "test"]
    assert main(words) == 1
    assert "every label of the records is in that split" in capsys.readouterr().err


def test_groups_make_coarse_tasks_of_fine_labels(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coarse = tmp_path / "coarse.json"
    coarse.write_text(json.dumps({"leisure": "Restaurants, meals, songs and music", "trips": "Trains and tickets"}))
    groups = tmp_path / "groups.json"
    groups.write_text(json.dumps({"leisure": ["Food_1", "Music_1"], "trips": ["Trains_1"]}))
    found = report(capsys, (files[0], coarse), "--groups", str(groups), "--split", "test")
    assert (found["label_field"], found["in_scope"]) == ("group", 3)
    assert found["figures"]["built-in"]["best_accuracy"]["value"] == 1.0


@pytest.mark.parametrize(
    ("data", "said"),
    [([], "object of lists"), ({"a": "b"}, "object of lists"), ({"a": ["x"], "b": ["x"]}, "in two groups")],
)
def test_groups_of_another_shape_are_refused(tmp_path: Path, data: Any, said: str) -> None:
    (tmp_path / "g.json").write_text(json.dumps(data))
    with pytest.raises(SetupError, match=said):
        read_groups(tmp_path / "g.json")


def test_a_drawn_set_has_the_conversation_s_own_tasks_and_one_of_each_other_kind(files: tuple[Path, Path]) -> None:
    conversations = read_conversations(files[0], split="train")
    for seed in range(20):
        (job,) = make_jobs(conversations, TASKS, "service", routes=4, seed=seed)
        assert {"Food_1", "Trains_1"} < set(job.names)
        assert len(job.names) == 4
        assert "Food_2" not in job.names
    (own,) = make_jobs(conversations, TASKS, "service", own_routes=True)
    assert own.names == ("Food_1", "Trains_1")
    assert own.gold == ({"Food_1"}, {"Food_1"}, {"Trains_1"}, None, frozenset())
    assert own.stated == (True, False, True, False, True)


def test_plain_cosine_is_the_nearest_description(files: tuple[Path, Path]) -> None:
    tasks = {"Music_1": "music", "Food_1": "food"}

    def vectors(texts: Any) -> Any:
        return np.array([[1.0, 0.0] if "music" in text else [0.0, 1.0] for text in texts], np.float32)

    jobs = make_jobs(read_conversations(files[0], split="test"), tasks, "label")
    outcomes = list(nearest(jobs, tasks, vectors, lambda done: None))
    assert [outcome.chosen for outcome in outcomes] == ["Food_1", "Food_1", "Music_1", "Food_1"]
    assert [bool(outcome.gold) for outcome in outcomes] == [True, False, True, False]


def test_a_file_without_a_turn_to_judge_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps({"turns": [{"r": "u", "t": "hello", "i": []}]}) + "\n")
    (tmp_path / "t.json").write_text(json.dumps(TASKS))
    words = ["tasks-eval", "--data", str(tmp_path / "d.jsonl"), "--descriptions", str(tmp_path / "t.json")]
    assert main([*words, "--label-field", "service"]) == 1
    assert "no turn of the file can be judged" in capsys.readouterr().err
