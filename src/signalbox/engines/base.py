"""What every engine is: something that is asked about one request on a thread of its own, and answers in time.

An engine never raises and never outlives its deadline by much. What it cannot do is an outcome, and the decision knows
what to do with each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from signalbox.types import Answer, Features, ParsedRequest
from signalbox.types import EngineOutcome as Outcome

__all__ = ["STRONG", "WEAK", "Answer", "Engine", "Outcome", "Question", "Route"]

STRONG, WEAK = "strong", "weak"
"""What an engine calls the two tiers of models it tells apart, in the scores of its answers."""


class Route(NamedTuple):
    """Something an engine may choose, as the policy describes it."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Question:
    """What an engine may see of a request.

    routes: in the policy's order. deadline: `time.monotonic()` seconds; an engine that cannot answer by then says LATE.
    """

    request: ParsedRequest
    features: Features
    routes: tuple[Route, ...]
    deadline: float


class Engine(Protocol):
    """Judges requests. Threads share one engine."""

    def ask(self, question: Question) -> Answer:
        """Return the answer. Blocks the calling thread, until the deadline at most; never raises."""

    def close(self) -> None:
        """Give back what it holds. Nobody asks it any more."""
