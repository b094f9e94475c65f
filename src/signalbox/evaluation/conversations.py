"""Files of conversations with known tasks: JSONL in, one shape for single prompts and dialogues out.

A single prompt is a conversation of one turn. Records and their fields are described in docs/tasks.md.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.errors import SetupError

USER, ASSISTANT = "user", "assistant"
_ROLES = {"u": USER, "a": ASSISTANT, USER: USER, ASSISTANT: ASSISTANT}
_NO_LABELS = frozenset({"id", "text", "prompt", "split", "source"})
"""Fields of a single prompt that name no task; every other one that holds a text may."""

INTENT, SERVICE = "intent", "service"
"""The two readings of a dialogue's `Service.Intent`."""

OUT_OF_SCOPE = frozenset({"oos", "other", "out_of_scope", "none"})
"""Names that mean no task at all, in records and in files of descriptions."""


@dataclass(frozen=True, slots=True)
class Said:
    """One turn. active: labels that hold after a user's turn, None if the record says nothing of it.

    stated: those of them that the turn itself asks for first; a change of task, or the first one.
    """

    role: str
    text: str
    active: frozenset[str] | None = None
    stated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Conversation:
    """One record. labels: field -> label, None for no task; of single prompts alone."""

    id: str
    split: str
    turns: tuple[Said, ...]
    labels: Mapping[str, str | None]

    @property
    def is_dialogue(self) -> bool:
        return not self.labels


def read_conversations(path: Path, *, split: str | None = None) -> list[Conversation]:
    """Return the records of a JSONL file (`.gz` or not), those of one split if it is given.

    Raises SetupError that names line, field, what was found and what was expected; also for a file without records.
    """
    found = [record for record in _records(path) if split is None or record.split == split]
    if not found:
        splits = sorted({record.split for record in _records(path)} - {""})
        raise SetupError(
            f"{path}: no records" + (f" of split {split!r}" if split is not None else "") + "\n"
            "  expected: one JSON object a line, with `text` and `label`, or with `turns`\n"
            "  fix: " + (f"--split takes one of {', '.join(splits)}" if splits else "look at docs/tasks.md")
        )
    return found


def read_descriptions(path: Path, chosen: str | None = None) -> dict[str, str]:
    """Return name -> description, names that mean no task left out.

    The file is JSON: {name: description}, or {set: {name: description}} of which `chosen` is taken (a single set
    needs no name). Raises SetupError for anything else, an empty description, or no task at all.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise SetupError(f"{path}: cannot be read as JSON: {problem}") from problem
    if not isinstance(data, dict):
        raise SetupError(f"{path}: found {_kind(data)}, expected an object of names and descriptions")
    if any(isinstance(value, dict) for value in data.values()):
        sets = {name: value for name, value in data.items() if isinstance(value, dict)}
        if chosen is None and len(sets) == 1:
            (chosen,) = sets
        if chosen not in sets:
            raise SetupError(
                f"{path}: " + ("holds several sets" if chosen is None else f"set {chosen!r} is not there") + "\n"
                f"  expected: one of {', '.join(sets)}\n  fix: name one with --set"
            )
        data = sets[chosen]
    elif chosen is not None:
        raise SetupError(f"{path}: --set {chosen}: the file holds one set, without a name\n  fix: leave --set out")
    for name, text in data.items():
        if not isinstance(text, str) or not text.strip():
            raise SetupError(
                f"{path}: {name}: found {_kind(text) if not isinstance(text, str) else 'an empty description'}, "
                "expected a sentence that says what the task is"
            )
    described = {name: text for name, text in data.items() if name.lower() not in OUT_OF_SCOPE}
    if not described:
        raise SetupError(f"{path}: describes no task\n  expected: at least one name with a description")
    return described


def label_field(conversations: Sequence[Conversation], names: Mapping[str, str] | frozenset[str]) -> str:
    """Return the field whose labels the names are: the one with most of them, and of those the first by name.

    Raises SetupError when no field of any record holds one of the names.
    """
    known: Counter[str] = Counter()
    seen: dict[str, Counter[str]] = {}
    for conversation in conversations:
        for field, label in _labels_of(conversation):
            seen.setdefault(field, Counter())[label] += 1
            known[field] += label in names
    if not known or not max(known.values()):
        examples = "; ".join(
            f"{field}: {', '.join(label for label, _ in labels.most_common(3))}" for field, labels in seen.items()
        )
        raise SetupError(
            f"no record is of a described task\n  found: {examples or 'no labels'}\n"
            f"  expected: some of {', '.join(sorted(names)[:5])}\n  fix: name the tasks as the records name them"
        )
    return max(sorted(known), key=lambda field: known[field])


def label_of(label: str, field: str) -> str:
    """Return what a dialogue's `Service.Intent` is called in `field`; other labels as they are."""
    return label.partition(".")[0] if field == SERVICE else label


def _labels_of(conversation: Conversation) -> Iterator[tuple[str, str]]:
    for field, label in conversation.labels.items():
        if label is not None:
            yield field, label
    for turn in conversation.turns:
        for label in turn.active or ():
            yield INTENT, label
            yield SERVICE, label_of(label, SERVICE)


def _records(path: Path) -> Iterator[Conversation]:
    opened = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opened(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _record(line, f"{path}:{number}", number)
    except (OSError, EOFError, zlib.error) as problem:
        after = f" after line {number}" if number else ""
        raise SetupError(f"{path}: cannot be read{after}: {problem}") from problem


def _record(line: bytes, place: str, number: int) -> Conversation:
    try:
        data = json.loads(line)
    except ValueError as problem:
        raise SetupError(f"{place}: not JSON: {problem}\n  expected: one object a line") from problem
    if not isinstance(data, dict):
        raise SetupError(f"{place}: found {_kind(data)}, expected an object")
    name = str(data.get("id", number))
    split = _text(data, "split", place) if "split" in data else ""
    if "turns" in data:
        turns = data["turns"]
        if not isinstance(turns, list) or not turns:
            raise SetupError(f"{place}: turns: found {_kind(turns)}, expected a list of at least one turn")
        said = tuple(_turn(turn, f"{place}: turns[{at}]") for at, turn in enumerate(turns))
        return Conversation(name, split, said, {})
    text = _text(data, "text" if "text" in data or "prompt" not in data else "prompt", place)
    if "label" not in data:
        raise SetupError(f"{place}: label: missing\n  expected: the name of a task, or null for none")
    labels: dict[str, str | None] = {"label": None if data["label"] is None else _text(data, "label", place)}
    labels |= {field: value for field, value in data.items() if isinstance(value, str) and field not in _NO_LABELS}
    # The name of a set's out-of-scope prompts stands in one field: it holds for all of them.
    if any(label is None or label.lower() in OUT_OF_SCOPE for label in labels.values()):
        labels = dict.fromkeys(labels)
    return Conversation(name, split, (Said(USER, text),), labels)


def _turn(data: Any, place: str) -> Said:
    if not isinstance(data, dict):
        raise SetupError(f"{place}: found {_kind(data)}, expected an object")
    role = data.get("r", data.get("role"))
    if role not in _ROLES:
        raise SetupError(f"{place}: r: found {role!r}, expected u (user) or a (assistant)")
    text = _text(data, "t" if "t" in data or "text" not in data else "text", place)
    if _ROLES[role] == ASSISTANT or "i" not in data:
        return Said(_ROLES[role], text)
    return Said(_ROLES[role], text, _names(data, "i", place), _names(data, "n", place))


def _names(data: Mapping[str, Any], field: str, place: str) -> frozenset[str]:
    value = data.get(field, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise SetupError(f"{place}: {field}: found {_kind(value)}, expected a list of names")
    return frozenset(value)


def _text(data: Mapping[str, Any], field: str, place: str) -> str:
    if field not in data:
        raise SetupError(f"{place}: {field}: missing, expected a text")
    value = data[field]
    if not isinstance(value, str):
        raise SetupError(f"{place}: {field}: found {_kind(value)}, expected a text")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return kinds[type(value)]
