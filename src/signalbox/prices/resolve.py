"""The prices a policy starts with: its own, then those of the catalogue."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from signalbox.policy.schema import Model, Policy
from signalbox.prices.catalogue import look_up
from signalbox.types import Endpoint, Price


def resolve(policy: Policy, now_seconds: float | None = None) -> dict[str, Price]:
    """Return the prices known without asking anybody, by the policy's name of the model.

    A model that is absent has no known price, which never means free. What the policy says is taken as it is, zero
    included. Models of local providers have a price only if the policy gives one: what they cost is not on any list.

    now_seconds: since the epoch, for prices that change with the date. Default: now.
    """
    now = time.time() if now_seconds is None else now_seconds
    prices = {}
    for name, model in policy.models.items():
        price = _of_policy(model) if model.price is not None else _of_catalogue(policy, name, model, now)
        if price is not None:
            prices[name] = price
    return prices


def own_prices(policy: Policy) -> dict[str, Price]:
    """Return the prices that a policy gives itself, by its name of the model."""
    return {name: price for name, model in policy.models.items() if (price := _of_policy(model)) is not None}


def to_message(prices: Mapping[str, Price]) -> dict[str, tuple[float, float, float | None]]:
    """Return prices as the supervisor tells its children: model -> input, output and cached input."""
    return {
        name: (price.input_usd_per_mtok, price.output_usd_per_mtok, price.cached_usd_per_mtok)
        for name, price in prices.items()
    }


def from_message(told: Mapping[str, Sequence[float | None]]) -> dict[str, Price]:
    """Return the prices that `to_message` made, after their way through JSON. Raises TypeError for another shape."""
    return {name: Price(*figures) for name, figures in told.items()}  # type: ignore[arg-type]


def _of_policy(model: Model) -> Price | None:
    given = model.price
    return None if given is None else Price(given.input, given.output, given.cached_input)


def _of_catalogue(policy: Policy, name: str, model: Model, now_seconds: float) -> Price | None:
    provider = policy.providers[model.provider]
    if provider.is_local or not policy.prices.catalogue:
        return None
    serves = provider.endpoints if model.endpoints is None else provider.endpoints & frozenset(model.endpoints)
    return look_up(
        model.name or name,
        provider.endpoint,
        model.provider,
        now_seconds,
        only_embeddings=serves == {Endpoint.EMBEDDINGS},
    )
