"""How a conversation goes on: whether a turn asks for something new or follows up, and whether any task is meant.

The belief in each task is carried from turn to turn. A turn that asks for something by itself moves it to what the turn
is like; a follow-up ("do the same for London", "yes", "what about Sunday?") hardly moves it, whatever it is like.

Plain Python on purpose: a dozen tasks and a handful of turns are less than what one call of numpy costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, log1p, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHARPNESS = 16.0
"""Of a turn that asks for something by itself: log odds per unit of similarity."""

FOLLOW_UP = 0.2
"""Of that sharpness, how much is left to a turn that only follows up."""

ENTROPY_SHARPNESS = 12.0

UNSURE_LEAD = 0.1
"""A task ahead by less is one that could as well be another: of probability, as calibrated."""

SCOPE_FEATURES, STATED_FEATURES = 6, 5


class Summary(NamedTuple):
    """Similarities of one turn with all tasks, in figures that mean the same whatever the number of tasks."""

    best: float
    lead: float  # before the second best; before 0, what unrelated texts have, where there is one task
    entropy: float  # near 1 when all tasks are equally alike
    size: float  # log of the number of tasks
    mean: float
    spread: float

    @classmethod
    def of(cls, similarities: Sequence[float]) -> Summary:
        """Sum up one turn's similarities, one at least."""
        tasks = len(similarities)
        best = max(similarities)
        second = sorted(similarities)[-2] if tasks > 1 else 0.0
        behind = [value - best for value in similarities]
        shares = [exp(ENTROPY_SHARPNESS * value) for value in behind]
        total = sum(shares)
        expected = sum(share * value for share, value in zip(shares, behind, strict=True)) / total
        entropy = (log(total) - ENTROPY_SHARPNESS * expected) / log(tasks + 1)
        mean = sum(similarities) / tasks
        spread = sqrt(max(0.0, sum(value * value for value in similarities) / tasks - mean * mean))
        return cls(best, best - second, entropy, log(tasks), mean, spread)


@dataclass(frozen=True, slots=True, eq=False)
class Carry:
    """scope: weights of a summary's figures and an intercept: the log odds that one of the tasks is meant.

    stated: likewise of a text's length, best, lead, entropy and spread: that a turn asks for something by itself; to
    which `direction`, (dims,), adds its dot product with the turn's vector. temper: power that makes beliefs
    probabilities. threshold: chance of any task below which none is named.
    """

    scope: tuple[float, ...]
    stated: tuple[float, ...]
    direction: Floats
    temper: float
    threshold: float

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Carry:
        """Return what `arrays` hold. Raises KeyError for one that is missing, ValueError for one of another shape."""
        scope, stated, settings = (
            tuple(np.asarray(arrays[name], np.float64).tolist()) for name in ("scope", "stated", "settings")
        )
        direction = np.ascontiguousarray(arrays["direction"], np.float32)
        if (len(scope), len(stated), len(settings)) != (SCOPE_FEATURES + 1, STATED_FEATURES + 1, 2):
            raise ValueError(
                f"scope, stated, settings: found {len(scope)}, {len(stated)}, {len(settings)} values, "
                f"expected {SCOPE_FEATURES + 1}, {STATED_FEATURES + 1}, 2"
            )
        return cls(scope, stated, direction, *settings)

    def chances(
        self, similarities: Sequence[Sequence[float]], directed: Sequence[float], lengths: Sequence[int]
    ) -> list[float]:
        """Return the probability of each task after the last turn; what they lack to 1 is that of none.

        similarities: of each turn with each task. directed: of each turn, its dot product with `direction`. lengths: of
        the texts, in bytes; 0 for a turn that says nothing, which moves nothing.
        """
        tasks = len(similarities[0])
        belief, known, begun = [1.0 / tasks] * tasks, 0.0, False
        for row, along, length in zip(similarities, directed, lengths, strict=True):
            if not length:
                continue
            summary = Summary.of(row)
            new = _sigmoid(self.stated_odds(summary, along, length)) if begun else 1.0
            pull = SHARPNESS * (FOLLOW_UP + (1.0 - FOLLOW_UP) * new)
            kept, fresh, best = 1.0 - new, new / tasks, summary.best
            belief = [
                (kept * before + fresh) * exp(pull * (value - best)) for before, value in zip(belief, row, strict=True)
            ]
            total = sum(belief)
            belief = [value / total for value in belief]
            known = new * _sigmoid(self.scope_odds(summary)) + kept * known
            begun = True
        tempered = [value**self.temper for value in belief]
        share = known / sum(tempered)
        return [value * share for value in tempered]

    def scope_odds(self, summary: Summary) -> float:
        """Return the log odds that one of the tasks is meant by a turn alone."""
        weights = self.scope
        return sum(weight * value for weight, value in zip(weights, summary, strict=False)) + weights[-1]

    def stated_odds(self, summary: Summary, along: float, length: int) -> float:
        """Return the log odds that a turn asks for something by itself."""
        size, best, lead, entropy, spread, intercept = self.stated
        return (
            size * log1p(length)
            + best * summary.best
            + lead * summary.lead
            + entropy * summary.entropy
            + spread * summary.spread
            + along
            + intercept
        )


def _sigmoid(odds: float) -> float:
    return 1.0 / (1.0 + exp(-max(-40.0, min(40.0, odds))))
