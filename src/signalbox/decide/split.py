"""Weighted aliases: a share of the sessions for each model, and each session always the same one.

Weighted rendezvous hashing: every model draws a number from the session, the smallest `-ln(u)/weight`
wins. Shares are exact in the long run (the draws are exponential clocks with these rates), the order in
the file does not matter, and changing one weight moves only the sessions that model gains or loses.
Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; weights as in
draft-ietf-bess-weighted-hrw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from signalbox.decide.chance import hash_key, identity_of, uniform
from signalbox.decide.pools import Pool, make_pool
from signalbox.types import Candidate


@dataclass(frozen=True, slots=True)
class Arm:
    """One model of a weighted alias."""

    candidate: Candidate
    fallback: tuple[Candidate, ...]
    weight: float
    key: bytes

    def draw(self, session: bytes) -> float:
        """Return this arm's arrival time for a session: exponential with rate `weight`."""
        return -math.log(uniform(session, self.key)) / self.weight


@dataclass(frozen=True, slots=True)
class Split:
    """A weighted alias, made runnable."""

    alias: str
    arms: tuple[Arm, ...]

    def pool(self, session: str) -> Pool:
        """Return the session's pool: its model, that model's fallbacks, then the other models.

        The others come last so that a session whose model cannot take a request, or fails, is served
        all the same.
        """
        identity = identity_of(session)
        first, *others = sorted(self.arms, key=lambda arm: (arm.draw(identity), arm.candidate.model))
        rest = [*first.fallback, *(arm.candidate for arm in others)]
        return make_pool(first.candidate.model, (first.candidate,), rest)


def make_split(
    alias: str,
    weights: Mapping[str, float],
    candidates: Mapping[str, Candidate],
    fallbacks: Mapping[str, tuple[Candidate, ...]],
) -> Split:
    """Return a weighted alias. Arms hash with alias and model: two aliases split sessions independently."""
    return Split(
        alias,
        tuple(
            Arm(
                candidates[model],
                fallbacks[model],
                weight,
                hash_key(alias, model),
            )
            for model, weight in sorted(weights.items())
        ),
    )
