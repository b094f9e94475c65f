"""What heads are trained on: prompts with scores of models or tiers, marks of a journal, labels of another engine."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from signalbox.collector.journal.read import JournalReader
from signalbox.errors import DataError
from signalbox.evaluation.lines import Row, read_rows
from signalbox.evaluation.records import GOOD, NEEDS_STRONG, NEITHER, WEAK_OK, Found, Records, Scale, read_records
from signalbox.label import decode
from signalbox.training.learner import Labels

LEAST_ROWS = 20
"""Distinct prompts with an outcome: with fewer, no interval says anything."""
FEW_ROWS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Rows to learn from and to be judged by. records: as baselines read them; of feedback, the weak side's rows alone.

    feedback: each prompt was answered by one side, so there is no gain to be measured. digest: SHA-256 of what was
    read. notes: what is odd about it, for people.
    """

    labels: Labels
    records: Records
    feedback: bool
    digest: str
    notes: tuple[str, ...]


def read_outcomes(path: Path, strong: str | None, weak: str | None, scale: Scale | None = None) -> Data:
    """Read rows in which both sides were tried. Raises DataError for data that nothing can be learned from."""
    records = read_records(path, strong, weak, scale=scale)
    labels = Labels(records.prompts, records.strong, records.weak, records.scores)
    _check(path, records, feedback=False)
    return Data(labels, records, False, _digest([path]), tuple(_oddities(records)))


def read_feedback(path: Path, journal: Path, strong: Sequence[str], weak: Sequence[str]) -> Data:
    """Read prompts with the `id` of a decision, and what a journal knows of it: the model, and the last mark.

    strong, weak: models of each side. Raises DataError for data that nothing can be learned from, SetupError where
    there is no journal.
    """
    if not strong or not weak or set(strong) & set(weak):
        raise DataError.single(
            str(path),
            "which models are strong and which are weak is not said, or not clear",
            expected="with --journal: --strong MODEL[,MODEL] and --weak MODEL[,MODEL], no model on both sides",
            fix="name the models as the policy does",
        )
    rows = _with_id(path)
    marked = {
        entry.id: (entry.model, mark.score)
        for entry, mark in JournalReader(journal).marked()
        if mark is not None and mark.score is not None and entry.model
    }
    used = [(row, *marked[row.id]) for row in rows if row.id in marked]
    elsewhere = Counter(model for _, model, _ in used if model not in {*strong, *weak})
    used = [found for found in used if found[1] in {*strong, *weak}]
    if not used:
        known = ", ".join(name for name, _ in elsewhere.most_common(5)) or "none"
        raise DataError.single(
            str(path),
            f"no row's `id` is a decision of {journal} that was marked and answered by a named model",
            expected=f"ids as in x-signalbox-decision; models with marks: {known}",
            fix="check --strong and --weak, and that feedback came with a score",
        )
    prompts = tuple(row.prompt for row, _, _ in used)
    scores = tuple({model: float(mark)} for _, model, mark in used)
    sides = [
        np.array([mark if model in side else math.nan for _, model, mark in used], np.float64)
        for side in (strong, weak)
    ]
    labels = Labels(prompts, sides[0], sides[1], scores)
    records = _one_sided(labels, ",".join(strong), ",".join(weak))
    _check(path, records, feedback=True)
    if not np.isfinite(labels.strong).sum() >= LEAST_ROWS:
        raise DataError.single(
            str(path),
            f"{int(np.isfinite(labels.strong).sum())} marks of the strong side",
            expected=f"{LEAST_ROWS} at least of each side",
            fix="collect more feedback, or let a rollout send some requests to the strong side",
        )
    notes = [
        *_oddities(records),
        "feedback: what the other side would have answered is not known, so no gain is measured",
    ]
    if elsewhere:
        notes.append(f"{elsewhere.total()} marks of other models are left out")
    return Data(labels, records, True, _digest([path]), tuple(notes))


def read_judgements(path: Path, judged: Path) -> Data:
    """Read prompts, and the chances that an engine gave them (`signalbox label`), joined by `id` or else by line.

    The engine's chance that the strong side is needed is taken for the truth. Raises DataError.
    """
    rows = read_rows(path, outcomes=False)
    by_id: dict[str, float] = {}
    by_line: dict[int, float] = {}
    for number, line in enumerate(_lines(judged), start=1):
        try:
            label = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
            raise DataError.single(
                str(judged), "not a label", line=number, expected="lines that `signalbox label` wrote", fix=""
            ) from problem
        if label.threshold is None or label.score is None or not 0.0 <= label.score <= 1.0:
            continue  # of an engine that names tasks, or without an answer
        if label.id:
            by_id[label.id] = label.score
        by_line[label.line] = label.score
    ids = {row.line: row.id for row in _with_id(path, required=False)}
    chances = [by_id.get(ids.get(row.line, ""), by_line.get(row.line)) for row in rows]
    used = [(row, chance) for row, chance in zip(rows, chances, strict=True) if chance is not None]
    if not used:
        raise DataError.single(
            str(judged),
            "no label with a score of a strong tier belongs to a row of the data",
            expected="labels of a router whose engine has `strong` and `weak`",
            fix="write them with `signalbox label` from the same file",
        )
    weak = np.array([1.0 - chance for _, chance in used])
    labels = Labels(tuple(row.prompt for row, _ in used), np.ones(len(used)), weak, tuple({} for _ in used))
    records = _records(labels, "strong tier", "weak tier", np.ones(len(used)), weak)
    _check(path, records, feedback=False)
    return Data(labels, records, False, _digest([path, judged]), tuple(_oddities(records)))


def _check(path: Path, records: Records, *, feedback: bool) -> None:
    prompts = len({prompt.strip() for prompt in records.prompts})
    if prompts < LEAST_ROWS:
        which = " that the weak side answered" if feedback else ""
        raise DataError.single(
            str(path),
            f"{prompts} distinct prompts{which}",
            expected=f"{LEAST_ROWS} at least with an outcome; {FEW_ROWS} are where training begins to pay",
            fix="collect more labels or feedback",
        )
    classes = set(records.labels[records.labels != NEITHER].tolist())
    if len(classes) < 2:
        found = {NEEDS_STRONG: "the weak side never succeeds", WEAK_OK: "the weak side always does"}
        raise DataError.single(
            str(path),
            f"one class: {found[classes.pop()] if classes else 'neither side ever succeeds'}",
            expected="prompts that the weak side gets right, and prompts that only the strong side does",
            fix="no router is needed for these: send all of them to one side; or name other models, or other prompts",
        )


def _oddities(records: Records) -> Iterator[str]:
    rows = len(records)
    left_out = sum(records.found.no_outcome.values())
    if left_out:
        yield f"{left_out} of {records.found.rows} rows lack an outcome of a side and are left out"
    if records.found.repeated:
        yield f"{records.found.repeated} rows repeat a prompt; each prompt counts with its mean outcome"
    if records.found.contradictory:
        yield f"{records.found.contradictory} rows contradict another of the same prompt"
    if rows < FEW_ROWS:
        yield f"{rows} rows are few: below {FEW_ROWS}, intervals are too wide to see a gain"


def _one_sided(labels: Labels, strong: str, weak: str) -> Records:
    """Return the rows that the weak side answered, as if the strong one would have been right."""
    rows = np.flatnonzero(np.isfinite(labels.weak))
    if not len(rows):
        rows = np.zeros(0, np.intp)
    part = labels.only(rows)
    return _records(part, strong, weak, np.ones(len(rows)), part.weak)


def _records(labels: Labels, strong_name: str, weak_name: str, strong: np.ndarray, weak: np.ndarray) -> Records:
    count = len(labels)
    needs = np.where(weak >= GOOD, WEAK_OK, np.where(strong >= GOOD, NEEDS_STRONG, NEITHER)).astype(np.int8)
    repeats = Counter(prompt.strip() for prompt in labels.prompts)
    return Records(
        prompts=labels.prompts,
        sources=("",) * count,
        splits=("",) * count,
        ids=("",) * count,
        strong=strong,
        weak=weak,
        labels=needs,
        scores=labels.scores,
        strong_name=strong_name,
        weak_name=weak_name,
        places=np.arange(count),
        found=Found(rows=count, in_files=count, repeated=sum(repeats.values()) - len(repeats)),
    )


def _with_id(path: Path, *, required: bool = True) -> list[Row]:
    rows = read_rows(path)
    if required and not any(row.id for row in rows):
        raise DataError.single(
            str(path),
            "no row has an `id`",
            expected="the decision's id in each row, as in x-signalbox-decision",
            fix='write {"id": "...", "prompt": "..."} on each line',
        )
    return rows


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from (line for line in file if line.strip())
    except OSError as problem:
        raise DataError.single(
            str(path), problem.strerror or str(problem), expected="a file that can be read"
        ) from problem


def _digest(paths: Sequence[Path]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest() if len(paths) > 1 else hashlib.sha256(paths[0].read_bytes()).hexdigest()
