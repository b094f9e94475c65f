"""Engines that judge a sample of the traffic off the path: their labels are what cheaper engines are trained on.

    decision ──> reply sent ──> in the sample? ──> within the day's allowance? ──> a thread of the engine free?
                                                             label ──> supervisor ──> collector ──> journal

No request waits for one, and none is asked while all its threads have something to do. What is lost here is a label.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import random

from signalbox.decide.judge import CompiledJudge
from signalbox.decide.pipeline import Pipeline
from signalbox.engines.base import Question, Route
from signalbox.engines.desk import Ticket
from signalbox.engines.open import Engines
from signalbox.label import Label
from signalbox.policy.schema import Policy
from signalbox.types import Case, Decision, Privacy, Reason

Tell = Callable[[Label], None]
After = Callable[[], None]

DAY_SECONDS = 86_400.0
BURST_SECONDS = 3600.0  # what may be asked at once is what comes in over this time, and one at least


class Allowance:
    """So many questions a day, spread evenly: an hour's worth at once, none borrowed from tomorrow.

    per_day: of this process. clock: seconds that never go back.
    """

    def __init__(self, per_day: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_day / DAY_SECONDS
        self._clock = clock
        self._most = max(1.0, self._per_second * BURST_SECONDS)
        self._left = self._per_second * BURST_SECONDS
        self._at_seconds = clock()

    def take(self) -> bool:
        """Take one question, if one is left."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at_seconds) * self._per_second)
        self._at_seconds = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


@dataclass(frozen=True, slots=True)
class Shadow:
    """The shadow engine of one router. made_of: what its allowance was made of; the same keeps it over a reload."""

    judge: CompiledJudge
    routes: tuple[Route, ...]
    share: float
    allowance: Allowance
    made_of: tuple[str, float, float]


class Shadows:
    """The shadow engines of a policy's routers. For the serving thread; `tell` is called on engines' threads.

    dice: a number in [0, 1) for each request.
    """

    def __init__(
        self, shadows: Mapping[str, Shadow], engines: Engines, tell: Tell, dice: Callable[[], float] = random
    ) -> None:
        self.shadows = shadows
        self._engines = engines
        self._tell = tell
        self._dice = dice

    def after(self, decision: Decision, case: Case) -> After | None:
        """Return what is to be done once the reply was sent; None if nothing is."""
        shadow = self.shadows.get(decision.goal or decision.router)
        if shadow is None or self._dice() >= shadow.share:
            return None
        if shadow.judge.leaves_the_site and _stays(decision):
            return None
        return lambda: self._ask(shadow, case)

    def _ask(self, shadow: Shadow, case: Case) -> None:
        name = shadow.judge.engine
        if not self._engines.is_free(name) or not shadow.allowance.take():
            return
        deadline = time.monotonic() + self._engines.deadline_seconds(name)
        ticket = self._engines.ask(name, Question(case.request, case.features, shadow.routes, deadline))
        ticket.when_done(lambda: self._answered(shadow, case, ticket))

    def _answered(self, shadow: Shadow, case: Case, ticket: Ticket) -> None:
        with suppress(Exception):  # a label may be lost here, the engine's thread may not
            now_seconds, id = time.time(), case.signals.decision_id
            self._tell(shadow.judge.label(ticket.take(), case, at_seconds=now_seconds, id=id))


def _stays(decision: Decision) -> bool:
    """Whether a request is for the site alone: local-only, or taken to a local model by a rule, as guards do."""
    return decision.privacy is Privacy.LOCAL or (decision.reason is Reason.RULE and decision.chain[0].is_local)


def compile_shadows(
    policy: Policy, pipeline: Pipeline, engines: Engines | None, tell: Tell, *, workers: int, before: Shadows | None
) -> Shadows | None:
    """Return the shadow engines of a policy; None if no router has one.

    engines: the policy's, opened. workers: that share the day's allowance. before: of the policy before; a router whose
    section did not change goes on with what is left of its allowance.
    """
    found = {}
    for name, router in pipeline.resolver.routers.items():
        section = policy.routers[name].shadow_engine
        if section is None or router.labeller is None:
            continue
        made_of = (section.name, section.per_day, section.share)
        old = None if before is None else before.shadows.get(name)
        allowance = (
            old.allowance if old is not None and old.made_of == made_of else Allowance(section.per_day / workers)
        )
        found[name] = Shadow(router.labeller, router.routes, section.share, allowance, made_of)
    return Shadows(found, engines, tell) if found and engines is not None else None
