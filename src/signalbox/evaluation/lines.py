"""Lines of a data file: decompressed, decoded, and each member of the type it should be."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from signalbox.errors import DataError, Problem

MAX_PROBLEMS = 20
"""Said of one file; a wrong column is wrong in every row."""

GZIP_MAGIC = b"\x1f\x8b"
LABELS = ("needs_strong", "weak_ok", "unsolved")


@dataclass(frozen=True, slots=True)
class Row:
    """One record as its line says it. Scores on the scale of their source; None where nothing is said."""

    line: int  # from 1
    prompt: str
    source: str
    split: str
    id: str
    scores: dict[str, float]
    p_strong: float | None
    p_weak: float | None
    label: str  # empty where nothing is said


def read_objects(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield line number, from 1, and JSON value of each line that is not blank.

    Raises DataError at the first that is none. A file that begins as gzip's do is decompressed, whatever its name.
    """
    try:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _decode(line, path, number)
    except (OSError, EOFError, zlib.error) as problem:
        if isinstance(problem, EOFError | zlib.error | gzip.BadGzipFile):
            raise DataError.single(
                str(path),
                f"broken gzip: {problem or 'it ends early'}",
                expected="a whole file",
                fix="copy or compress it again",
            ) from problem
        raise DataError.single(
            str(path), problem.strerror or str(problem), expected="a file that can be read"
        ) from problem


def read_rows(path: Path, *, outcomes: bool = True) -> list[Row]:
    """Return the records of a file. outcomes: without, only the prompts are looked at.

    Raises DataError with the problems of all its rows, the first twenty in words.
    """
    rows: list[Row] = []
    reading = _Reading(path)
    for number, value in read_objects(path):
        row = reading.row(number, value, outcomes=outcomes)
        if row is not None:
            rows.append(row)
    reading.finish()
    return rows


class _Reading:
    """One file under way, and what is wrong with it so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._source = path.name.removesuffix(".gz").removesuffix(".jsonl")
        self._problems: list[Problem] = []
        self._more = 0

    def row(self, number: int, value: Any, *, outcomes: bool) -> Row | None:
        if not isinstance(value, dict):
            self._problem(number, "", value, "a JSON object", 'write {"prompt": "...", "scores": {...}} on each line')
            return None
        prompt = value.get("prompt")
        if not isinstance(prompt, str):
            self._problem(number, "prompt", value.get("prompt", _MISSING), "a string", "give each record its prompt")
            return None
        prompt = prompt.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
        if not outcomes:
            return Row(number, prompt, self._source, "", "", {}, None, None, "")
        before = len(self._problems) + self._more
        row = Row(
            line=number,
            prompt=prompt,
            source=self._text(number, value, "source") or self._source,
            split=self._text(number, value, "split"),
            id=self._text(number, value, "id"),
            scores=self._scores(number, value.get("scores")),
            p_strong=self._share(number, value, "p_strong"),
            p_weak=self._share(number, value, "p_weak"),
            label=self._label(number, value),
        )
        return row if len(self._problems) + self._more == before else None

    def finish(self) -> None:
        """Raise DataError if anything was wrong."""
        if self._problems:
            raise DataError(self._problems, more=self._more)

    def _text(self, number: int, value: dict[str, Any], member: str) -> str:
        found = value.get(member)
        if found is None:
            return ""
        if isinstance(found, bool) or not isinstance(found, str | int):
            self._problem(number, member, found, "a string", f"write {member} as text, or leave it out")
            return ""
        return str(found)

    def _label(self, number: int, value: dict[str, Any]) -> str:
        found = value.get("label")
        if found is None:
            return ""
        if found not in LABELS:
            self._problem(number, "label", found, f"one of {', '.join(LABELS)}", "leave it out, or use one of these")
            return ""
        return cast("str", found)

    def _share(self, number: int, value: dict[str, Any], member: str) -> float | None:
        found = value.get(member)
        if found is None:
            return None
        score = self._number(number, member, found)
        if score is not None and not 0.0 <= score <= 1.0:
            self._problem(
                number, member, found, "a mean score from 0 to 1", "scale it, or leave it out and name models"
            )
            return None
        return score

    def _scores(self, number: int, found: Any) -> dict[str, float]:
        if found is None:
            return {}
        if not isinstance(found, dict):
            self._problem(number, "scores", found, 'an object: {"model": score}', "write one score for each model")
            return {}
        scores = {}
        for name, value in found.items():
            if value is None:
                continue  # the model was not tried
            score = self._number(number, f"scores[{_short(name)}]", value)
            if score is not None:
                scores[name] = score
        return scores

    def _number(self, number: int, member: str, found: Any) -> float | None:
        if isinstance(found, bool):
            return float(found)
        if not isinstance(found, int | float):
            self._problem(number, member, found, "a number", "write it without quotes, or null where there is none")
            return None
        try:
            value = float(found)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            self._problem(number, member, value, "a finite number", "write null where a model gave no answer")
            return None
        return value

    def _problem(self, number: int, member: str, found: Any, expected: str, fix: str) -> None:
        if len(self._problems) >= MAX_PROBLEMS:
            self._more += 1
            return
        said = f"found {_kind(found)}" if member else f"the line holds {_kind(found)}"
        self._problems.append(Problem(str(self._path), number, member, said, expected, fix))


_MISSING = object()


def _kind(value: Any) -> str:
    """Return what a value is, and itself where it cannot be anybody's text."""
    if value is _MISSING:
        return "nothing"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value!r:.30}"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


def _short(name: str, most: int = 60) -> str:
    return json.dumps(name if len(name) <= most else name[:most] + "…", ensure_ascii=False)


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    return cast("BinaryIO", gzip.open(path, "rb")) if packed else path.open("rb")


def _decode(line: bytes, path: Path, number: int) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as problem:
        raise DataError.single(
            str(path),
            f"byte {problem.start} of the line is not UTF-8",
            line=number,
            expected="JSON Lines in UTF-8, plain or compressed by gzip",
            fix="save the file as UTF-8",
        ) from problem
    except (ValueError, RecursionError) as problem:
        told = (
            f"{problem.msg} at column {problem.colno}"
            if isinstance(problem, json.JSONDecodeError)
            else "nested too deep"
        )
        raise DataError.single(
            str(path),
            f"not JSON: {told}",
            line=number,
            expected="one JSON object a line",
            fix="a file that holds one JSON array has to be split into lines" if line.lstrip()[:1] == b"[" else "",
        ) from problem
