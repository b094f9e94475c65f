"""What a request's end means for its budgets and its session: operations for the store.

A plain function of the exchange. What the provider reported is settled at the price of the model that answered; where
nothing was reported, what happened decides whether the hold stands or is released.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signalbox.collector.join import Exchange
from signalbox.collector.records import RequestRecord
from signalbox.decide.budgets import EVERYBODY, NANO_USD
from signalbox.decide.worth import usd
from signalbox.record import Record
from signalbox.telemetry import AttemptOutcome
from signalbox.types import PinOutcome, Price

ANSWERED = (AttemptOutcome.OK, AttemptOutcome.CUT, AttemptOutcome.TIMEOUT)
"""Outcomes after which a provider may have done, and charged for, its work."""


@dataclass(frozen=True, slots=True)
class Settle:
    """End a request's holds: (budget, spent amount) for each."""

    request: str
    amounts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Repin:
    """Pin a session to the model that answered, if it still has the one that did not."""

    session: str
    model: str
    instead_of: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Observe:
    """Note what an answer showed of the provider's cache. turns: to count; a request that claimed counted its own."""

    session: str
    model: str
    input_tokens: int
    cached_tokens: int
    turns: int


Operation = Settle | Repin | Observe


@dataclass(frozen=True, slots=True)
class Terms:
    """What has to be known of the policy. ttls: router -> life of a pin. dearest: what an unknown price counts as."""

    ttls: Mapping[str, int]
    dearest: Price | None


def spent_usd(request: RequestRecord, price: Price | None) -> float | None:
    """Return what an answer cost by the usage reported; None when usage or price is unknown."""
    usage = request.usage
    if price is None or usage.input_tokens is None:
        return None
    return usd(price, usage.input_tokens, usage.output_tokens or 0, usage.cached_tokens or 0)


def answer_usd(record: Record, prices: Mapping[str, Price | None], terms: Terms, *, counted: bool = True) -> float:
    """Return what an engine's own answer cost, in USD.

    Models that nobody prices count as the dearest one, as in budgets; a model that is none of the policy's, as the
    engine's own may be, costs nothing here. counted: with what requests to this gateway cost, which have been settled.
    """
    total = 0.0
    for each in record.spent_on_answer:
        if each.model in prices and (counted or not each.counted):
            price = prices[each.model] or terms.dearest
            total += 0.0 if price is None else usd(price, each.input_tokens, each.output_tokens)
    return total


def afterwards(exchange: Exchange, prices: Mapping[str, Price | None], terms: Terms) -> list[Operation]:
    """Return what the store has to be told about an exchange that has ended. prices: by model."""
    request = exchange.request
    if request is None or request.verdict is None:
        return []
    record = request.verdict
    operations: list[Operation] = []
    if record.holds:
        operations.append(Settle(record.id, _amounts(record, exchange, request, prices, terms)))
    if record.session and record.pin and request.status is not None and request.status < 400:
        operations += _session(record, request, terms)
    return operations


def _amounts(
    record: Record, exchange: Exchange, request: RequestRecord, prices: Mapping[str, Price | None], terms: Terms
) -> tuple[tuple[str, int], ...]:
    if record.spent_on_answer:
        return tuple([(budget, _of_answer(budget, record, prices, terms)) for budget, _ in record.holds])
    model = request.served.model if request.served is not None else None
    price = (prices.get(model) if model is not None else None) or terms.dearest
    cost, usage = spent_usd(request, price), request.usage
    tokens = None if usage.input_tokens is None else usage.input_tokens + (usage.output_tokens or 0)
    stands = _may_have_cost(exchange, request)
    amounts = []
    for budget, held in record.holds:
        known = tokens if budget.startswith("tokens/") else None if cost is None else round(cost * NANO_USD)
        amounts.append((budget, known if known is not None else held if stands else 0))
    return tuple(amounts)


def _of_answer(budget: str, record: Record, prices: Mapping[str, Price | None], terms: Terms) -> int:
    """What an engine's own answer takes from a budget.

    The models it consulted were requests to this gateway by their names: the policy's budget has them already, the
    router's does not.
    """
    counted = f"{budget}/".split("/", 2)[-1].partition("/")[0] != EVERYBODY
    if budget.startswith("tokens/"):
        return sum(
            each.input_tokens + each.output_tokens for each in record.spent_on_answer if counted or not each.counted
        )
    return round(answer_usd(record, prices, terms, counted=counted) * NANO_USD)


def _may_have_cost(exchange: Exchange, request: RequestRecord) -> bool:
    """Whether a provider worked on a request that reported no usage: it began to answer with a success."""
    if request.status is None or request.status >= 400 or request.ttft_us is None:
        return False
    return not exchange.attempts or exchange.attempts[-1].outcome in (*ANSWERED, AttemptOutcome.ABANDONED)


def _session(record: Record, request: RequestRecord, terms: Terms) -> list[Operation]:
    served = request.served
    if served is None or served.model is None or not record.chain:
        return []
    first = record.chain[0].model
    if first is not None and served.model != first:
        ttl_seconds = terms.ttls.get(record.router)
        if ttl_seconds is None or record.pin not in list(PinOutcome):
            return []
        return [Repin(record.session, served.model, first, ttl_seconds)]
    usage = request.usage
    turns = int(record.pin == PinOutcome.KEPT)
    if not usage.input_tokens and not turns:
        return []
    return [Observe(record.session, served.model, usage.input_tokens or 0, usage.cached_tokens or 0, turns)]
