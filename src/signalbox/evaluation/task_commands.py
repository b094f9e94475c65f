"""`signalbox tasks-eval`: its words, and what it prints."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.brain.encoder import Encoder
from signalbox.brain.tasks import TaskMatcher
from signalbox.errors import SetupError
from signalbox.evaluation.conversations import (
    Conversation,
    label_field,
    label_of,
    read_conversations,
    read_descriptions,
)
from signalbox.evaluation.metrics import Interval, Measure, Resamples, bootstrap
from signalbox.evaluation.progress import bar
from signalbox.evaluation.routes import Routes
from signalbox.evaluation.tables import between, number, table
from signalbox.evaluation.task_matching import Job, Vectors, make_jobs, matched, nearest

MATCHER = "built-in"
COSINE = "cosine, built-in encoder"
BUNDLE = "cosine, {}"

FIGURES: tuple[tuple[str, str], ...] = (
    ("accuracy", "right, `none` among it"),
    ("in_scope_accuracy", "right, of turns in scope"),
    ("best_accuracy", "right, had one to be chosen"),
    ("stated_accuracy", "right, turns that ask anew"),
    ("carried_accuracy", "right, turns that go on"),
    ("span_accuracy", "spans all right"),
    ("conversation_accuracy", "conversations all right"),
    ("out_of_scope_precision", "out of scope, precision"),
    ("out_of_scope_recall", "out of scope, recall"),
    ("scope_auroc", "in or out of scope, AUROC"),
    ("match_rate", "given a task"),
    ("fallback_rate", "left to nobody"),
)
_DIALOGUES = {"stated_accuracy", "carried_accuracy", "span_accuracy", "conversation_accuracy"}
MOST_CONFUSIONS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the command its words."""
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="records, JSON Lines, plain or gzip")
    parser.add_argument(
        "--descriptions", type=Path, required=True, metavar="FILE", help="JSON: name -> description of a task"
    )
    parser.add_argument(
        "--set", dest="chosen", metavar="NAME", help="which set of descriptions, of a file with several"
    )
    parser.add_argument("--label-field", metavar="NAME", help="where records name their task (default: found out)")
    parser.add_argument(
        "--groups", type=Path, metavar="FILE", help="JSON: name of a task -> labels of the records that belong to it"
    )
    parser.add_argument("--split", metavar="NAME", help="only records of this split")
    parser.add_argument(
        "--not-in", metavar="SPLIT", help="only conversations with a label that no record of this split has"
    )
    parser.add_argument(
        "--routes",
        type=_routes,
        default="all",
        metavar="all|own|N",
        help="tasks a conversation meets: all, its own, or its own and others up to N (default all)",
    )
    parser.add_argument("--models", type=Path, metavar="DIR", help="built-in models to use (default: those that ship)")
    parser.add_argument("--encoder", type=Path, metavar="DIR", help="bundle of a sentence encoder to compare with")
    parser.add_argument("--resamples", type=_count, default=1_000, metavar="N", help="for intervals (default 1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of draws (default 0)")
    parser.add_argument("--json", action="store_true", help="machine-readable report, by task among it")


def run(options: argparse.Namespace) -> int:
    """Judge and print. Raises SetupError for files that cannot be used, BundleError for a bundle."""
    tasks = read_descriptions(options.descriptions, options.chosen)
    conversations = read_conversations(options.data, split=options.split)
    if options.groups is not None:
        conversations = _grouped(conversations, read_groups(options.groups))
    field = options.label_field or label_field(conversations, frozenset(tasks))
    if options.not_in is not None:
        conversations = _unknown_to(conversations, options, field)
    jobs = make_jobs(
        conversations,
        tasks,
        field,
        routes=options.routes if isinstance(options.routes, int) else None,
        own_routes=options.routes == "own",
        seed=options.seed,
    )
    report = judge(jobs, tasks, options.models, options.encoder, resamples=options.resamples, seed=options.seed)
    report = Report(report.routes, report.figures, report.gains, report.microseconds, field, len(tasks))
    print(json.dumps(report.as_json(), indent=2) if options.json else report.text)
    return 0


@dataclass(frozen=True, slots=True)
class Report:
    """What came out. figures: of each way. gains: figure -> other way -> how much more the matcher has of it."""

    routes: Mapping[str, Routes]
    figures: Mapping[str, Mapping[str, Interval]]
    gains: Mapping[str, Mapping[str, Interval]]
    microseconds: float
    field: str = ""
    tasks: int = 0

    @property
    def text(self) -> str:
        """Return tables for people."""
        ours = self.routes[MATCHER]
        ways = list(self.routes)
        shown = [
            (name, said)
            for name, said in FIGURES
            if any(not math.isnan(self.figures[way][name].value) for way in ways)
            and (name not in _DIALOGUES or not ours.stated.all())
        ]
        parts = [
            f"{len(ours.outcomes)} turns of {len(set(ours.units.tolist()))} conversations, {int(ours.in_scope.sum())} "
            f"in scope; {self.tasks} tasks, named in `{self.field}`; {self.microseconds:.0f} us of one core a match",
            table(
                ["", *ways],
                [[said, *(between(self.figures[way][name]) for way in ways)] for name, said in shown],
            ),
            table(
                ["built-in less ...", *ways[1:]],
                [
                    [said, *(between(self.gains[name][way], sign=True) for way in ways[1:])]
                    for name, said in shown
                    if name in self.gains
                ],
            ),
            table(
                ["task", "turns", "found", "rightly given"],
                [[name, f"{turns}", number(found), number(given)] for name, turns, found, given in ours.by_task()],
            ),
        ]
        confusions = ours.confusions(MOST_CONFUSIONS)
        if confusions:
            parts.append(
                table(
                    ["taken for another", "as", "turns"], [[task, as_, f"{turns}"] for task, as_, turns in confusions]
                )
            )
        return "\n\n".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Return all of it; null for a figure that does not exist."""
        ours = self.routes[MATCHER]
        return {
            "turns": len(ours.outcomes),
            "in_scope": int(ours.in_scope.sum()),
            "tasks": self.tasks,
            "label_field": self.field,
            "microseconds_per_match": round(self.microseconds, 1),
            "figures": {way: {name: _as_json(value) for name, value in of.items()} for way, of in self.figures.items()},
            "gains": {name: {way: _as_json(value) for way, value in of.items()} for name, of in self.gains.items()},
            "by_task": [
                {"task": name, "turns": turns, "found": _finite(found), "rightly_given": _finite(given)}
                for name, turns, found, given in ours.by_task()
            ],
            "confusions": [
                {"task": task, "chosen": chosen, "turns": turns}
                for task, chosen, turns in ours.confusions(MOST_CONFUSIONS)
            ],
        }


def judge(
    jobs: Sequence[Job],
    tasks: Mapping[str, str],
    models: Path | None = None,
    bundle: Path | None = None,
    *,
    resamples: int = 1_000,
    seed: int = 0,
) -> Report:
    """Route every job in each way and compare. Raises SetupError where there is nothing to judge."""
    if not any(gold is not None for job in jobs for gold in job.gold):
        raise SetupError(
            "no turn of the file can be judged\n  expected: turns that name a task or say that there is none"
        )
    encoder = Encoder.load(models)
    matcher = TaskMatcher.load(models, encoder=encoder)

    def built_in(texts: Sequence[str]) -> Any:
        return encoder.vectors([text.encode() for text in texts])

    ways: dict[str, Vectors] = {COSINE: built_in}
    if bundle is not None:
        from signalbox.evaluation.bundle_vectors import BundleVectors

        ways[BUNDLE.format(bundle.name)] = BundleVectors(bundle)
    began = time.process_time()
    with bar("matching", len(jobs)) as done:
        outcomes = list(matched(jobs, tasks, matcher, done))
    microseconds = (time.process_time() - began) / len(outcomes) * 1e6
    routes = {MATCHER: Routes(outcomes)}
    for way, vectors in ways.items():
        with bar(way, len(jobs)) as done:
            routes[way] = Routes(list(nearest(jobs, tasks, vectors, done)))
    draws = Resamples(len(outcomes), units=routes[MATCHER].units, resamples=resamples, seed=seed)
    measures: dict[str, Measure] = {
        f"{way}/{name}": getattr(of, name) for way, of in routes.items() for name, _ in FIGURES
    }
    if not routes[MATCHER].in_scope.any() or routes[MATCHER].in_scope.all():
        measures = {key: measure for key, measure in measures.items() if not key.endswith("/scope_auroc")}
    found = bootstrap(measures, draws)
    nothing = Interval(math.nan, math.nan, math.nan)
    figures = {
        way: {name: found[f"{way}/{name}"].interval if f"{way}/{name}" in found else nothing for name, _ in FIGURES}
        for way in routes
    }
    gains = {
        name: {way: found[f"{MATCHER}/{name}"].minus(found[f"{way}/{name}"]) for way in ways}
        for name, _ in FIGURES
        if f"{MATCHER}/{name}" in found and not name.endswith("_rate")
    }
    return Report(routes, figures, gains, microseconds)


def read_groups(path: Path) -> dict[str, str]:
    """Return label -> task from JSON {task: [labels]}. Raises SetupError for anything else."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise SetupError(f"{path}: cannot be read as JSON: {problem}") from problem
    if not isinstance(data, dict) or not all(
        isinstance(labels, list) and all(isinstance(label, str) for label in labels) for labels in data.values()
    ):
        raise SetupError(f'{path}: expected an object of lists of labels, as {{"travel": ["book_flight"]}}')
    groups = {label: task for task, labels in data.items() for label in labels}
    if len(groups) < sum(map(len, data.values())):
        raise SetupError(f"{path}: a label is in two groups\n  fix: leave it in one of them")
    return groups


def _grouped(conversations: Sequence[Conversation], groups: Mapping[str, str]) -> list[Conversation]:
    return [
        Conversation(one.id, one.split, one.turns, {**one.labels, "group": groups.get(one.labels.get("label") or "")})
        for one in conversations
        if not one.is_dialogue
    ]


def _unknown_to(conversations: Sequence[Conversation], options: argparse.Namespace, field: str) -> list[Conversation]:
    known = {label for one in read_conversations(options.data, split=options.not_in) for label in _labels(one, field)}
    kept = [one for one in conversations if one.split != options.not_in and _labels(one, field) - known]
    if not kept:
        raise SetupError(f"--not-in {options.not_in}: every label of the records is in that split")
    return kept


def _labels(conversation: Conversation, field: str) -> set[str]:
    if conversation.is_dialogue:
        return {label_of(label, field) for turn in conversation.turns for label in turn.active or ()}
    label = conversation.labels.get(field)
    return set() if label is None else {label}


def _as_json(interval: Interval) -> dict[str, float | None]:
    return {"value": _finite(interval.value), "low": _finite(interval.low), "high": _finite(interval.high)}


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _routes(text: str) -> str | int:
    if text in ("all", "own"):
        return text
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(f"found {text}, expected all, own or a number of tasks, 2 or more")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected 1 or more")
    return number
