"""Candidates and pools: what the policy's models look like to a decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from signalbox.policy.schema import Model, Policy, Prefer, Provider
from signalbox.policy.world import Balance
from signalbox.types import Candidate, Price

EVEN = Balance()
NO_PRICES: Mapping[str, Price] = {}


@dataclass(frozen=True, slots=True)
class Pool:
    """Models that may take a request. `chain` is `candidates`, then fallbacks, each model once."""

    route: str  # what the decision calls it: task, router or model
    candidates: tuple[Candidate, ...]  # ranked by `prefer`
    chain: tuple[Candidate, ...]
    prefer: Prefer
    names: frozenset[str]  # models of `candidates`
    balance: Balance  # of `prefer: balanced`


def make_pool(
    route: str,
    candidates: Iterable[Candidate],
    fallback: Iterable[Candidate] = (),
    prefer: Prefer = "manual",
    balance: Balance = EVEN,
) -> Pool:
    """Return a pool in which no model stands twice; the first mention counts."""
    first = {candidate.model: candidate for candidate in candidates}
    every = dict(first)
    for candidate in fallback:
        every.setdefault(candidate.model, candidate)
    return Pool(route, tuple(first.values()), tuple(every.values()), prefer, frozenset(first), balance)


def make_candidates(policy: Policy, prices: Mapping[str, Price] = NO_PRICES) -> dict[str, Candidate]:
    """Return the policy's models by name, with what their providers add.

    prices: by model, from the catalogue; they count where neither the policy nor a price list on the web has one.
    """
    return {
        name: _candidate(name, model, policy.providers[model.provider], prices.get(name))
        for name, model in policy.models.items()
    }


def _candidate(name: str, model: Model, provider: Provider, catalogue_price: Price | None) -> Candidate:
    endpoints = provider.endpoints if model.endpoints is None else provider.endpoints & frozenset(model.endpoints)
    price = None
    if model.price is not None:
        price = Price(model.price.input, model.price.output, model.price.cached_input)
    return Candidate(
        model=name,
        provider=model.provider,
        upstream_model=model.name or name,
        is_local=provider.is_local,
        endpoints=endpoints,
        modalities=frozenset(model.modalities),
        tools=model.tools,
        json_schema=model.json_schema,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        price=price,
        max_input_tokens=model.max_input_tokens,
        catalogue_price=catalogue_price if price is None else None,
        outputs=frozenset(model.outputs or ()),
    )


def pick(candidates: Mapping[str, Candidate], names: Iterable[str]) -> tuple[Candidate, ...]:
    """Return the candidates with these names, in the order of the names."""
    return tuple(candidates[name] for name in names)
