"""Routers for goals: in which order they come into question for one request.

    modality ──> latency-sensitive ──> described ──> complexity

Only what the request itself tells has a say here, so that the engines of the routers in question can all be asked at
the same time. Which of them then decides is `catalog`'s business: the first that can serve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from signalbox.decide.headers import header_says
from signalbox.decide.pools import make_pool
from signalbox.decide.rules import RuleBook, compile_rules
from signalbox.decide.trace import Trace
from signalbox.policy.goals import Goals, LatencySensitive
from signalbox.policy.schema import Rule
from signalbox.types import Case, InOut, Reason

YES, NO = ("true", "1", "yes"), ("false", "0", "no")

MODALITY, LATENCY_SENSITIVE, DESCRIBED, COMPLEXITY = "modality", "latency_sensitive", "described", "complexity"
INSTEAD = "instead"  # the router on the other side of the threshold


class Step(NamedTuple):
    """A router that comes into question. reason: why, if nothing in the router itself has an opinion."""

    name: str
    router: str
    reason: Reason = Reason.GOAL


@dataclass(frozen=True, slots=True)
class Haste:
    """What makes a request latency-sensitive."""

    router: str
    header: str | None
    when: RuleBook | None

    def holds(self, case: Case) -> bool:
        """Whether the request is one of those; what its header says counts more than the policy's conditions."""
        value = None if self.header is None else case.request.headers.get(self.header)
        if any(header_says(value, word) for word in YES):
            return True
        if any(header_says(value, word) for word in NO):
            return False
        return self.when is not None and self.when.first_match(case, None) is not None


@dataclass(frozen=True, slots=True)
class CompiledGoals:
    """The steps, by the names of routers."""

    modality: Mapping[InOut, str]
    haste: Haste | None
    described: str | None
    threshold: float
    below: str
    above: str

    def steps(self, case: Case, trace: Trace | None) -> tuple[Step, ...]:
        """Return the routers that come into question for a request, in order; never none."""
        found = []
        by_modality = self.modality.get(case.features.modality)
        if by_modality is not None:
            found.append(Step(MODALITY, by_modality))
        is_urgent = self.haste is not None and self.haste.holds(case)
        if self.haste is not None and is_urgent:
            found.append(Step(LATENCY_SENSITIVE, self.haste.router))
        elif self.described is not None:
            found.append(Step(DESCRIBED, self.described))
        complexity = case.features.complexity
        if trace is not None:
            trace["modality"] = case.features.modality.value
            trace["latency_sensitive"] = is_urgent
            trace["complexity"] = {
                "score": None if math.isnan(complexity) else complexity,
                "threshold": self.threshold,
            }
        # What could not be measured is taken for hard, and said to be a failure.
        reason = Reason.ENGINE_FAILED if math.isnan(complexity) else Reason.COMPLEXITY
        sides = (self.below, self.above) if complexity < self.threshold else (self.above, self.below)
        return (*found, Step(COMPLEXITY, sides[0], reason), Step(INSTEAD, sides[1]))


def compile_goals(goals: Goals) -> CompiledGoals:
    """Return the goals of a policy whose references were checked when it was loaded."""
    return CompiledGoals(
        modality=dict(goals.modality),
        haste=None if goals.latency_sensitive is None else _compile_haste(goals.latency_sensitive),
        described=goals.described,
        threshold=goals.complexity.threshold,
        below=goals.complexity.below,
        above=goals.complexity.above,
    )


def _compile_haste(section: LatencySensitive) -> Haste:
    when = None
    if section.when is not None:
        nowhere = make_pool(LATENCY_SENSITIVE, ())  # where its conditions lead is not theirs to say
        when = compile_rules((Rule(when=section.when, task=LATENCY_SENSITIVE),), lambda rule: nowhere)
    return Haste(section.router, section.header, when)
