"""Router-R1 as an engine: it thinks until it calls one of the routes, and that one is the answer.

    prompt ──POST /completions──> thought and call ──known route?──> result
                  ^                      │ no, or it may consult
                  └──── information ─────┘       until rounds, tokens or time are used up

With a pool it goes on, as it was trained: what a model answers to the query goes into the next round, and when it has
an answer the route is the model it consulted last. Either way that model gets the client's request, not the query:
what a client is answered comes from one model, whole. Unless the operator wants its own answers: then a request that
it has read whole gets the one it came to, with the model it consulted last as the route if that cannot be sent.
"""

from __future__ import annotations

import json
from typing import Any

from signalbox.engines.base import Answer, Outcome, Question
from signalbox.engines.deliberate.action import ANSWERED, NO_ACTION, UNKNOWN_MODEL, read_action
from signalbox.engines.deliberate.answerable import fits, is_answerable
from signalbox.engines.deliberate.consult import Pool
from signalbox.engines.deliberate.prompt import ANSWER_END, SEARCH_END, continued, opening
from signalbox.engines.deliberate.usage import Usage
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.preference.served import NO_ROUTES, NO_TEXT
from signalbox.engines.reading import plain_prompt
from signalbox.engines.remote import GARBAGE, Remote, RemoteError
from signalbox.types import Completion

QUESTION_TOKENS = (
    1024  # it was trained with 2,048 for prompt and question, and the prompt has about 960 with six models
)
ROUNDS = 5  # as its authors let it
ROUND_TOKENS = 1024
MAX_RESPONSE_BYTES = 64 * 1024
MAX_SAID_CHARACTERS = 16 * 1024

NO_ANSWER = "no_answer"  # it consulted others until its rounds were used up
WRONG_NAME = "LLM Name Error"
"""What the model was told in training when it called nobody there is."""


class Deliberate:
    """An engine over a server; see `base.Engine`. Details: those of `action` and `remote`, `no_text`, `no_routes`."""

    def __init__(
        self,
        remote: Remote,
        model: str,
        *,
        question_tokens: int = QUESTION_TOKENS,
        rounds: int = ROUNDS,
        pool: Pool | None = None,
        cache: DecisionCache | None = None,
        answers: bool = False,
    ) -> None:
        """model: the server's name for it. rounds: most times it is asked about one request.

        pool: the models it may consult; without one its first call is the answer. answers: its own answers are wanted.
        """
        self._remote = remote
        self._model = model
        self._read = plain_prompt(question_tokens, "last_user")
        self._rounds = rounds
        self._pool = pool
        self._cache = DecisionCache(0, 0) if cache is None else cache
        self._answers = answers

    def ask(self, question: Question) -> Answer:
        if not question.routes:
            return Answer(Outcome.UNSURE, detail=NO_ROUTES)
        asked = self._read(question.request)
        if not asked.strip():
            return Answer(Outcome.UNSURE, detail=NO_TEXT)
        prompt = opening(question.routes, asked)
        may_answer = self._answers and is_answerable(question.request, asked)
        key = prompt.encode() + (b"\0answer" if may_answer else b"")
        answer = self._cache.get(key)
        if answer is None:
            try:
                answer = self._deliberate(prompt, question, may_answer=may_answer)
            except RemoteError as problem:
                return problem.answer
            # An answer is its client's: it is kept for nobody else.
            if answer.completion is None and (answer.outcome is Outcome.RESULT or answer.detail == ANSWERED):
                self._cache.put(key, answer)
        return answer

    def close(self) -> None:
        self._remote.close()
        if self._pool is not None:
            self._pool.close()

    def _deliberate(self, prompt: str, question: Question, *, may_answer: bool) -> Answer:
        names = [route.name for route in question.routes]
        consulted, detail, usage = None, NO_ACTION, Usage()
        for _ in range(self._rounds):
            said, stopped = self._round(prompt, question.deadline, usage)
            action = read_action(said, names)
            detail = action.detail
            information = WRONG_NAME if detail == UNKNOWN_MODEL else ""
            if action.route is not None:
                if self._pool is None:
                    return Answer(Outcome.RESULT, action.route)
                consulted, detail = action.route, NO_ANSWER
                headers = question.request.headers
                information = self._pool.ask(consulted, action.query, headers, question.deadline, usage)
            elif detail == ANSWERED:
                completion = None
                is_whole = stopped or ANSWER_END in said
                if may_answer and is_whole and usage.is_known and fits(question.request, action.answer):
                    completion = Completion(action.answer, usage.spent)
                if consulted is not None or completion is not None:
                    return Answer(Outcome.RESULT, consulted, completion=completion)
                break
            # A server leaves the tag out at which it stops, and does not say which of the two it was.
            ends = SEARCH_END if stopped and not said.endswith((SEARCH_END, ANSWER_END)) else ""
            prompt = continued(prompt, said + ends, information)
        return Answer(Outcome.UNSURE, detail=detail)

    def _round(self, prompt: str, deadline: float, usage: Usage) -> tuple[str, bool]:
        """What the model says next, and whether it stopped by itself. usage: is told what it cost."""
        body = {
            "model": self._model,
            "prompt": prompt,
            "max_tokens": ROUND_TOKENS,
            "temperature": 0,
            "stop": [SEARCH_END, ANSWER_END],
            "stream": False,
        }
        content = json.dumps(body, ensure_ascii=False).encode()
        found = self._remote.fetch("/completions", content, deadline=deadline, max_bytes=MAX_RESPONSE_BYTES)
        response, said, stopped = _choice(found.body)
        usage.add(self._model, response, counted=found.by_gateway)
        return said, stopped


def _choice(body: bytes) -> tuple[Any, str, bool]:
    """A completion, its text, and whether it stopped by itself. Raises RemoteError if it is none."""
    try:
        response: Any = json.loads(body)
        choice = response["choices"][0]
        text, reason = choice["text"], choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as problem:
        raise RemoteError(GARBAGE) from problem
    if not isinstance(text, str) or len(text) > MAX_SAID_CHARACTERS:
        raise RemoteError(GARBAGE)
    return response, text, reason == "stop"
