"""The built-in engine: the models in the package, asked on the request's own thread, for they take microseconds.

One embedding of the last user turn serves every head that a request is asked about.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from signalbox.core import Role
from signalbox.engines.base import STRONG, WEAK, Answer, Outcome, Question, Route
from signalbox.engines.heads import CLOSE, IMAGE_LABEL, Head
from signalbox.errors import RouterError
from signalbox.trim.conversation import Passages
from signalbox.types import Features, ParsedRequest

Vector = NDArray[np.float32]

ANY_FEATURES = Features(1, True, None, 1, 1, 0, 0, False, frozenset(), 0.0)
TURNS = 12  # of the conversation, the newest: what was said before them tells nothing of this one


class Said(NamedTuple):
    """An answer before anybody has looked at the clock."""

    outcome: Outcome
    route: str | None = None
    scores: tuple[tuple[str, float], ...] = ()
    detail: str = ""


NO_TEXT = Said(Outcome.UNSURE, detail="no_text")
DEFECT = Said(Outcome.FAILED, detail="defect")
NOT_FINITE = Said(Outcome.FAILED, detail="not_finite")


SPEAKERS = {Role.USER: "user", Role.ASSISTANT: "assistant"}


class Turn(NamedTuple):
    """Who said something, and what: UTF-8."""

    role: str
    text: bytes


class Encoder(Protocol):
    """A text's vector, (dims,), of unit length; all 0 for a text without tokens."""

    def vector(self, text: bytes) -> Vector: ...


class Need(Protocol):
    """What a request needs of a model.

    strong: chance, 0 to 1. success: chance of each tier, or model. unsure: it is far from all that the heads know.
    """

    @property
    def strong(self) -> float: ...

    @property
    def unsure(self) -> bool: ...

    @property
    def success(self) -> Mapping[str, float]: ...


class Capability(Protocol):
    def need(self, vector: Vector, features: Features) -> Need: ...


class Match(Protocol):
    """What a conversation is about.

    name: the task; None for none of them. scores: (name, probability), best first. unsure: it could as well be the
    next best, or none, or one where none is named.
    """

    @property
    def name(self) -> str | None: ...

    @property
    def scores(self) -> Sequence[tuple[str, float]]: ...

    @property
    def unsure(self) -> bool: ...


class Tasks(Protocol):
    def prepare(self, tasks: Sequence[Route]) -> Any: ...

    def match(self, prepared: Any, turns: Sequence[Any]) -> Match: ...


class Modality(Protocol):
    def image(self, vector: Vector, text: bytes) -> float: ...


class Sight:
    """What the built-in models see of one request. Each part is worked out when it is first wanted, and once."""

    __slots__ = ("_encoder", "_text", "_vector", "features", "request")

    def __init__(self, encoder: Encoder | None, request: ParsedRequest, features: Features) -> None:
        self.request = request
        self.features = features
        self._encoder = encoder
        self._text: bytes | None = None
        self._vector: Vector | None = None

    @property
    def text(self) -> bytes:
        """The last user turn, UTF-8; empty if no user says anything."""
        if self._text is None:
            self._text = self.request.scan.text(last_user=True)
        return self._text

    @property
    def turns(self) -> list[Turn]:
        """What was said lately, oldest first, without what only harnesses and tools say."""
        scan = cast("Passages", self.request.scan)
        said = [passage for passage in scan.passages if passage.role in SPEAKERS][-TURNS:]
        return [Turn(SPEAKERS[passage.role], scan.passage_text(passage.first, passage.end)) for passage in said]

    @property
    def vector(self) -> Vector:
        if self._vector is None:
            assert self._encoder is not None  # heads that look at vectors come with what makes them
            self._vector = self._encoder.vector(self.text)
        return self._vector


Judge = Callable[[Sight], Said]


class HeadEngine:
    """One head of a built-in engine, as an engine; see `base.Engine`. Threads share one.

    failed: told of an exception, which is a defect of the models: it costs the answer, never the request.
    """

    def __init__(
        self,
        name: str,
        encoder: Encoder | None,
        judge: Judge,
        failed: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        self._name = name
        self._encoder = encoder
        self._judge = judge
        self._failed = failed

    def sight(self, request: ParsedRequest, features: Features) -> Sight:
        """Return a request as these models see it, to be shared by the heads of one encoder."""
        return Sight(self._encoder, request, features)

    def answer(self, sight: Sight) -> Answer:
        """Return the answer, and the time it took. Never raises.

        Details: `no_text`; `unfamiliar` for what is far from everything the models know; `other` for none of the tasks;
        `close`, which a task may have beside it, for what could as well be the next best; `not_finite` and `defect` for
        models that fail.
        """
        began_ns = time.perf_counter_ns()
        try:
            answer = self._judge(sight)
        except Exception as problem:  # noqa: BLE001  an engine never raises; one that does has failed
            if self._failed is not None:
                self._failed(self._name, problem)
            answer = DEFECT
        return Answer(*answer, (time.perf_counter_ns() - began_ns) // 1000)

    def ask(self, question: Question) -> Answer:
        return self.answer(self.sight(question.request, question.features))

    def close(self) -> None:
        """Nothing is held but memory, which other engines share."""


class Models:
    """The models of a built-in engine. Those behind its heads are loaded when a head is first opened."""

    def __init__(
        self,
        encoder: Encoder,
        capability: Callable[[], Capability],
        tasks: Callable[[], Tasks],
        modality: Callable[[], Modality],
    ) -> None:
        self.encoder = encoder
        self._capability = capability
        self._tasks = tasks
        self._modality = modality

    def judge(self, head: Head, routes: Sequence[Route] = ()) -> Judge:
        """Return what answers for a head. routes: the tasks or models to choose from, worked out here once.

        Raises SignalboxError for models that cannot be loaded, or know nothing of the routes.
        """
        if head is Head.IMAGE:
            modality = self._modality()
            return lambda sight: _image(modality, sight)
        if head is Head.TASKS:
            tasks = self._tasks()
            prepared = tasks.prepare(routes)
            return lambda sight: _task(tasks, prepared, sight)
        capability = self._capability()
        tried = capability.need(self.encoder.vector(b"a"), ANY_FEATURES)  # and no request is the first
        if head is Head.SUCCESS:
            models = tuple(route.name for route in routes)
            known = tried.success.keys()
            if known.isdisjoint(models):
                raise RouterError(
                    f"the built-in engine knows nothing of the models {', '.join(models)}\n"
                    f"  expected: one of {', '.join(sorted(known)) or 'none: it was trained on tiers'}\n"
                    "  fix: name a `bundle` that `signalbox train` made of labels for these models"
                )
            return lambda sight: _success(capability, models, sight)
        return lambda sight: _tier(capability, head, sight)


def _tier(capability: Capability, head: Head, sight: Sight) -> Said:
    if not sight.text:
        return NO_TEXT
    need = capability.need(sight.vector, sight.features)
    if head is Head.NEED:
        strong = need.strong
    elif head is Head.FAILURE:
        strong = 1.0 - need.success[WEAK]
    else:
        strong = 0.5 + (need.success[STRONG] - need.success[WEAK]) / 2
    if not math.isfinite(strong):
        return NOT_FINITE
    strong = min(1.0, max(0.0, strong))
    scores = ((STRONG, strong), (WEAK, 1.0 - strong)) if strong >= 0.5 else ((WEAK, 1.0 - strong), (STRONG, strong))
    if need.unsure:
        return Said(Outcome.UNSURE, None, scores, "unfamiliar")
    return Said(Outcome.RESULT, scores[0][0], scores)


def _success(capability: Capability, models: Sequence[str], sight: Sight) -> Said:
    if not sight.text:
        return NO_TEXT
    need = capability.need(sight.vector, sight.features)
    chances = [(model, need.success[model]) for model in models if model in need.success]
    if not all(math.isfinite(chance) for _, chance in chances):
        return NOT_FINITE
    scores = tuple(sorted(chances, key=lambda score: -score[1]))
    if need.unsure:
        return Said(Outcome.UNSURE, None, scores, "unfamiliar")
    return Said(Outcome.RESULT, scores[0][0], scores)


def _task(tasks: Tasks, prepared: Any, sight: Sight) -> Said:
    if not sight.text:
        return NO_TEXT
    match = tasks.match(prepared, sight.turns)
    if match.name is None:
        return Said(Outcome.UNSURE, None, tuple(match.scores), CLOSE if match.unsure else "other")
    return Said(Outcome.RESULT, match.name, tuple(match.scores), CLOSE if match.unsure else "")


def _image(modality: Modality, sight: Sight) -> Said:
    image = modality.image(sight.vector, sight.text) if sight.text else 0.0
    if not math.isfinite(image):
        return NOT_FINITE
    return Said(Outcome.RESULT, IMAGE_LABEL if image >= 0.5 else "text", ((IMAGE_LABEL, image), ("text", 1.0 - image)))
