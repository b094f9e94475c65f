"""Which engines have to be asked before a decision, and what each may choose from."""

from __future__ import annotations

from typing import NamedTuple

from signalbox.engines.base import Route


class Asks(NamedTuple):
    """Engines to be asked about one request, all at the same time.

    questions: engine -> routes it may choose from. shares: router of two tiers whose engine is asked -> share for the
    strong tier, if the request names its own.
    """

    questions: tuple[tuple[str, tuple[Route, ...]], ...] = ()
    shares: tuple[tuple[str, float | None], ...] = ()

    @property
    def engines(self) -> tuple[str, ...]:
        return tuple([engine for engine, _ in self.questions])

    def __add__(self, other: object) -> Asks:
        """Return both, each engine and router once: what was said first counts."""
        if not isinstance(other, Asks):
            return NotImplemented
        questions, shares = dict(self.questions), dict(self.shares)
        for engine, routes in other.questions:
            questions.setdefault(engine, routes)
        for router, share in other.shares:
            shares.setdefault(router, share)
        return Asks(tuple(questions.items()), tuple(shares.items()))


NOBODY = Asks()
