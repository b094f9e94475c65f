"""Files of conversations and of descriptions: what is read, and what is said of what cannot be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from signalbox.errors import SetupError
from signalbox.evaluation.conversations import Conversation, label_field, read_conversations, read_descriptions

PROMPT = {"id": "a", "text": "fly me to Rome", "label": "book_flight", "domain": "travel", "split": "test"}
DIALOGUE = {
    "id": "b",
    "split": "test",
    "turns": [
        {"r": "u", "t": "a table for two", "i": ["Food_1.Book"], "n": ["Food_1.Book"]},
        {"r": "a", "t": "when?"},
        {"r": "u", "t": "at eight", "i": ["Food_1.Book"]},
        {"r": "u", "t": "bye", "i": []},
    ],
}


def written(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read(path: Path, *records: Any) -> list[Conversation]:
    return read_conversations(written(path / "data.jsonl", *records))


def test_a_single_prompt_is_a_conversation_of_one_turn(tmp_path: Path) -> None:
    (one,) = read(tmp_path, PROMPT)
    assert [turn.text for turn in one.turns] == ["fly me to Rome"]
    assert one.labels == {"label": "book_flight", "domain": "travel"}


@pytest.mark.parametrize("label", ["oos", "other", None])
def test_a_prompt_out_of_scope_is_so_in_every_field(tmp_path: Path, label: str | None) -> None:
    (one,) = read(tmp_path, {**PROMPT, "label": label})
    assert set(one.labels.values()) == {None}


def test_a_dialogue_keeps_what_is_active_and_what_is_stated(tmp_path: Path) -> None:
    (one,) = read(tmp_path, DIALOGUE)
    assert [turn.active for turn in one.turns] == [{"Food_1.Book"}, None, {"Food_1.Book"}, frozenset()]
    assert [bool(turn.stated) for turn in one.turns] == [True, False, False, False]


def test_a_compressed_file_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(PROMPT).encode()))
    assert len(read_conversations(path)) == 1


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ({"book_flight"}, "label"),
        ({"travel", "food"}, "domain"),
        ({"Food_1"}, "service"),
        ({"Food_1.Book"}, "intent"),
    ],
)
def test_the_field_that_holds_the_tasks_is_found(tmp_path: Path, names: set[str], field: str) -> None:
    assert label_field(read(tmp_path, PROMPT, DIALOGUE), frozenset(names)) == field


def test_tasks_that_no_record_is_of_are_refused_with_what_records_name(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="label: book_flight") as refused:
        label_field(read(tmp_path, PROMPT), frozenset({"cooking"}))
    assert "some of cooking" in str(refused.value)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([1], r"data\.jsonl:1: found a list, expected an object"),
        ({"text": 3, "label": "a"}, r"data\.jsonl:1: text: found a number, expected a text"),
        ({"label": "a"}, "text: missing"),
        ({"text": "a"}, "label: missing"),
        ({"text": "a", "label": 1.5}, "label: found a number"),
        ({"turns": []}, "turns: found a list, expected a list of at least one turn"),
        ({"turns": ["a"]}, r"turns\[0\]: found a text"),
        ({"turns": [{"r": "x", "t": "a"}]}, r"turns\[0\]: r: found 'x', expected u"),
        ({"turns": [{"r": "u", "t": "a", "i": "b"}]}, r"turns\[0\]: i: found a text, expected a list of names"),
    ],
)
def test_a_record_of_another_shape_is_named_by_line_and_field(tmp_path: Path, record: Any, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        read(tmp_path, record)


def test_what_is_not_json_and_what_was_cut_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}}\n")
    with pytest.raises(SetupError, match=r"bad\.jsonl:1: not JSON"):
        read_conversations(tmp_path / "bad.jsonl")
    whole = gzip.compress(b"".join(json.dumps({**PROMPT, "id": f"{n}"}).encode() + b"\n" for n in range(500)))
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SetupError, match="cannot be read"):
        read_conversations(tmp_path / "cut.jsonl.gz")
    with pytest.raises(SetupError, match="cannot be read"):
        read_conversations(tmp_path / "missing.jsonl")


def test_an_empty_file_and_an_unknown_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no records"):
        read(tmp_path)
    with pytest.raises(SetupError, match="--split takes one of test"):
        read_conversations(written(tmp_path / "data.jsonl", PROMPT), split="valid")


def test_descriptions_come_alone_or_in_sets_and_none_means_no_task(tmp_path: Path) -> None:
    flat = written(tmp_path / "flat.json", {"travel": "Plan trips", "oos": "Anything else"})
    assert read_descriptions(flat) == {"travel": "Plan trips"}
    sets = written(tmp_path / "sets.json", {"a": {"travel": "Plan trips"}, "b": {"food": "Recipes"}})
    assert read_descriptions(sets, "b") == {"food": "Recipes"}
    with pytest.raises(SetupError, match="expected: one of a, b"):
        read_descriptions(sets)
    with pytest.raises(SetupError, match="holds one set"):
        read_descriptions(flat, "a")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "found a list"),
        ({"travel": ""}, "travel: found an empty description"),
        ({"travel": 3}, "travel: found a number"),
        ({"other": "Anything"}, "describes no task"),
        ({}, "describes no task"),
    ],
)
def test_descriptions_of_another_shape_are_refused(tmp_path: Path, data: Any, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        read_descriptions(written(tmp_path / "d.json", data))
