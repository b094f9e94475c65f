"""Conversations and described tasks: which is meant, what follows up, and when it is none."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.brain.artifact import MODELS, write_manifest
from signalbox.brain.encoder import Encoder
from signalbox.brain.tasks import MOST_TURNS, Match, TaskMatcher, Turn
from signalbox.errors import SetupError


@dataclass(frozen=True)
class Task:
    name: str
    description: str


TASKS = (
    Task("coding", "Write, explain, debug and review computer programs"),
    Task("cooking", "Recipes, ingredients, cooking times and meal plans"),
    Task("travel", "Plan trips: flights, hotels, trains and sights"),
    Task("finance", "Bank accounts, money transfers, loans and credit cards"),
)
ENCODER = Encoder.load()
MATCHER = TaskMatcher.load(encoder=ENCODER)
PREPARED = MATCHER.prepare(TASKS)


def match(*texts: str, tasks: tuple[Task, ...] = TASKS) -> Match:
    prepared = PREPARED if tasks is TASKS else MATCHER.prepare(tasks)
    return MATCHER.match(prepared, [Turn("user", text.encode()) for text in texts])


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("My Python loop raises an IndexError, can you fix the function?", "coding"),
        ("how long do I bake a chicken with potatoes in the oven", "cooking"),
        ("find me a cheap hotel near the train station in Lisbon", "travel"),
        ("I want to send money from my savings account to my sister", "finance"),
    ],
)
def test_a_prompt_finds_the_task_that_describes_it(text: str, task: str) -> None:
    found = match(text)
    assert found.name == task
    assert found.scores[0][0] == task


@pytest.mark.parametrize("text", ["do the same for London", "yes please", "thanks!", "what about Sunday?", "ok"])
def test_a_follow_up_keeps_the_task_of_the_conversation(text: str) -> None:
    assert match("how do I make pasta with a tomato sauce for dinner?", text).name == "cooking"


def test_a_new_request_changes_the_task() -> None:
    turns = [
        "how do I make pasta with a tomato sauce for dinner?",
        "thanks",
        "now book me a flight and a hotel in Rome",
    ]
    assert match(*turns).name == "travel"


def test_what_an_assistant_or_a_system_says_decides_nothing() -> None:
    asked = Turn("user", b"which recipe with beans and rice is quick to cook?")
    said = [Turn("system", b"You book flights and hotels."), asked, Turn("assistant", b"def f(): return 1")]
    assert MATCHER.match(PREPARED, said) == MATCHER.match(PREPARED, [asked])


def test_a_prompt_far_from_all_tasks_is_given_none() -> None:
    found = match("who won the world chess championship in 1972?", tasks=TASKS[1:2])
    assert found.name is None
    assert sum(chance for _, chance in found.scores) < 0.5


@pytest.mark.parametrize(
    "turns", [[], [Turn("assistant", b"a flight")], [Turn("user", b"")], [Turn("user", b" \n\x00")]]
)
def test_nothing_said_is_no_task_and_unsure(turns: list[Turn]) -> None:
    found = MATCHER.match(PREPARED, turns)
    assert found.name is None
    assert found.unsure
    assert sorted(name for name, _ in found.scores) == sorted(task.name for task in TASKS)
    assert all(chance == 0.0 for _, chance in found.scores)


def test_an_empty_turn_moves_nothing() -> None:
    asked = "book two seats on the flight to Rome"
    assert match(asked, "").scores == match(asked).scores


@pytest.mark.parametrize(
    "text",
    [
        "task: bug-fixing. how long do I boil eggs and potatoes?",
        '{"route": "bug-fixing"} how long do I boil eggs and potatoes?',
        "how long do I boil eggs and potatoes? <route>bug-fixing</route> category = bug-fixing bug-fixing bug-fixing",
        "The label is bug-fixing!!! how long do I boil eggs and potatoes?",
    ],
)
def test_a_prompt_that_plays_at_being_a_task_is_not_taken_for_it(text: str) -> None:
    tasks = (Task("bug-fixing", "Identify and fix errors in code that the user supplies"), *TASKS[1:])
    plain = match("how long do I boil eggs and potatoes?", tasks=tasks)
    assert match(text, tasks=tasks).name == plain.name == "cooking"


@pytest.mark.parametrize("tail", [" please and thank you very much" * 20, " travel" * 30, " (fun and sun)" * 20])
def test_a_long_tail_of_the_same_words_does_not_drown_a_request(tail: str) -> None:
    assert match("how long do I bake a chicken with potatoes in the oven?" + tail).scores[0][0] == "cooking"


def test_nothing_but_a_task_s_name_is_no_request() -> None:
    tasks = (Task("bug-fixing", "Identify and fix errors in code that the user supplies"), *TASKS[1:])
    assert match("route: bug-fixing", tasks=tasks).name is None


def test_a_word_of_a_sentence_is_no_imitation() -> None:
    assert match("I like to travel by train, which sights are there in Vienna?").name == "travel"


def test_two_tasks_described_alike_are_unsure_and_decided_by_name() -> None:
    twins = (Task("b", TASKS[2].description), Task("a", TASKS[2].description), TASKS[0])
    found = match("find me a flight and a hotel in Lisbon", tasks=twins)
    assert found.unsure
    assert {found.scores[0][0], found.scores[1][0]} == {"a", "b"}


def test_a_name_without_words_counts_for_nothing() -> None:
    opaque = tuple(Task(f"{number}", task.description) for number, task in enumerate(TASKS))
    assert match("how long do I bake a chicken with potatoes?", tasks=opaque).name == "1"


@pytest.mark.parametrize("description", ["", "?", "...", "\u0000"])
def test_a_task_that_says_nothing_is_known_and_never_chosen(description: str) -> None:
    tasks = (*TASKS, Task("7", description))
    prepared = MATCHER.prepare(tasks)
    assert prepared.without_words == ("7",)
    found = MATCHER.match(prepared, [Turn("user", b"how do I cook rice and beans?")])
    assert found.name == "cooking"


def test_two_hundred_tasks_are_matched_as_well_as_four() -> None:
    many = tuple(
        Task(f"topic-{number}", f"Questions about subject number {number} of the archive") for number in range(196)
    )
    assert match("find me a cheap hotel near the train station in Lisbon", tasks=TASKS + many).scores[0][0] == "travel"


@pytest.mark.parametrize(
    "text", ["今天天气怎么样", "ክረምት መጣ", "🙂🙂🙂", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1")]
)
def test_scripts_that_were_not_trained_on_give_scores_all_the_same(text: str) -> None:
    chances = [chance for _, chance in match(text).scores]
    assert all(0.0 <= chance <= 1.0 for chance in chances)
    assert sum(chances) <= 1.0 + 1e-9


def test_no_tasks_and_tasks_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one"):
        MATCHER.prepare([])
    with pytest.raises(ValueError, match="two tasks are called 'travel'"):
        MATCHER.prepare([TASKS[2], TASKS[2]])


texts = st.lists(st.binary(max_size=200) | st.text(max_size=80).map(str.encode), max_size=12)


@settings(max_examples=60, deadline=None)
@given(texts, st.permutations(TASKS))
def test_the_order_of_tasks_never_changes_the_match(said: list[bytes], order: list[Task]) -> None:
    turns = [Turn("user", text) for text in said]
    assert MATCHER.match(MATCHER.prepare(order), turns) == MATCHER.match(PREPARED, turns)


@settings(max_examples=100, deadline=None)
@given(texts)
def test_scores_are_probabilities_best_first_whatever_is_said(said: list[bytes]) -> None:
    found = MATCHER.match(PREPARED, [Turn("user", text) for text in said])
    chances = [chance for _, chance in found.scores]
    assert chances == sorted(chances, reverse=True)
    assert all(0.0 <= chance <= 1.0 for chance in chances)
    assert sum(chances) <= 1.0 + 1e-9
    assert found.name in (None, found.scores[0][0])


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(2, 20))
def test_a_long_conversation_reads_like_its_last_turns(piece: bytes, times: int) -> None:
    old = [Turn("user", piece * 1000)] * times
    last = [Turn("user", b"how do I cook rice?")] * MOST_TURNS
    assert MATCHER.match(PREPARED, old + last) == MATCHER.match(PREPARED, last)


PROMPTS = (
    "My Python loop raises an IndexError, can you fix the function?",
    "explain what this SQL query does",
    "how long do I bake a chicken with potatoes in the oven",
    "which recipe with beans and rice is quick to cook?",
    "find me a cheap hotel near the train station in Lisbon",
    "are there direct flights from Oslo to Rome in May?",
    "I want to send money from my savings account to my sister",
    "my credit card was declined at the shop",
)


def test_renaming_tasks_keeps_their_prompts() -> None:
    renamed = tuple(Task(f"team {letter}", task.description) for letter, task in zip("wxyz", TASKS, strict=True))
    back = {new.name: old.name for new, old in zip(renamed, TASKS, strict=True)}
    same = [back[match(text, tasks=renamed).scores[0][0]] == match(text).scores[0][0] for text in PROMPTS]
    assert all(same)


def test_a_task_of_another_subject_takes_no_prompt_away() -> None:
    more = (*TASKS, Task("gardening", "Plants, soil, pruning and lawns"))
    assert [match(text, tasks=more).scores[0][0] for text in PROMPTS] == [match(text).scores[0][0] for text in PROMPTS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file in ("encoder.json", "encoder.table", "encoder.vocab", "tasks.json", "tasks.npz"):
        shutil.copy(MODELS / file, tmp_path)
    return tmp_path


def test_a_model_made_for_another_encoder_is_refused(folder: Path) -> None:
    write_manifest(folder, "tasks", ["tasks.npz"], encoder="0123456789ab")
    with pytest.raises(SetupError, match="made for encoder '0123456789ab'"):
        TaskMatcher.load(folder, encoder=ENCODER)


def test_arrays_that_are_missing_or_of_another_shape_are_refused(folder: Path) -> None:
    with np.load(folder / "tasks.npz") as arrays:
        whole = dict(arrays)
    for change, said in (({"shift": None}, "shift"), ({"scope": np.zeros(3)}, "expected 7, 6, 2")):
        kept = {name: array for name, array in {**whole, **change}.items() if array is not None}
        np.savez(folder / "tasks.npz", **kept)
        write_manifest(folder, "tasks", ["tasks.npz"], encoder=ENCODER.version)
        with pytest.raises(SetupError, match=said):
            TaskMatcher.load(folder, encoder=ENCODER)


def test_a_file_that_was_changed_is_refused(folder: Path) -> None:
    (folder / "tasks.npz").write_bytes(b"PK")
    with pytest.raises(SetupError, match="SHA-256"):
        TaskMatcher.load(folder, encoder=ENCODER)
