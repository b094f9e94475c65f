"""Which engines have to be asked before a decision, and what each may choose from."""

from __future__ import annotations

from collections.abc import Collection, Container
from typing import NamedTuple

from signalbox.engines.base import Route


class Asks(NamedTuple):
    """Engines to be asked about one request, all at the same time.

    questions: key of the answer (an engine's name, or one of `engines.heads`) -> routes to choose from. shares: router
    whose engine is asked -> share for the strong tier, if the request names its own. guards: keys of those that may
    keep the request on the site. held_back: others are to be asked once these have answered, if it does not stay there.
    """

    questions: tuple[tuple[str, tuple[Route, ...]], ...] = ()
    shares: tuple[tuple[str, float | None], ...] = ()
    guards: frozenset[str] = frozenset()
    held_back: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple([key for key, _ in self.questions])

    def __add__(self, other: object) -> Asks:
        """Return both, each engine and router once: what was said first counts."""
        if not isinstance(other, Asks):
            return NotImplemented
        questions, shares = dict(self.questions), dict(self.shares)
        for engine, routes in other.questions:
            questions.setdefault(engine, routes)
        for router, share in other.shares:
            shares.setdefault(router, share)
        return Asks(tuple(questions.items()), tuple(shares.items()), self.guards | other.guards)

    def next(self, off_site: frozenset[str], answered: Collection[str]) -> Asks:
        """Return those to be asked now: nobody twice, and nobody off the site before the guards have answered."""
        if not (self.guards or answered):
            return self
        questions = [each for each in self.questions if each[0] not in answered]
        held_back = bool(self.guards) and any(engine in off_site for engine, _ in questions)
        if held_back:
            questions = [each for each in questions if each[0] not in off_site]
        return Asks(tuple(questions), self.shares, self.guards, held_back)

    def without(self, keys: Container[str]) -> Asks:
        """Return the other questions. Shares stay behind: their thresholds are known by then."""
        return Asks(tuple([question for question in self.questions if question[0] not in keys]))


NOBODY = Asks()
