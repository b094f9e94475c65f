"""A sequence classifier: a label for a prompt, or how likely it needs the strong of two tiers.

RouteLLM's BERT has three labels, by who won in a comparison of a strong model with a weak one: the strong, nobody, the
weak. It needs the strong model with P(strong) = 1 - P(tie) - P(weak). Source: RouteLLM, routers/routers.py.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from signalbox.core import softmax
from signalbox.engines.base import STRONG, WEAK, Answer, Outcome, Question
from signalbox.engines.reading import Reader
from signalbox.engines.runtime import Gauge, Network, Pace
from signalbox.errors import RouterError

_UNNAMED = re.compile(r"LABEL_\d+")


def strong_labels(labels: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that ask for the strong tier: the wanted ones, `strong`, or the first of three unnamed ones.

    Empty for a model that knows no tiers. Raises RouterError for a wanted label the model does not have.
    """
    if unknown := [label for label in wanted if label not in labels]:
        raise RouterError(f"strong_labels: the model has no label {unknown[0]!r}; it has {', '.join(labels)}")
    if wanted:
        return tuple(wanted)
    if STRONG in labels:
        return (STRONG,)
    if len(labels) == 3 and all(_UNNAMED.fullmatch(label) for label in labels):
        return (labels[0],)  # RouteLLM's checkpoints, as they were published
    return ()


class Classifier:
    """An engine over one network; see `base.Engine`.

    labels: of the logits, in order. strong: those that ask for the strong tier; empty if labels are the answer.
    window: tokens and stride, for a model that reads whole texts in windows. per_token: a label for each token.
    pace: what runs take at best, so that one which cannot end in time is not begun.
    """

    def __init__(
        self,
        network: Network,
        reader: Reader,
        labels: Sequence[str],
        *,
        strong: Sequence[str] = (),
        window: tuple[int, int] | None = None,
        per_token: bool = False,
        pace: Pace | None = None,
    ) -> None:
        self._network = network
        self._reader = reader
        self._labels = tuple(labels)
        self._strong = np.array([label in strong for label in labels])
        self._has_tiers = bool(strong)
        self._window = window
        self._per_token = per_token
        self._gauge = Gauge(pace or Pace())

    def ask(self, question: Question) -> Answer:
        """Return the labels by probability, or `strong` and `weak`.

        Details: `no_text`, `too_slow`, `not_finite`, and `run` for one that failed.
        """
        try:
            return self._ask(question)
        except RouterError:
            return Answer(Outcome.FAILED, detail="run")

    def _ask(self, question: Question) -> Answer:
        deadline = question.deadline
        if self._window is not None:
            parts = []
            for ids in self._reader.windows(question.request, *self._window):
                if not self._gauge.fits(len(ids), deadline - time.monotonic()):
                    return Answer(Outcome.LATE, detail="too_slow")
                parts.append(self._probabilities(ids))
            if not parts:
                return Answer(Outcome.UNSURE, detail="no_text")
            probabilities = over_windows(np.concatenate(parts))
        else:
            text = self._reader.prompt(question.request)
            if not text:
                return Answer(Outcome.UNSURE, detail="no_text")
            ids = self._reader.ids(text)
            if not self._gauge.fits(len(ids), deadline - time.monotonic()):
                return Answer(Outcome.LATE, detail="too_slow")
            probabilities = over_windows(self._probabilities(ids))
        if not np.isfinite(probabilities).all():
            return Answer(Outcome.FAILED, detail="not_finite")
        return self._answer(probabilities)

    def close(self) -> None:
        """Nothing is held but memory."""

    def _probabilities(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the probabilities of one run, (rows, labels): a row for the text, or for each of its tokens."""
        began = time.monotonic()
        logits = np.ascontiguousarray(self._network.run_ids(ids), dtype=np.float32)
        self._gauge.took(len(ids), time.monotonic() - began)
        wanted = (1, len(ids), len(self._labels)) if self._per_token else (1, len(self._labels))
        if logits.shape != wanted:
            raise RouterError(f"the model gave logits of shape {logits.shape}; expected {wanted}")
        return softmax(logits.reshape(-1, len(self._labels)))

    def _answer(self, probabilities: NDArray[np.float32]) -> Answer:
        if self._has_tiers:
            strong = min(1.0, float(probabilities[self._strong].sum()))
            tiers = ((STRONG, strong), (WEAK, 1.0 - strong))
            return _ranked(tiers)
        return _ranked(tuple(zip(self._labels, probabilities.tolist(), strict=True)))


def over_windows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities of a text whose parts have those of `rows`, (labels,).

    The first label is the ordinary one (benign, O, text): a text is that only as far as each of its parts is, and
    everything else as much as any part is. Of one part these are its own.
    """
    if len(rows) == 1:
        only: NDArray[np.float32] = rows[0]
        return only
    found: NDArray[np.float32] = rows.max(axis=0)
    found[0] = rows[:, 0].min()
    return found


def _ranked(scores: tuple[tuple[str, float], ...]) -> Answer:
    best_first = tuple(sorted(scores, key=lambda score: -score[1]))
    return Answer(Outcome.RESULT, best_first[0][0], best_first)
