"""The price list that ships with Signalbox: the package genai-prices, without its network part.

The package takes about 0.1 s and 23 MB, most of it for a client of its own and two thousand models, so it is
imported with the first look-up and never by a process that has none to make.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from types import ModuleType
from typing import Any

from signalbox.prices.check import checked, checked_embedding
from signalbox.types import Price

HOURS_OF_A_DAY = 24


def look_up(
    model: str, endpoint: str, provider: str, now_seconds: float, *, only_embeddings: bool = False
) -> Price | None:
    """Return what a cloud provider charges for a model; None when the catalogue does not say, or says nonsense.

    model: what the provider calls it. endpoint: the provider's base URL, which tells who it is; where nobody knows the
    URL, as with a company's own gateway, the policy's name for the provider is tried.
    now_seconds: since the epoch. Of prices with several dates the one of that day counts, of prices that change with
    the hour the highest of the day, and of prices that grow with the length of the prompt the first step.
    only_embeddings: the model writes no text, so no price for output is expected.
    """
    package = _package()
    nothing_used = package.Usage(input_tokens=0, output_tokens=0)
    for hint in ({"provider_api_url": endpoint}, {"provider_id": provider}):
        try:
            found = package.calc_price(nothing_used, model, **hint).model
        except LookupError:
            continue
        except ValueError:  # its own check of the entry failed: what it says is not to be believed
            return None
        return _dearest(found, now_seconds, only_embeddings=only_embeddings)
    return None


@cache
def _package() -> ModuleType:
    import genai_prices

    return genai_prices


def _dearest(model: Any, now_seconds: float, *, only_embeddings: bool) -> Price | None:
    start = datetime.fromtimestamp(now_seconds, UTC)
    steps = range(HOURS_OF_A_DAY) if isinstance(model.prices, list) else range(1)
    found = [model.get_prices(start + timedelta(hours=hour)) for hour in steps]
    prompt, answer, cached = (
        max((usd for prices in found if (usd := _usd(getattr(prices, key))) is not None), default=None)
        for key in ("input_mtok", "output_mtok", "cache_read_mtok")
    )
    if answer is None and only_embeddings:
        return checked_embedding(prompt)
    return checked(prompt, answer, cached)


def _usd(value: object) -> float | None:
    """The figure of one price; `base` is the first step of one that grows with the prompt."""
    value = getattr(value, "base", value)
    return float(value) if isinstance(value, Decimal) else None
