"""A preference model at a server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, Ollama, or Envoy in front of one.

    request ──trim──> prompt ──cached?──> POST /chat/completions ──read_answer──> route, or why none

The routes stand at the prompt's start and never move, so a server that caches prefixes computes them once.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

from signalbox.engines.base import Answer, Outcome, Question, Route
from signalbox.engines.preference.answers import UNREADABLE, Reading, read_answer
from signalbox.engines.preference.budget import EstimatingEncoder, trimmer
from signalbox.engines.preference.cache import DecisionCache
from signalbox.engines.preference.logprobs import Scores, route_scores
from signalbox.engines.preference.prompts import OTHER, PromptFormat
from signalbox.engines.remote import GARBAGE, REFUSED, Remote, RemoteError
from signalbox.errors import RouterError
from signalbox.trim import Encoder, Trimmer
from signalbox.trim.conversation import Passages

NO_TEXT = "no_text"  # nobody says anything in the conversation
NO_ROUTES = "no_routes"
BAD_ROUTES = "routes"  # they leave no room for a conversation, or cannot be told apart
NO_TOKENS = "no_tokens"  # the tokenizer has none for a part of the conversation
MARGIN = "margin"  # the best route leads the next by too little

MAX_RESPONSE_BYTES = 256 * 1024
TOP_LOGPROBS = 5  # what every server that offers any gives
ANSWER_TOKENS = 24  # of an answer without the name: braces, key, a fence
MAX_ROUTE_SETS = 64  # trimmers kept; a request may bring routes of its own
_CACHED_DETAILS = frozenset(("", "no_route", MARGIN))


class ServedPreference:
    """An engine over a server; see `base.Engine`. Details: those of this module, `answers` and `remote`."""

    def __init__(
        self,
        remote: Remote,
        model: str,
        form: PromptFormat,
        *,
        budget: int | None = None,
        encoder: Encoder | None = None,
        margin: float = 0.0,
        cache: DecisionCache | None = None,
    ) -> None:
        """model: the server's name for it. budget: tokens of the prompt; default: the format's.

        encoder: the model's own tokenizer, as the server reads prompts; without one, tokens are estimated.
        margin: by how much the best route must lead the next, where the server tells probabilities.
        """
        self._remote = remote
        self._model = model
        self._form = form
        self._budget = budget or form.budget
        self._encoder = EstimatingEncoder() if encoder is None else encoder
        self._margin = margin
        self._cache = DecisionCache(0, 0) if cache is None else cache
        self._trimmers: OrderedDict[tuple[Route, ...], Trimmer] = OrderedDict()
        self._lock = threading.Lock()
        self._tells_logprobs = True

    def prepare(self, routes: Sequence[Route]) -> None:
        """Get ready for a policy's routes. Raises RouterError if they leave no room for a conversation."""
        self._trimmer(tuple(routes))

    def ask(self, question: Question) -> Answer:
        if not question.routes:
            return Answer(Outcome.UNSURE, detail=NO_ROUTES)
        try:
            trimmer = self._trimmer(question.routes)
        except RouterError:
            return Answer(Outcome.FAILED, detail=BAD_ROUTES)
        try:
            trimmed = trimmer.trim(cast("Passages", question.request.scan))
        except RouterError:
            return Answer(Outcome.FAILED, detail=NO_TOKENS)
        if not trimmed.pieces:
            return Answer(Outcome.UNSURE, detail=NO_TEXT)
        answer = self._cache.get(trimmed.prompt)
        if answer is None:
            try:
                answer = self._answer(trimmed.prompt.decode(), question)
            except RemoteError as problem:
                return problem.answer
            if answer.detail in _CACHED_DETAILS:
                self._cache.put(trimmed.prompt, answer)
        return answer

    def close(self) -> None:
        self._remote.close()

    def _answer(self, prompt: str, question: Question) -> Answer:
        names = [route.name for route in question.routes]
        text, reported = _choice(self._complete(prompt, names, question.deadline))
        if text is None:
            return Answer(Outcome.UNSURE, detail=UNREADABLE)
        reading = read_answer(text, names)
        if reading.route is None:
            return Answer(Outcome.UNSURE, detail=reading.detail)
        return _judged(reading, self._scores(reported, text, reading, names), self._margin)

    def _scores(self, reported: Any, text: str, reading: Reading, names: list[str]) -> Scores:
        if reported is None:
            return ()
        labels = names if self._form.list_answer or OTHER in names else [*names, OTHER]
        return route_scores(reported, text, reading.at, labels)

    def _complete(self, prompt: str, names: Sequence[str], deadline: float) -> bytes:
        """Ask for log-probabilities until the server has once refused a question with them and taken it without."""
        asks_logprobs = self._tells_logprobs
        try:
            return self._post(prompt, names, deadline, asks_logprobs)
        except RemoteError as problem:
            if problem.detail != REFUSED or not asks_logprobs:
                raise
        found = self._post(prompt, names, deadline, False)
        self._tells_logprobs = False
        return found

    def _post(self, prompt: str, names: Sequence[str], deadline: float, logprobs: bool) -> bytes:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": ANSWER_TOKENS + max(len(name.encode()) for name in names),
            "stream": False,
        }
        if logprobs:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        content = json.dumps(body, ensure_ascii=False).encode()
        return self._remote.post("/chat/completions", content, deadline=deadline, max_bytes=MAX_RESPONSE_BYTES)

    def _trimmer(self, routes: tuple[Route, ...]) -> Trimmer:
        with self._lock:
            found = self._trimmers.get(routes)
            if found is not None:
                self._trimmers.move_to_end(routes)
                return found
        found = trimmer(self._form, routes, self._encoder, self._budget)
        with self._lock:
            self._trimmers[routes] = found
            while len(self._trimmers) > MAX_ROUTE_SETS:
                self._trimmers.popitem(last=False)
        return found


def _judged(reading: Reading, scores: Scores, margin: float) -> Answer:
    own = next((share for label, share in scores if label == reading.route), 0.0)
    rival = max((share for label, share in scores if label != reading.route), default=0.0)
    if scores and own - rival < margin:
        return Answer(Outcome.UNSURE, None, scores, MARGIN)
    return Answer(Outcome.RESULT, reading.route, scores)


def _choice(body: bytes) -> tuple[str | None, Any]:
    """The text of a chat completion and its log-probabilities, if any. Raises RemoteError if it is none."""
    try:
        choice = json.loads(body)["choices"][0]
        text = choice["message"].get("content")
        reported = choice.get("logprobs")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as problem:
        raise RemoteError(GARBAGE) from problem
    return (text if isinstance(text, str) else None), reported
