"""Described tasks, judged: the built-in matcher beside plain cosine, on conversations whose tasks are known."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.task_text import whole_of
from signalbox.brain.tasks import Prepared, TaskMatcher, Turn
from signalbox.evaluation.conversations import OUT_OF_SCOPE, USER, Conversation, label_of
from signalbox.evaluation.routes import Outcome

Floats = NDArray[np.float32]

_VARIANT = re.compile(r"[_-]?\d+$")


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the matcher takes it."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Job:
    """One conversation to be routed among `names`. gold: of each user turn; None where there is nothing to judge.

    stated: of each user turn, whether it asks for a task by itself.
    """

    number: int
    conversation: Conversation
    names: tuple[str, ...]
    gold: tuple[frozenset[str] | None, ...]
    stated: tuple[bool, ...]

    @property
    def users(self) -> list[str]:
        """Texts of the user turns."""
        return [turn.text for turn in self.conversation.turns if turn.role == USER]


class Vectors(Protocol):
    """Texts to vectors of unit length, (texts, dims)."""

    def __call__(self, texts: Sequence[str], /) -> Floats: ...


def make_jobs(
    conversations: Sequence[Conversation],
    tasks: Mapping[str, str],
    field: str,
    *,
    routes: int | None = None,
    own_routes: bool = False,
    seed: int = 0,
) -> list[Job]:
    """Return what is to be routed among what.

    routes: None for all tasks; else each conversation meets its own tasks and others, drawn, up to that many, no two of
    them variants of one (`Hotels_1`, `Hotels_2`). own_routes: nothing but its own.
    """
    dice = random.Random(seed)
    jobs = []
    for number, conversation in enumerate(conversations):
        gold, stated = _gold(conversation, tasks, field)
        own = sorted(set().union(*(names for names in gold if names)))
        names = tuple(sorted(tasks))
        if own_routes or routes is not None:
            names = tuple(own) if own_routes else tuple(sorted(_drawn(own, tasks, routes or 0, dice)))
            if not names:
                continue
        jobs.append(Job(number, conversation, names, gold, stated))
    return jobs


def matched(
    jobs: Sequence[Job], tasks: Mapping[str, str], matcher: TaskMatcher, done: Callable[[int], None]
) -> Iterator[Outcome]:
    """Yield what the matcher makes of each turn that can be judged, each in the light of those before it."""
    prepared: dict[tuple[str, ...], Prepared] = {}
    for at, job in enumerate(jobs):
        if job.names not in prepared:
            if len(prepared) > 64:  # drawn sets hardly come twice
                prepared.clear()
            prepared[job.names] = matcher.prepare([Task(name, tasks[name]) for name in job.names])
        users = [Turn(USER, text.encode()) for text in job.users]
        matches = (
            matcher.match(prepared[job.names], users[: turn + 1])
            for turn, gold in enumerate(job.gold)
            if gold is not None
        )
        yield from _outcomes(
            job, ((match.name, match.scores[0][0], sum(chance for _, chance in match.scores)) for match in matches)
        )
        done(at + 1)


def nearest(
    jobs: Sequence[Job], tasks: Mapping[str, str], vectors: Vectors, done: Callable[[int], None]
) -> Iterator[Outcome]:
    """Yield the task with the highest cosine to each turn alone: plain cosine, which never says `none`."""
    described = vectors([whole_of(name, text) for name, text in tasks.items()])
    place = {name: number for number, name in enumerate(tasks)}
    for at, job in enumerate(jobs):
        turns = [turn for turn, gold in enumerate(job.gold) if gold is not None]
        if turns:
            users = job.users
            cosines = vectors([users[turn] for turn in turns]) @ described[[place[name] for name in job.names]].T
            best = cosines.argmax(axis=1)
            yield from _outcomes(
                job, ((job.names[b], job.names[b], float(row[b])) for b, row in zip(best, cosines, strict=True))
            )
        done(at + 1)


def _outcomes(job: Job, chosen: Iterator[tuple[str | None, str, float]]) -> Iterator[Outcome]:
    span, before = 0, None
    judged = [(gold, stated) for gold, stated in zip(job.gold, job.stated, strict=True) if gold is not None]
    for (gold, stated), (name, best, score) in zip(judged, chosen, strict=True):
        if before is not None and gold != before:
            span += 1
        before = gold
        yield Outcome(job.number, span, gold, name, best, score, stated)


def _gold(
    conversation: Conversation, tasks: Mapping[str, str], field: str
) -> tuple[tuple[frozenset[str] | None, ...], tuple[bool, ...]]:
    if not conversation.is_dialogue:
        label = conversation.labels.get(field)
        known = label is not None and label.lower() not in OUT_OF_SCOPE and label in tasks
        return (frozenset({label}) if known and label is not None else frozenset(),), (True,)
    gold: list[frozenset[str] | None] = []
    stated: list[bool] = []
    for turn in conversation.turns:
        if turn.role != USER:
            continue
        asked = turn.stated or turn.active
        if not asked:  # a goodbye: no task is active, and none is out of scope
            gold.append(None)
        else:
            gold.append(frozenset(label_of(label, field) for label in asked) & tasks.keys())
        now = gold[-1]
        last = next((names for names in reversed(gold[:-1]) if names is not None), None)
        stated.append(now is not None and (last is None or not now & last))
    return tuple(gold), tuple(stated)


def _drawn(own: Sequence[str], tasks: Mapping[str, str], most: int, dice: random.Random) -> list[str]:
    drawn, kinds = list(own), {_VARIANT.sub("", name) for name in own}
    others = sorted(tasks)
    dice.shuffle(others)
    for name in others:
        kind = _VARIANT.sub("", name)
        if len(drawn) < most and kind not in kinds:
            drawn.append(name)
            kinds.add(kind)
    return drawn
