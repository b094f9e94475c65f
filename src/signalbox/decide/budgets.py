"""Budgets: what a request holds before it is sent, and what happens once nothing is left.

A budget is counted under a key: whose it is, its unit, its period, and the hash of a header's value where each value
has its own. The key of the next period is another key, so nothing has to be reset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, NamedTuple

from signalbox.errors import RequestError
from signalbox.policy.world import Budget
from signalbox.types import Candidate, Case, Price, Refusal
from signalbox.world import Hold

NANO_USD = 1_000_000_000
DAY_SECONDS = 86_400
EVERYBODY = "all"  # owner of the policy's own budget; a router's is `router/NAME`
NO_LIMIT = 2**62  # of a hold that only counts: the budget is spent, and the request goes on all the same

Unit = Literal["usd", "tokens"]
Period = Literal["day", "month"]
WhenSpent = Literal["cheapest", "local", "fallback", "reject"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a budget. amount: in billionths of a dollar, or tokens."""

    owner: str
    unit: Unit
    period: Period
    amount: int
    header: str | None
    when_spent: WhenSpent
    hold_seconds: int

    def key(self, headers: Mapping[str, str], periods: Mapping[Period, str]) -> str:
        """Return the key this request is counted under. periods: the day and the month it is made in."""
        key = f"{self.unit}/{periods[self.period]}/{self.owner}"
        if self.header is None:
            return key
        value = headers.get(self.header, "").encode("utf-8", "surrogatepass")
        return f"{key}/{blake2b(value, digest_size=8, person=b'budget').hexdigest()}"

    def renews(self, now: datetime) -> datetime:
        """Return when the next period begins."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.period == "day":
            return midnight + timedelta(days=1)
        return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)


class Budgets(NamedTuple):
    """The limits that apply to a request, and what an unknown price counts as."""

    limits: tuple[Limit, ...]
    dearest: Price | None

    def keys(self, case: Case) -> tuple[tuple[Limit, str], ...]:
        """Return each limit with the key this request is counted under."""
        if not self.limits:
            return ()
        periods = _periods(int(case.signals.now_seconds // DAY_SECONDS))
        return tuple([(limit, limit.key(case.request.headers, periods)) for limit in self.limits])

    def holds(
        self, keys: Iterable[tuple[Limit, str]], case: Case, expected_usd: float | None, tokens: int
    ) -> tuple[Hold, ...]:
        """Return the claims of a request. tokens: of its prompt and the expected answer."""
        spent, now_seconds = case.signals.spent, case.signals.now_seconds
        made = []
        for limit, key in keys:
            amount = tokens if limit.unit == "tokens" else round((expected_usd or 0.0) * NANO_USD)
            most = NO_LIMIT if key in spent else limit.amount
            made.append(Hold(key, max(1, amount), most, now_seconds + limit.hold_seconds))
        return tuple(made)


def ruling(keys: Iterable[tuple[Limit, str]], case: Case) -> tuple[WhenSpent, str] | None:
    """Return what follows from budgets that are spent, and the key of the first; None when there is something left.

    Raises RequestError 429 `budget_spent`, with the seconds until it renews, when the policy says so.
    """
    spent = case.signals.spent
    if not spent:
        return None
    found: tuple[WhenSpent, str] | None = None
    for limit, key in keys:
        if key not in spent:
            continue
        if limit.when_spent == "reject":
            now = _date(case.signals.now_seconds)
            wait = max(1, round((limit.renews(now) - now).total_seconds()))
            unit = "dollars" if limit.unit == "usd" else "tokens"
            raise RequestError(
                f"the budget of this {limit.period}, in {unit}, is spent; it renews in {wait} seconds",
                status=429,
                code=Refusal.BUDGET_SPENT,
                retry_after_seconds=wait,
            )
        found = found or (limit.when_spent, key)
    return found


def compile_limits(owner: str, budget: Budget | None) -> tuple[Limit, ...]:
    """Return the limits of one `budget` section."""
    if budget is None:
        return ()
    wanted: tuple[tuple[Unit, Period, float | None], ...] = (
        ("usd", "day", budget.usd_per_day),
        ("usd", "month", budget.usd_per_month),
        ("tokens", "day", budget.tokens_per_day),
        ("tokens", "month", budget.tokens_per_month),
    )
    return tuple(
        Limit(
            owner,
            unit,
            period,
            round(amount * NANO_USD) if unit == "usd" else int(amount),
            budget.header,
            budget.when_spent,
            budget.hold_seconds,
        )
        for unit, period, amount in wanted
        if amount is not None
    )


def dearest(candidates: Iterable[Candidate]) -> Price | None:
    """Return the dearest price known of any candidate without asking anybody."""
    return dearest_price(price for c in candidates if (price := c.price or c.catalogue_price) is not None)


def dearest_price(prices: Iterable[Price]) -> Price | None:
    """Return the dearest price, which an unknown one is counted as: a budget must not leak through a gap."""
    return max(prices, key=lambda price: price.input_usd_per_mtok + price.output_usd_per_mtok, default=None)


@lru_cache(maxsize=8)
def _periods(day: int) -> Mapping[Period, str]:
    """Return what a day and its month are called. day: since the epoch."""
    date = _date(day * DAY_SECONDS)
    return {"day": date.strftime("%Y-%m-%d"), "month": date.strftime("%Y-%m")}


def _date(now_seconds: float) -> datetime:
    return datetime.fromtimestamp(now_seconds, UTC)
