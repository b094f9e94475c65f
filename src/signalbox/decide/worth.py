"""What a request is expected to cost: length of the answer, price, and the share a provider's cache serves."""

from __future__ import annotations

from signalbox.types import Candidate, Features, Price
from signalbox.world import UNKNOWN_MODEL, Pin, Snapshot

PRIOR_OUTPUT_TOKENS = 300.0
"""Answer length assumed where none was measured: a guess, the same for all."""

TOKENS_PER_MTOK = 1_000_000


def expected_output(route: str, model: str, features: Features, world: Snapshot) -> float:
    """Return the tokens an answer is expected to have: as measured on this route, at most what the client reserves."""
    learned = PRIOR_OUTPUT_TOKENS
    lengths = world.output_tokens.get(route)
    if lengths is not None:
        learned = lengths.get(model, PRIOR_OUTPUT_TOKENS)
    reserved = features.output_tokens
    return learned if reserved is None else min(float(reserved), learned)


def price_of(candidate: Candidate, world: Snapshot) -> Price | None:
    """Return a candidate's price: the policy's, a price list's on the web, or the catalogue's; None if unknown."""
    if candidate.price is not None:
        return candidate.price
    listed = world.models.get(candidate.model, UNKNOWN_MODEL).price
    return Price(*listed) if listed is not None else candidate.catalogue_price


def usd(price: Price, prompt_tokens: float, output_tokens: float, cached_tokens: float = 0.0) -> float:
    """Return the cost of an exchange in dollars. cached_tokens: of the prompt, read from the provider's cache."""
    answer = output_tokens * price.output_usd_per_mtok
    if not cached_tokens or price.cached_usd_per_mtok is None:
        return (prompt_tokens * price.input_usd_per_mtok + answer) / TOKENS_PER_MTOK
    cached_tokens = min(cached_tokens, prompt_tokens)
    fresh_tokens = prompt_tokens - cached_tokens
    prompt = fresh_tokens * price.input_usd_per_mtok + cached_tokens * price.cached_usd_per_mtok
    return (prompt + answer) / TOKENS_PER_MTOK


def cached_share(pin: Pin | None, model: str) -> float:
    """Return the share of the prompt that this model's cache is expected to serve, by the session's last answer."""
    if pin is None or pin.model != model or pin.input_tokens <= 0:
        return 0.0
    return min(1.0, pin.cached_tokens / pin.input_tokens)
