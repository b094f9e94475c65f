"""What a price must look like before anybody believes it.

Price lists are made by people and by scripts. A zero that stands for "unknown", a figure per token where one per
million was meant, or a NaN would make the model that carries it win every comparison by cost, so each of them
makes the price unknown instead.
"""

from __future__ import annotations

from signalbox.types import Price

MAX_USD_PER_MTOK = 10_000.0
"""The dearest model ever listed costs 600; a factor of a million too much is far above this."""

MAX_RATIO = 1_000.0
"""Between output and input. Real lists stay within 1 to 30; a mixture of units is a million."""


def checked(input_usd: object, output_usd: object, cached_usd: object = None) -> Price | None:
    """Return a cloud model's price in USD per million tokens, or None if it cannot be right.

    Arguments may be anything a list holds. A cached price that is absent, not above zero or above the input price is
    left out, so that cached tokens count as any others: that can only make a model look dearer.
    """
    prompt, answer = usd(input_usd), usd(output_usd)
    if prompt is None or answer is None or not 1 / MAX_RATIO <= answer / prompt <= MAX_RATIO:
        return None
    return Price(prompt, answer, _cached(cached_usd, prompt))


def checked_embedding(input_usd: object) -> Price | None:
    """Return the price of a model that answers with vectors: nothing is charged for those."""
    prompt = usd(input_usd)
    return None if prompt is None else Price(prompt, 0.0)


def usd(value: object) -> float | None:
    """Return a figure that can be somebody's price of a million tokens, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 < value <= MAX_USD_PER_MTOK else None  # NaN is on neither side


def _cached(value: object, input_usd: float) -> float | None:
    cached = usd(value)
    return cached if cached is not None and cached <= input_usd else None
