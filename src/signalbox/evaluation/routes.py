"""How well requests were routed to described tasks: by turn, by span and by conversation, and what was left to nobody.

Every figure is a function of weights, how often each turn counts, as in `evaluation.metrics`: draws take whole
conversations (`units`), so that turns of one conversation are never taken for independent evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalbox.evaluation.metrics import Floats, Separation

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One user turn: what it was, and what was made of it.

    conversation: number of the conversation. span: number of the run of turns with equal tasks it belongs to, within
    its conversation. gold: tasks any of which is right; empty: out of scope. chosen: None for none of the tasks.
    best: the task that would have been chosen had one to be. score: higher = more certain that a task is meant.
    stated: the turn asks for a task by itself, rather than going on with one.
    """

    conversation: int
    span: int
    gold: frozenset[str]
    chosen: str | None
    best: str | None
    score: float
    stated: bool = True


class Routes:
    """Outcomes ready for many resamples. Raises ValueError where there are none."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            raise ValueError("there are no outcomes to judge")
        self.outcomes = tuple(outcomes)
        self.units = np.array([outcome.conversation for outcome in outcomes])
        pairs = [(outcome.conversation, outcome.span) for outcome in outcomes]
        self._spans = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        self._conversations = np.unique(self.units, return_inverse=True)[1]
        self.in_scope = _flags(outcomes, lambda outcome: bool(outcome.gold))
        self.stated = _flags(outcomes, lambda outcome: outcome.stated)
        self._none = _flags(outcomes, lambda outcome: outcome.chosen is None)
        self._right = _flags(
            outcomes, lambda outcome: outcome.chosen in outcome.gold if outcome.gold else outcome.chosen is None
        )
        self._best_right = _flags(outcomes, lambda outcome: outcome.best in outcome.gold)
        self._scores = np.array([outcome.score for outcome in outcomes])

    def accuracy(self, weights: Floats) -> Floats:
        """Return the share of all turns with the right task, or rightly none."""
        return _share(weights, self._right, np.ones_like(self._right))

    def in_scope_accuracy(self, weights: Floats) -> Floats:
        """Return the share of turns of a described task that got it; none is wrong here."""
        return _share(weights, self._right, self.in_scope)

    def best_accuracy(self, weights: Floats) -> Floats:
        """Return the same share if a task always had to be chosen."""
        return _share(weights, self._best_right, self.in_scope)

    def stated_accuracy(self, weights: Floats) -> Floats:
        """Return the share of right ones among turns that ask for a task."""
        return _share(weights, self._right, self.in_scope & self.stated)

    def carried_accuracy(self, weights: Floats) -> Floats:
        """Return the share of right ones among turns that go on with a task."""
        return _share(weights, self._right, self.in_scope & ~self.stated)

    def span_accuracy(self, weights: Floats) -> Floats:
        """Return the share of spans all of whose turns are right."""
        return _whole(weights, self._right, self._spans)

    def conversation_accuracy(self, weights: Floats) -> Floats:
        """Return the share of conversations all of whose turns are right."""
        return _whole(weights, self._right, self._conversations)

    def out_of_scope_recall(self, weights: Floats) -> Floats:
        """Return the share of out-of-scope turns that were left to nobody."""
        return _share(weights, self._none, ~self.in_scope)

    def out_of_scope_precision(self, weights: Floats) -> Floats:
        """Return the share of out-of-scope turns among those left to nobody."""
        return _share(weights, ~self.in_scope, self._none)

    def match_rate(self, weights: Floats) -> Floats:
        """Return the share of turns that were given a task."""
        return _share(weights, ~self._none, np.ones_like(self._none))

    def fallback_rate(self, weights: Floats) -> Floats:
        """Return the share of turns that were left to nobody."""
        return _share(weights, self._none, np.ones_like(self._none))

    def scope_auroc(self, weights: Floats) -> Floats:
        """Return the chance that a turn in scope has a higher score than one that is not; NaN without both."""
        return Separation(self._scores, self.in_scope).auroc(weights)

    def by_task(self) -> list[tuple[str, int, float, float]]:
        """Return (task, turns, share of them that were right, share of those given it that were) by name."""
        turns: Counter[str] = Counter()
        hit: Counter[str] = Counter()
        given: Counter[str] = Counter()
        for outcome, right in zip(self.outcomes, self._right, strict=True):
            for name in outcome.gold:
                turns[name] += 1
                hit[name] += bool(right)
            if outcome.chosen is not None:
                given[outcome.chosen] += 1
        right_of = Counter(
            outcome.chosen for outcome in self.outcomes if outcome.chosen is not None and outcome.chosen in outcome.gold
        )
        return [
            (
                name,
                turns[name],
                hit[name] / turns[name] if turns[name] else float("nan"),
                right_of[name] / given[name] if given[name] else float("nan"),
            )
            for name in sorted({*turns, *given})
        ]

    def confusions(self, most: int) -> list[tuple[str, str, int]]:
        """Return the `most` frequent mistakes, (task, what was chosen, turns); `other` stands for none."""
        wrong = Counter(
            (" or ".join(sorted(outcome.gold)) or "other", outcome.chosen or "other")
            for outcome, right in zip(self.outcomes, self._right, strict=True)
            if not right
        )
        ordered = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
        return [(task, chosen, turns) for (task, chosen), turns in ordered[:most]]


def _flags(outcomes: Sequence[Outcome], claim: Callable[[Outcome], bool]) -> Flags:
    return np.fromiter((claim(outcome) for outcome in outcomes), dtype=bool, count=len(outcomes))


def _share(weights: Floats, hits: Flags, among: Flags) -> Floats:
    total = weights @ among.astype(np.float64)
    share: Floats = np.full(len(weights), np.nan)
    np.divide(weights @ (hits & among).astype(np.float64), total, out=share, where=total > 0)
    return share


def _whole(weights: Floats, right: Flags, groups: NDArray[np.intp]) -> Floats:
    """Share of groups all right. A group is drawn whole, so any of its rows has its weight."""
    first = np.unique(groups, return_index=True)[1]
    all_right = np.ones(len(first), dtype=bool)
    np.logical_and.at(all_right, groups, right)
    return _share(weights[:, first], all_right, np.ones_like(all_right))
