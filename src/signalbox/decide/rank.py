"""The order in which candidates are tried."""

from __future__ import annotations

import math

from signalbox.types import Candidate, Features

EXPECTED_OUTPUT_TOKENS = 300
"""Answer length assumed for every model: a guess, the same for all, until measured lengths replace it."""

TOKENS_PER_MTOK = 1_000_000


def expected_usd(candidate: Candidate, features: Features) -> float | None:
    """Return what this request is expected to cost with a candidate; None when its price is unknown.

    Prompt tokens at the input price plus the smaller of what the client reserves and
    `EXPECTED_OUTPUT_TOKENS` at the output price.
    """
    price = candidate.price
    if price is None:
        return None
    reserved = features.output_tokens
    output_tokens = EXPECTED_OUTPUT_TOKENS if reserved is None else min(reserved, EXPECTED_OUTPUT_TOKENS)
    return (
        features.prompt_tokens * price.input_usd_per_mtok + output_tokens * price.output_usd_per_mtok
    ) / TOKENS_PER_MTOK


def rank_cheapest(candidates: tuple[Candidate, ...], features: Features) -> tuple[Candidate, ...]:
    """Return the candidates by expected cost, cheapest first; ties by name, unknown prices last."""
    if len(candidates) < 2:
        return candidates

    def cost(candidate: Candidate) -> tuple[float, str]:
        usd = expected_usd(candidate, features)
        return (math.inf if usd is None else usd, candidate.model)

    return tuple(sorted(candidates, key=cost))


def rank_as_requested(candidates: tuple[Candidate, ...], models: tuple[str, ...]) -> tuple[Candidate, ...]:
    """Return the candidates in the order of the body's `models`, which names all of them."""
    return tuple(sorted(candidates, key=lambda candidate: models.index(candidate.model)))
