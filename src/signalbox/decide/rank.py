"""The order in which candidates are tried."""

from __future__ import annotations

import math

from signalbox.decide.counts import Counts
from signalbox.types import Candidate, Features

EXPECTED_OUTPUT_TOKENS = 300
"""Answer length assumed for every model: a guess, the same for all, until measured lengths replace it."""

TOKENS_PER_MTOK = 1_000_000


def expected_output_tokens(features: Features) -> int:
    """Return the smaller of what the client reserves and `EXPECTED_OUTPUT_TOKENS`."""
    reserved = features.output_tokens
    return EXPECTED_OUTPUT_TOKENS if reserved is None else min(reserved, EXPECTED_OUTPUT_TOKENS)


def expected_usd(candidate: Candidate, features: Features, prompt_tokens: int) -> float | None:
    """Return what this request is expected to cost with a candidate; None when its price is unknown.

    prompt_tokens: as this candidate counts them. They cost the input price, the expected answer the output price.
    """
    price = candidate.price
    if price is None:
        return None
    output_tokens = expected_output_tokens(features)
    return (prompt_tokens * price.input_usd_per_mtok + output_tokens * price.output_usd_per_mtok) / TOKENS_PER_MTOK


def rank_cheapest(candidates: tuple[Candidate, ...], features: Features, counts: Counts) -> tuple[Candidate, ...]:
    """Return the candidates by expected cost, cheapest first; ties by name, unknown prices last."""
    if len(candidates) < 2:
        return candidates
    counts.settle_order(candidates, expected_output_tokens(features))

    def cost(candidate: Candidate) -> tuple[float, str]:
        usd = expected_usd(candidate, features, counts.count(candidate).tokens)
        return (math.inf if usd is None else usd, candidate.model)

    return tuple(sorted(candidates, key=cost))


def rank_as_requested(candidates: tuple[Candidate, ...], models: tuple[str, ...]) -> tuple[Candidate, ...]:
    """Return the candidates in the order of the body's `models`, which names all of them."""
    return tuple(sorted(candidates, key=lambda candidate: models.index(candidate.model)))
