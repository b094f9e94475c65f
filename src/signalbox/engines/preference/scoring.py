"""How probable each answer is to a causal model, without letting it write one.

    prompt = routes and scaffold │ conversation and rest │ what all answers begin with ──> branch ──> branch
             computed once         one run, in pieces                                      a run where names part

Two ways to compare answers. `choices`: wherever answers part, the model chooses among the tokens that lead to one; an
answer's probability is the product of its choices. What has no alternative costs nothing, neither time nor
probability, so long names stand no worse than short ones; the sum over all answers is 1. `likelihood`: the mean
log-probability of an answer's own tokens over the whole vocabulary, compared by softmax; it takes a run for every
token that some answer has, and its differences are small.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from signalbox.engines.preference.decoder import Decoder, Memory
from signalbox.engines.preference.labels import Node
from signalbox.engines.runtime import Gauge
from signalbox.errors import RouterError

Comparison = Literal["choices", "likelihood"]

PIECE_TOKENS = 256  # of a prompt in one run: a run cannot be stopped, so the deadline is looked at between two
MIN_MASS = 0.005
"""A branch less probable than this is not looked into; its answers share what it has. No answer's probability is off
by more, and what a walk costs no longer grows with names that are out of the question."""


class LateError(RouterError):
    """There is no time left for the next run. Nothing is known."""


class NotFiniteError(RouterError):
    """The model gave logits that are not finite numbers."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One prompt's answers being scored. deadline: `time.monotonic()` seconds. gauge: whether a run ends in time."""

    decoder: Decoder
    deadline: float
    gauge: Gauge

    def read(self, ids: Sequence[int], memory: Memory) -> tuple[NDArray[np.float32], Memory]:
        """Return logits and memory behind a text. Raises LateError before a run that cannot end in time."""
        row: NDArray[np.float32] | None = None
        self._check(len(ids))
        began = time.monotonic()
        for start in range(0, len(ids), PIECE_TOKENS):
            if time.monotonic() >= self.deadline:
                raise LateError("no time left")
            row, memory = self.decoder.run(ids[start : start + PIECE_TOKENS], memory)
        assert row is not None
        self.gauge.took(len(ids), time.monotonic() - began)
        return row, memory

    def choices(self, root: Node, row: NDArray[np.float32], memory: Memory) -> list[float]:
        """Return the probability of each answer below `root`, whose own tokens `row` and `memory` include."""
        scores = [0.0] * len(root.labels)

        def visit(node: Node, row: NDArray[np.float32], memory: Memory, mass: float) -> None:
            shares = np.exp(_log_softmax(row[[child.tokens[0] for child in node.children]]))
            for child, share in zip(node.children, (mass * shares).tolist(), strict=True):
                if child.label is not None:
                    scores[child.label] = share
                elif share < MIN_MASS:
                    for label in child.labels:
                        scores[label] = share / len(child.labels)
                else:
                    visit(child, *self._step(child, memory), share)

        if root.label is not None:
            return [1.0]
        visit(root, row, memory, 1.0)
        return scores

    def likelihood(self, root: Node, row: NDArray[np.float32], memory: Memory) -> list[float]:
        """Return the mean log-probability of each answer's tokens behind `root`'s, of a tree with a node a token."""
        scores = [0.0] * len(root.labels)

        def visit(node: Node, row: NDArray[np.float32], memory: Memory, total: float, tokens: int) -> None:
            logarithms = _log_softmax(row)
            for child in node.children:
                reached = total + float(logarithms[child.tokens[0]])
                if child.label is not None:
                    scores[child.label] = reached / (tokens + 1)
                else:
                    visit(child, *self._step(child, memory), reached, tokens + 1)

        if root.label is None:
            visit(root, row, memory, 0.0, 0)
        return scores

    def _step(self, node: Node, memory: Memory) -> tuple[NDArray[np.float32], Memory]:
        self._check(len(node.tokens))
        follows = any(child.label is None for child in node.children)
        return self.decoder.run(node.tokens, memory, remember=follows)

    def _check(self, tokens: int) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0 or not self.gauge.fits(tokens, left):
            raise LateError("no time left")


def _log_softmax(row: NDArray[np.float32]) -> NDArray[np.float64]:
    logits = row.astype(np.float64)
    if not np.isfinite(logits).all():
        raise NotFiniteError("logits that are not finite")
    logits -= logits.max()
    found: NDArray[np.float64] = logits - np.log(np.exp(logits).sum())
    return found
