"""What the built-in engine can be asked, and under which key each answer is kept.

One engine with several heads: a request may be asked about its tier for one router and about its task for another,
and those are two answers.
"""

from __future__ import annotations

from enum import StrEnum

from signalbox.policy.engines import BUILTIN, EngineSays, Judge
from signalbox.policy.schema import Goal, Policy, Router
from signalbox.types import InOut


class Head(StrEnum):
    """Questions to the built-in engine. The first three are about two tiers and differ in what `strong` stands for."""

    NEED = "need"  # the chance that the weak tier fails where the strong one would not
    FAILURE = "failure"  # the chance that the weak tier fails
    GAIN = "gain"  # 0.5 and half of what the strong tier is more likely to succeed by
    SUCCESS = "success"  # the chance of each of a router's models
    TASKS = "tasks"  # which of a router's described tasks it is
    IMAGE = "image"  # whether an image is to be made


TIERS = (Head.NEED, Head.FAILURE, Head.GAIN)
HEAD_OF_GOAL: dict[Goal | None, Head] = {"lowest_cost": Head.FAILURE, "highest_quality": Head.GAIN}
CLOSE = "close"
"""Detail of an answer that could as well be the next best one."""

IMAGE_LABEL = InOut.IMAGE_OUT.value


def head_of(router: Router, judge: Judge | None) -> Head:
    """Return what a router with a built-in engine asks it."""
    if judge is None or not judge.has_tiers:
        return Head.TASKS if router.tasks else Head.SUCCESS
    return HEAD_OF_GOAL.get(router.goal, Head.NEED)


def key_of(engine: str, head: Head, router: str) -> str:
    """Return the key of an answer. No engine can be called so: names have no spaces."""
    return f"{engine} {head.value} {router}" if head in (Head.TASKS, Head.SUCCESS) else f"{engine} {head.value}"


def engine_of(key: str) -> str:
    """Return the name of the engine that an answer's key belongs to."""
    return key.partition(" ")[0]


IMAGE_KEY = key_of(BUILTIN, Head.IMAGE, "")
"""Asked before everything else where it matters: what a request wants made is a part of what it is."""


def says_key(says: EngineSays, policy: Policy) -> str:
    """Return the key of the answer that a rule's condition looks at."""
    if not policy.known_engines[says.name].is_builtin:
        return says.name
    return key_of(says.name, says_head(says), "")


def says_head(says: EngineSays) -> Head:
    """Return what a rule's condition asks a built-in engine."""
    return Head.IMAGE if IMAGE_LABEL in says.labels else Head.NEED


def own_key(name: str, router: Router, judge: Judge, policy: Policy) -> str:
    """Return the key of the answer that a router's engine gives; that engine's name unless it is a built-in one."""
    if not policy.known_engines[judge.name].is_builtin:
        return judge.name
    return key_of(judge.name, head_of(router, judge), name)
