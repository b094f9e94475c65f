"""A preference model in this process: answers are scored, never written, so there is nothing to parse or to repair.

For accelerators, small models and work off the path. A model of 1.5 billion parameters takes seconds for a prompt on
a CPU, and opening it there says so.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from signalbox.core import Role
from signalbox.engines.base import Answer, Outcome, Question, Route
from signalbox.engines.preference.answers import NO_ROUTE
from signalbox.engines.preference.budget import LEAD, PromptTokenizer
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.preference.decoder import Decoder, Memory
from signalbox.engines.preference.labels import Node, common_length, label_tree
from signalbox.engines.preference.prompts import OTHER, PromptFormat, Said
from signalbox.engines.preference.scoring import Comparison, LateError, NotFiniteError, Walk
from signalbox.engines.preference.served import BAD_ROUTES, MARGIN, NO_ROUTES, NO_TEXT, NO_TOKENS
from signalbox.engines.runtime import Gauge, Pace
from signalbox.errors import RouterError
from signalbox.trim import Trimmer
from signalbox.trim.conversation import Passages

FAILED_RUN, NOT_FINITE, TOO_SLOW = "run", "not_finite", "too_slow"

MAX_PASSING_SETS = 4
"""Route sets kept that requests brought along. Each holds keys and values of its prefix: 57 KB a token for Qwen2.5's
1.5 billion parameters in float32."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that depends on the routes alone. none: number of the answer that no route fits; None without one."""

    labels: tuple[str, ...]
    none: int | None
    tree: Node
    trimmer: Trimmer
    prefix: tuple[int, ...]
    memory: Memory


class LocalPreference:
    """An engine over a decoder; see `base.Engine`.

    Details: `margin`, `no_route`, `no_text`, `no_routes`, `routes`, `too_slow`, `not_finite`, and `run` for a run
    that failed, for want of memory for example.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: PromptTokenizer,
        form: PromptFormat,
        *,
        budget: int | None = None,
        margin: float = 0.0,
        compare: Comparison = "choices",
        cache: DecisionCache | None = None,
        pace: Pace | None = None,
    ) -> None:
        """budget: tokens of the prompt; default: the format's. margin: by how much the best answer must lead the next.

        pace: what runs take at best, so that one which cannot end in time is not begun.
        """
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._form = form
        self._budget = budget or form.budget
        self._margin = margin
        self._compare: Comparison = compare
        self._cache = DecisionCache(0, 0) if cache is None else cache
        self._gauge = Gauge(pace or Pace())
        self._kept: dict[tuple[Route, ...], Prepared] = {}
        self._passing: OrderedDict[tuple[Route, ...], Prepared] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, routes: Sequence[Route]) -> Prepared:
        """Compute what a policy's routes have in every prompt, and keep it. Takes as long as a prompt.

        Raises RouterError if they leave no room for a conversation or cannot be told apart.
        """
        prepared = self._prepare(tuple(routes), deadline=math.inf)
        with self._lock:
            self._kept[tuple(routes)] = prepared
        return prepared

    def ask(self, question: Question) -> Answer:
        if not question.routes:
            return Answer(Outcome.UNSURE, detail=NO_ROUTES)
        try:
            prepared = self._prepared(question.routes, question.deadline)
        except LateError:
            return Answer(Outcome.LATE, detail=TOO_SLOW)
        except RouterError:
            return Answer(Outcome.FAILED, detail=BAD_ROUTES)
        try:
            trimmed = prepared.trimmer.trim(cast("Passages", question.request.scan))
        except RouterError:
            return Answer(Outcome.FAILED, detail=NO_TOKENS)
        if not trimmed.pieces:
            return Answer(Outcome.UNSURE, detail=NO_TEXT)
        answer = self._cache.get(trimmed.prompt)
        if answer is None:
            content = trimmed.prompt.decode().removeprefix(LEAD)
            try:
                answer = self._judged(prepared, self.scores(prepared, content, question.deadline))
            except LateError:
                return Answer(Outcome.LATE, detail=TOO_SLOW)
            except NotFiniteError:
                return Answer(Outcome.FAILED, detail=NOT_FINITE)
            except RouterError:
                return Answer(Outcome.FAILED, detail=FAILED_RUN)
            self._cache.put(trimmed.prompt, answer)
        return answer

    def scores(self, prepared: Prepared, content: str, deadline: float) -> list[float]:
        """Return a probability for each of `prepared.labels`, given the user message that the model is sent.

        deadline: `time.monotonic()` seconds. Raises LateError, NotFiniteError, RouterError.
        """
        ids = [*self._tokenizer.chat(self._form.chat, content), *prepared.tree.tokens]
        start = len(prepared.prefix)
        # The same cut every time: with int8 weights, what a run holds has a small say in what comes out.
        known = tuple(ids[:start]) == prepared.prefix
        walk = Walk(self._decoder, deadline, self._gauge)
        row, memory = walk.read(ids[start:] if known else ids, prepared.memory if known else self._decoder.empty)
        if self._compare == "choices":
            return walk.choices(prepared.tree, row, memory)
        likelihoods = np.exp(walk.likelihood(prepared.tree, row, memory))
        found: list[float] = (likelihoods / likelihoods.sum()).tolist()
        return found

    def close(self) -> None:
        """Nothing is held but memory."""

    def _judged(self, prepared: Prepared, shares: list[float]) -> Answer:
        order = sorted(range(len(shares)), key=lambda number: -shares[number])
        scores = tuple((prepared.labels[number], shares[number]) for number in order)
        if len(order) > 1 and scores[0][1] - scores[1][1] < self._margin:
            return Answer(Outcome.UNSURE, None, scores, MARGIN)
        if order[0] == prepared.none:
            return Answer(Outcome.UNSURE, None, scores, NO_ROUTE)
        return Answer(Outcome.RESULT, scores[0][0], scores)

    def _prepared(self, routes: tuple[Route, ...], deadline: float) -> Prepared:
        with self._lock:
            found = self._kept.get(routes) or self._passing.get(routes)
            if found is not None:
                if routes in self._passing:
                    self._passing.move_to_end(routes)
                return found
        found = self._prepare(routes, deadline)
        with self._lock:
            self._passing[routes] = found
            while len(self._passing) > MAX_PASSING_SETS:
                self._passing.popitem(last=False)
        return found

    def _prepare(self, routes: tuple[Route, ...], deadline: float) -> Prepared:
        tokenizer, form = self._tokenizer, self._form
        names = [route.name for route in routes]
        answers = [form.answer(name) for name in names]
        none = None
        if form.no_route not in answers:
            none = len(names)
            names.append(OTHER if OTHER not in names else NO_ROUTE)
            answers.append(form.no_route)
        tree = label_tree([tokenizer.ids(answer) for answer in answers], every_token=self._compare == "likelihood")
        trimmer = tokenizer.chat_trimmer(form, routes, self._budget)
        prefix = self._prefix(routes)
        _, memory = Walk(self._decoder, deadline, self._gauge).read(prefix, self._decoder.empty)
        return Prepared(tuple(names), none, tree, trimmer, tuple(prefix), memory)

    def _prefix(self, routes: tuple[Route, ...]) -> list[int]:
        """The tokens that every prompt with these routes begins with: those of two that differ from the start."""
        conversations: tuple[Said, Said] = ([(Role.USER, b"a")], [(Role.ASSISTANT, "…".encode())])
        first, second = (
            self._tokenizer.chat(self._form.chat, self._form.render(routes, said)) for said in conversations
        )
        return first[: common_length((first, second))]
