"""Router-R1 in this process: it thinks for a bounded while, and where it would name a model the routes are scored.

    prompt ──> <think> ... ──it calls, or its thinking is used up──> <search> ┬ A-7B:
        kept for a policy's routes      token by token                        └ B-70B:   a run where names part

It is asked once, and the route is the one most probable to be called: there is no query, nobody is consulted, and a
name that is none cannot be said. For accelerators and work off the path; a CPU takes minutes for a thought.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalbox.engines.base import Answer, Outcome, Question, Route
from signalbox.engines.deliberate.action import ANSWERED
from signalbox.engines.deliberate.engine import QUESTION_TOKENS
from signalbox.engines.deliberate.prompt import ANSWER, SEARCH, THINK, THINK_END, content
from signalbox.engines.preference.budget import PromptTokenizer
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.preference.decoder import Decoder, Memory
from signalbox.engines.preference.labels import Node, common_length, label_tree
from signalbox.engines.preference.local import FAILED_RUN, NOT_FINITE, TOO_SLOW
from signalbox.engines.preference.prompts import QWEN25_CHAT
from signalbox.engines.preference.scoring import LateError, NotFiniteError, Walk
from signalbox.engines.preference.served import BAD_ROUTES, MARGIN, NO_ROUTES, NO_TEXT, NO_TOKENS
from signalbox.engines.reading import plain_prompt
from signalbox.engines.runtime import Gauge, Pace
from signalbox.errors import RouterError

THINK_TOKENS = 256
TAIL_TOKENS = 16  # more than a tag has, however it is cut
CALL_TOKENS = 64  # for the tags and the longest name
RESERVE = 2.0  # times what scoring takes: thinking ends so early before the deadline

Row = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that depends on the routes alone."""

    names: tuple[str, ...]
    tree: Node
    prefix: tuple[int, ...]
    memory: Memory


@dataclass(frozen=True, slots=True)
class Thought:
    """Where thinking has led. answers: to an answer instead of a call. pending: tokens that are still to be read."""

    row: Row
    memory: Memory
    pending: tuple[int, ...] = ()
    answers: bool = False
    in_time: bool = True  # it was not cut short by the deadline


class LocalDeliberate:
    """An engine over a decoder; see `base.Engine`.

    Details: `answered`, `margin`, `no_text`, `no_routes`, `routes`, `no_tokens`, `too_slow`, `not_finite`, `run`.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: PromptTokenizer,
        *,
        max_tokens: int,
        question_tokens: int = QUESTION_TOKENS,
        think_tokens: int = THINK_TOKENS,
        margin: float = 0.0,
        cache: DecisionCache | None = None,
        pace: Pace | None = None,
    ) -> None:
        """max_tokens: of prompt and thought, that the model takes. think_tokens: most that it thinks.

        margin: by how much the best route must lead the next. pace: what runs take at best.
        """
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._read = plain_prompt(question_tokens, "last_user", tokenizer)
        self._room = max_tokens - question_tokens - think_tokens - CALL_TOKENS
        self._think_tokens = think_tokens
        self._margin = margin
        self._cache = DecisionCache(0, 0) if cache is None else cache
        self._pace = pace or Pace()
        self._gauge = Gauge(self._pace)
        self._end = tokenizer.special(QWEN25_CHAT.end)
        self._kept: dict[tuple[Route, ...], Prepared] = {}

    def prepare(self, routes: Sequence[Route]) -> Prepared:
        """Compute what a policy's routes have in every prompt, and keep it.

        Raises RouterError if they leave no room for a question and a thought, or cannot be told apart.
        """
        found = self._kept[tuple(routes)] = self._prepare(tuple(routes), math.inf)
        return found

    def ask(self, question: Question) -> Answer:
        if not question.routes:
            return Answer(Outcome.UNSURE, detail=NO_ROUTES)
        try:
            asked = self._read(question.request)
        except RouterError:
            return Answer(Outcome.FAILED, detail=NO_TOKENS)
        if not asked.strip():
            return Answer(Outcome.UNSURE, detail=NO_TEXT)
        try:
            prepared = self._kept.get(question.routes) or self._prepare(question.routes, question.deadline)
        except LateError:
            return Answer(Outcome.LATE, detail=TOO_SLOW)
        except RouterError:
            return Answer(Outcome.FAILED, detail=BAD_ROUTES)
        prompt = content(question.routes, asked)
        answer = self._cache.get(prompt.encode())
        if answer is None:
            try:
                answer, in_time = self._deliberate(prepared, prompt, question.deadline)
            except LateError:
                return Answer(Outcome.LATE, detail=TOO_SLOW)
            except NotFiniteError:
                return Answer(Outcome.FAILED, detail=NOT_FINITE)
            except RouterError:
                return Answer(Outcome.FAILED, detail=FAILED_RUN)
            if in_time:  # with more time it might have come to something else
                self._cache.put(prompt.encode(), answer)
        return answer

    def close(self) -> None:
        """Nothing is held but memory."""

    def _deliberate(self, prepared: Prepared, prompt: str, deadline: float) -> tuple[Answer, bool]:
        """Return the answer, and whether it was thought through."""
        ids = self._tokenizer.chat(QWEN25_CHAT, prompt)
        start = len(prepared.prefix)
        known = tuple(ids[:start]) == prepared.prefix
        walk = Walk(self._decoder, deadline, self._gauge)
        row, memory = walk.read(ids[start:] if known else ids, prepared.memory if known else self._decoder.empty)
        thought = self._think(walk, row, memory, prepared.tree)
        if thought.answers:
            return Answer(Outcome.UNSURE, detail=ANSWERED), thought.in_time
        row, memory, pending = thought.row, thought.memory, (*thought.pending, *prepared.tree.tokens)
        if pending:
            row, memory = walk.read(pending, memory)
        return self._judged(prepared, walk.choices(prepared.tree, row, memory)), thought.in_time

    def _think(self, walk: Walk, row: Row, memory: Memory, tree: Node) -> Thought:
        """Let the model write until it calls or answers; where it does neither for too long, make it call."""
        asked, said, text, in_time = (row, memory), list[int](), "", True
        step = self._pace.seconds(1)
        while len(said) < self._think_tokens:
            if not np.isfinite(row).all():
                raise NotFiniteError("logits that are not finite")
            began = time.monotonic()
            if walk.deadline - began < RESERVE * step * (tree.branches + 2):
                in_time = False
                break
            token = int(row.argmax())
            if token == self._end:
                break
            said.append(token)
            row, memory = walk.read([token], memory)
            step = max(step, time.monotonic() - began)
            tail = self._tokenizer.text(said[-TAIL_TOKENS:])
            if ANSWER in tail:
                return Thought(row, memory, answers=True)
            if SEARCH in tail:
                text = self._tokenizer.text(said)
                if text.endswith(SEARCH):
                    return Thought(row, memory)
                break  # a token has the tag's end and what follows: it is read again without
        if text:
            return Thought(*asked, tuple(self._tokenizer.ids(text[: text.rfind(SEARCH) + len(SEARCH)])))
        text = self._tokenizer.text(said)
        closing = "" if THINK_END in text else f"\n{THINK_END}" if THINK in text else f"{THINK}\n{THINK_END}"
        return Thought(row, memory, tuple(self._tokenizer.ids(f"{closing}\n{SEARCH}")), in_time=in_time)

    def _judged(self, prepared: Prepared, shares: list[float]) -> Answer:
        order = sorted(range(len(shares)), key=lambda number: -shares[number])
        scores = tuple((prepared.names[number], shares[number]) for number in order)
        if len(order) > 1 and scores[0][1] - scores[1][1] < self._margin:
            return Answer(Outcome.UNSURE, None, scores, MARGIN)
        return Answer(Outcome.RESULT, scores[0][0], scores)

    def _prepare(self, routes: tuple[Route, ...], deadline: float) -> Prepared:
        names = tuple(route.name for route in routes)
        tree = label_tree([self._tokenizer.ids(f" {name}:") for name in names])
        first, second = (self._tokenizer.chat(QWEN25_CHAT, content(routes, asked)) for asked in ("a", "…"))
        prefix = first[: common_length((first, second))]
        if len(first) > self._room:
            raise RouterError(
                f"{len(routes)} routes make a prompt of {len(first)} tokens, and the model has room for {self._room} "
                "beside question and thought\n  fix: shorter descriptions, or less for `max_tokens` or `think_tokens`"
            )
        _, memory = Walk(self._decoder, deadline, self._gauge).read(prefix, self._decoder.empty)
        return Prepared(names, tree, tuple(prefix), memory)
