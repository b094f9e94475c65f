"""`signalbox lint`: described tasks of a policy that the built-in matcher cannot tell apart.

Each task is asked for in its own words: its description, and each part of it. A prompt in which another task gets
nearly as much is one that a user's prompt would not decide either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from signalbox.brain.encoder import Encoder
from signalbox.brain.task_text import parts_of, words_of
from signalbox.brain.tasks import USER, Described, TaskMatcher, Turn
from signalbox.policy.load import load_policy

APART = 0.3
"""Share of a task's own words that another may get before the two count as one; 0.5 is a coin's toss."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two tasks of one router. alike: from 0 to 0.5, or more where the other fits better. shared: parts at fault."""

    router: str
    first: str
    second: str
    alike: float
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in one policy. speechless: (router, task) without a word to match."""

    file: str
    tasks: int
    overlaps: tuple[Overlap, ...]
    speechless: tuple[tuple[str, str], ...]

    @property
    def exit_status(self) -> int:
        """0 where every task can be told from the others of its router."""
        return int(bool(self.overlaps or self.speechless))

    @property
    def text(self) -> str:
        """Return a line for each finding and its fix."""
        lines = []
        for router, task in self.speechless:
            lines.append(
                f"{self.file}: routers.{router}: task {task!r} has no words to match\n"
                "  fix: describe it in a sentence, in the words a user would use"
            )
        for one in self.overlaps:
            shared = f": {', '.join(map(repr, one.shared))}" if one.shared else ""
            lines.append(
                f"{self.file}: routers.{one.router}: tasks {one.first!r} and {one.second!r} can hardly be told apart "
                f"({one.alike:.2f} of 0.5){shared}\n"
                "  fix: name in each description what the other does not do, or make them one task"
            )
        return "\n\n".join([*lines, f"{self.file}: {self.tasks} described tasks, {len(lines)} findings"])

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "tasks": self.tasks,
            "ok": not self.exit_status,
            "overlaps": [asdict(one) for one in self.overlaps],
            "speechless": [{"router": router, "task": task} for router, task in self.speechless],
        }


def lint(policy: Path, models: Path | None = None) -> Findings:
    """Look through every router of a policy with described tasks. Raises PolicyError, SetupError."""
    routers = load_policy(policy).policy.routers
    matcher = TaskMatcher.load(models, encoder=Encoder.load(models))
    overlaps: list[Overlap] = []
    speechless: list[tuple[str, str]] = []
    count = 0
    for name, router in routers.items():
        tasks = [task for task in router.tasks if task.description]
        count += len(tasks)
        if tasks:
            overlaps += overlapping(name, tasks, matcher)
            speechless += [(name, task) for task in matcher.prepare(tasks).without_words]
    return Findings(str(policy), count, tuple(overlaps), tuple(speechless))


def overlapping(router: str, tasks: Sequence[Described], matcher: TaskMatcher) -> list[Overlap]:
    """Return the pairs of tasks that cannot be told apart, those most alike first."""
    prepared = matcher.prepare(tasks)
    mute = set(prepared.without_words)
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    shared: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for task in tasks:
        if task.name in mute:
            continue
        parts = [part for part in parts_of(task.name, task.description) if part != words_of(task.name)]
        for text in (task.description, *parts):
            scores: Mapping[str, float] = dict(matcher.match(prepared, [Turn(USER, text.encode())]).scores)
            for other in tasks:
                both = scores[task.name] + scores[other.name]
                if other.name in mute or other.name == task.name or both <= 0.0:
                    continue
                pair = (min(task.name, other.name), max(task.name, other.name))
                share = scores[other.name] / both
                taken[pair].append(share)
                if share >= 0.5 and text != task.description:
                    shared[pair][text] = None
    found = [
        Overlap(router, *pair, alike=round(sum(shares) / len(shares), 3), shared=tuple(shared[pair]))
        for pair, shares in taken.items()
        if sum(shares) / len(shares) >= APART
    ]
    return sorted(found, key=lambda one: (-one.alike, one.first, one.second))
