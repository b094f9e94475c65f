"""Described tasks with prompts that belong to them, from the data folder: what the task matcher is fitted to.

Only rows of the `train` split are read. A family is one source: figures for labels that were not trained on come from
fits that a whole family was left out of.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.encoder import Encoder
from signalbox.brain.task_text import parts_of, whole_of, words_of
from signalbox.errors import SetupError
from signalbox.training.task_descriptions import (
    BANKING_GROUPS,
    CAPABILITY_DOMAINS,
    IMAGE_REQUESTS,
    IMAGE_TASK,
    LLM_TASKS,
)

Floats = NDArray[np.float32]

FAMILIES = ("clinc150", "hwu64", "banking77", "sgd", "llm_tasks", "capability", "modality")
MOST_PER_LABEL = 400  # of capability and modality: enough for a mean, and a bounded run
MOST_DIALOGUES = 3000

Labelled = tuple[list[str], list[str | None]]


@dataclass(frozen=True, slots=True, eq=False)
class TaskSet:
    """Prompts and tasks of one source. prompts: (n, dims), of the encoder. task: (n,), which one, -1 for none.

    wholes: (tasks, dims), names with descriptions. parts, starts: their parts, and where those of each task begin.
    """

    name: str
    family: str
    names: tuple[str, ...]
    prompts: Floats
    task: NDArray[np.intp]
    wholes: Floats
    parts: Floats
    starts: NDArray[np.intp]
    lengths: NDArray[np.intp]  # of the prompts, in bytes


@dataclass(frozen=True, slots=True, eq=False)
class Dialogue:
    """User turns of one dialogue. services: active after each, empty where the turn asks for nothing. stated: it is the
    turn itself that asks.
    """

    turns: Floats
    lengths: tuple[int, ...]
    services: tuple[frozenset[str], ...]
    stated: tuple[bool, ...]


def read_sets(data: Path, encoder: Encoder) -> list[TaskSet]:
    """Return every set of described tasks. data: the folder with intents/, capability/ and modality/.

    Raises SetupError for a folder that lacks one of the files.
    """
    intents = data / "intents"
    described: Mapping[str, Mapping[str, str]] = _json(intents / "descriptions.json")
    clinc, hwu, banking = (list(_train(intents / f"{name}.jsonl.gz")) for name in FAMILIES[:3])
    groups = {label: group for group, (_, labels) in BANKING_GROUPS.items() for label in labels}
    sets: list[tuple[str, str, Mapping[str, str], Labelled]] = [
        ("clinc150", "clinc150", described["clinc150"], _by(clinc, "label")),
        ("clinc150_domains", "clinc150", described["clinc150_domains"], _by(clinc, "domain")),
        ("hwu64", "hwu64", {name: words_of(name) for name in {row["label"] for row in hwu}}, _by(hwu, "label")),
        ("hwu64_scenarios", "hwu64", described["hwu64_scenarios"], _by(hwu, "scenario")),
        ("banking77", "banking77", described["banking77"], _by(banking, "label")),
        (
            "banking77_groups",
            "banking77",
            {group: text for group, (text, _) in BANKING_GROUPS.items()},
            ([row["text"] for row in banking], [groups[row["label"]] for row in banking]),
        ),
        ("llm_tasks", "llm_tasks", LLM_TASKS, _by(_train(intents / "llm_tasks.jsonl.gz"), "label")),
        ("capability", "capability", CAPABILITY_DOMAINS, _capability(data / "capability")),
        ("modality", "modality", IMAGE_TASK, _images(data / "modality" / "image_prompts.jsonl.gz")),
    ]
    read = [_set(name, family, tasks, rows, encoder) for name, family, tasks, rows in sets]
    schema = _json(intents / "sgd_schema.json")
    texts: list[str] = []
    asked: list[str] = []
    for row in _train(intents / "sgd_multiturn.jsonl.gz", MOST_DIALOGUES):
        for turn in row["turns"]:
            if turn.get("n") and len(turn["i"]) == 1:
                texts.append(turn["t"])
                asked.append(turn["i"][0])
    services = {name: schema[name]["description"] for name in {label.partition(".")[0] for label in asked}}
    wanted = {label: schema[label.partition(".")[0]]["intents"][label.partition(".")[2]] for label in set(asked)}
    read.append(_set("sgd_services", "sgd", services, (texts, [label.partition(".")[0] for label in asked]), encoder))
    read.append(_set("sgd_intents", "sgd", wanted, (texts, list(asked)), encoder))
    return read


def read_dialogues(data: Path, encoder: Encoder) -> tuple[list[Dialogue], dict[str, str]]:
    """Return dialogues of the train split, and the descriptions of all services they may be routed among."""
    schema = _json(data / "intents" / "sgd_schema.json")
    dialogues = []
    for row in _train(data / "intents" / "sgd_multiturn.jsonl.gz", MOST_DIALOGUES):
        turns = [turn for turn in row["turns"] if turn["r"] == "u"]
        texts = [turn["t"].encode() for turn in turns]
        services = tuple(frozenset(label.partition(".")[0] for label in turn.get("n") or turn["i"]) for turn in turns)
        stated = tuple(bool(turn.get("n")) for turn in turns)
        dialogues.append(Dialogue(encoder.vectors(texts), tuple(len(text) for text in texts), services, stated))
    seen = {service for dialogue in dialogues for services in dialogue.services for service in services}
    return dialogues, {name: schema[name]["description"] for name in sorted(seen)}


def described(tasks: Mapping[str, str], encoder: Encoder) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Return the vectors of whole descriptions and of their parts, and where the parts of each task begin."""
    parts = [parts_of(name, text) for name, text in tasks.items()]
    starts = np.concatenate([[0], np.cumsum([len(of_one) for of_one in parts])[:-1]])
    wholes = encoder.vectors([whole_of(name, text).encode() for name, text in tasks.items()])
    return wholes, encoder.vectors([part.encode() for of_one in parts for part in of_one]), starts


def _set(name: str, family: str, tasks: Mapping[str, str], rows: Labelled, encoder: Encoder) -> TaskSet:
    ordered = {task: tasks[task] for task in sorted(tasks) if task != "oos"}
    place = {task: number for number, task in enumerate(ordered)}
    texts = [text.encode() for text in rows[0]]
    return TaskSet(
        name,
        family,
        tuple(ordered),
        encoder.vectors(texts),
        np.array([place.get(label or "", -1) for label in rows[1]], np.intp),
        *described(ordered, encoder),
        np.array([len(text) for text in texts], np.intp),
    )


def _by(rows: Iterable[Mapping[str, Any]], field: str) -> Labelled:
    kept = list(rows)
    return [row["text"] for row in kept], [None if row["label"] == "oos" else row[field] for row in kept]


def _capability(folder: Path) -> Labelled:
    texts: list[str] = []
    labels: list[str | None] = []
    counts = dict.fromkeys(CAPABILITY_DOMAINS, 0)
    for path in sorted(folder.glob("*.jsonl.gz")):
        for row in _train(path):
            if counts.get(row["domain"], MOST_PER_LABEL) < MOST_PER_LABEL:
                counts[row["domain"]] += 1
                texts.append(row["prompt"])
                labels.append(row["domain"])
    return texts, labels


def _images(path: Path) -> Labelled:
    (name,) = IMAGE_TASK
    captions = [row["text"] for row in _train(path, MOST_PER_LABEL)]
    texts = [IMAGE_REQUESTS[at % len(IMAGE_REQUESTS)].format(caption) for at, caption in enumerate(captions)]
    return texts, [name] * len(texts)


def _train(path: Path, most: int | None = None) -> Iterator[dict[str, Any]]:
    """Rows of the train split; with `most`, that many, evenly from the whole file."""
    rows = [row for row in _rows(path) if row.get("split") == "train"]
    if most is None or len(rows) <= most:
        yield from rows
    else:
        yield from (rows[at * len(rows) // most] for at in range(most))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, EOFError, ValueError) as problem:
        raise SetupError(
            f"{path}: {problem}\n  expected: rows of the data folder\n  fix: give --data its path"
        ) from problem


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise SetupError(
            f"{path}: {problem}\n  expected: JSON of the data folder\n  fix: give --data its path"
        ) from problem


def without(sets: Sequence[TaskSet], family: str) -> list[TaskSet]:
    """Return the sets of other families."""
    return [one for one in sets if one.family != family]
