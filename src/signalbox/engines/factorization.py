"""RouteLLM's matrix factorisation: how likely the strong of two models beats the weak one, from a text's vector.

Folded when it is opened: a request costs its vector and one dot product. Source: RouteLLM,
routers/matrix_factorization/model.py; `core.Factorization` has the algebra.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.core import Factorization, win_rate
from signalbox.engines.base import STRONG, WEAK, Answer, Outcome, Question
from signalbox.engines.embedding import Embedder, TooSlow
from signalbox.engines.remote import RemoteError
from signalbox.errors import RouterError
from signalbox.types import ParsedRequest

PUBLISHED_STRONG = ("gpt-4-1106-preview", STRONG)
PUBLISHED_WEAK = ("mixtral-8x7b-instruct-v0.1", WEAK)
"""The pair RouteLLM's thresholds are for, or what a checkpoint of two models calls them."""

Prompt = Callable[[ParsedRequest], str]


class FactorizationEngine:
    """An engine over a pair's direction; see `base.Engine`. prompt: what is read of a request, empty for nothing."""

    def __init__(self, direction: NDArray[np.float32], embedder: Embedder, prompt: Prompt) -> None:
        self._direction = direction
        self._embedder = embedder
        self._prompt = prompt

    def ask(self, question: Question) -> Answer:
        """Return `strong` and `weak`. Details: `no_text`, `too_slow`, `not_finite`, `run`, and those of `remote`."""
        text = self._prompt(question.request)
        if not text:
            return Answer(Outcome.UNSURE, detail="no_text")
        try:
            vector = self._embedder.vector(text, question.deadline)
        except TooSlow:
            return Answer(Outcome.LATE, detail="too_slow")
        except RemoteError as problem:
            return problem.answer
        except RouterError:
            return Answer(Outcome.FAILED, detail="run")
        strong = win_rate(self._direction, vector)
        if not math.isfinite(strong):
            return Answer(Outcome.FAILED, detail="not_finite")
        tiers = ((STRONG, strong), (WEAK, 1.0 - strong))
        best_first = tiers if strong >= 0.5 else tiers[::-1]
        return Answer(Outcome.RESULT, best_first[0][0], best_first)

    def close(self) -> None:
        self._embedder.close()


def read_direction(
    tensors: Path, labels: Sequence[str], strong: str | int | None, weak: str | int | None
) -> NDArray[np.float32]:
    """Return the direction of a pair of a checkpoint's models, (dims,). labels: the models, in order of their rows.

    strong, weak: name or number of each; None for the published pair. Raises RouterError for a model that is not there,
    or for tensors that do not fit together.
    """
    pair = (_row(labels, strong, PUBLISHED_STRONG, "strong_model"), _row(labels, weak, PUBLISHED_WEAK, "weak_model"))
    if pair[0] == pair[1]:
        raise RouterError(f"strong_model and weak_model are both {labels[pair[0]]!r}; expected two models")
    try:
        with np.load(tensors, allow_pickle=False) as arrays:
            folded = Factorization.fold(arrays["models"], arrays["projection"], arrays["head"])
    except (ValueError, KeyError, OSError) as problem:
        raise RouterError(f"{tensors}: {problem}\n  fix: export the checkpoint again, from a sound copy") from problem
    return folded.pair(*pair)


def _row(labels: Sequence[str], wanted: str | int | None, published: Sequence[str], key: str) -> int:
    if isinstance(wanted, int):
        if not 0 <= wanted < len(labels):
            raise RouterError(f"{key}: there is no model {wanted}; expected 0 to {len(labels) - 1}")
        return wanted
    names = published if wanted is None else (wanted,)
    for name in names:
        if name in labels:
            return list(labels).index(name)
    shown = ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
    if wanted is None:
        raise RouterError(f"{key}: the published {published[0]!r} is not among {shown}\n  fix: name one of them")
    raise RouterError(f"{key}: {wanted!r} is not among {shown}\n  fix: name one of them")
