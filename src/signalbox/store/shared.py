"""Pins, budgets and facts in a Redis or Valkey server: many pods, one answer.

Every operation is one command or one script, so one round trip, within the time budget. Redis 6.2 or newer, or Valkey.
docs/state.md names the keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from signalbox.policy.world import Redis
from signalbox.store.base import StoreError
from signalbox.store.lifetimes import FACT_SECONDS, SETTLED_SECONDS, budget_seconds, one_each, whole
from signalbox.store.link import Link, Refusal
from signalbox.store.scripts import CLAIM, HOLD, OBSERVE, SETTLE, SPENT, Script
from signalbox.world import Hold, Pin

_PIN = re.compile(rb"(\d{1,18}) (\d{1,18}) (\d{1,18}) (.+)", re.DOTALL)


class RedisStore:
    """A store that several sidecars share; see `base.Store`.

    redis: where it is, and how long an operation may take. Never raises because the server is down: the operations
    raise StoreError then, at once, and a thread connects again.
    """

    def __init__(self, redis: Redis) -> None:
        self._link = Link(redis)
        self._pins = f"{redis.prefix}pin:"
        self._facts = f"{redis.prefix}fact:"
        # One hash tag for all budgets: a request holds several of them in one step, or none.
        self._budgets = f"{redis.prefix}{{budgets}}:"

    def pin(self, session: str, ttl_seconds: int) -> Pin | None:
        """Return a session's pin and let it live for `ttl_seconds` more."""
        reply = self._ask("GETEX", self._pins + session, "EX", ttl_seconds)
        return None if reply is None else _pin(reply)

    def claim(self, session: str, model: str, ttl_seconds: int, *, instead_of: str | None = None) -> Pin:
        """Pin a session that has no pin, or still has `instead_of`; return the pin that holds afterwards."""
        return _pin(self._run(CLAIM, (self._pins + session,), (model, instead_of or "", ttl_seconds)))

    def observe(self, session: str, model: str, input_tokens: int, cached_tokens: int, turns: int = 0) -> None:
        """Note what an answer showed of the cache, and count turns, unless the session has another model, or no pin."""
        self._run(OBSERVE, (self._pins + session,), (model, whole(input_tokens), whole(cached_tokens), turns))

    def hold(self, request: str, holds: Sequence[Hold], now_seconds: float) -> str | None:
        """Claim all holds for a request, or none. Returns the first budget whose limit is reached, None if held."""
        if not holds:
            return None
        holds = one_each(holds)
        values: list[str | int] = []
        for hold in holds:
            values += [hold.budget, whole(hold.amount), hold.limit, repr(float(hold.expires_seconds))]
            values.append(budget_seconds(hold.budget))
        try:
            longest = max(0, math.ceil(max(hold.expires_seconds for hold in holds) - now_seconds))
        except (ValueError, OverflowError) as error:  # NaN, infinite
            raise StoreError("broken", f"a hold that ends at no time: {error}") from error
        first = (request, repr(float(now_seconds)), longest + SETTLED_SECONDS)
        reply = self._run(HOLD, self._keys(request, [hold.budget for hold in holds]), (*first, *values))
        if reply is None:
            return None
        return _text(reply)

    def settle(self, request: str, amounts: Sequence[tuple[str, int]]) -> None:
        """End a request's holds: (budget, spent amount) for each; 0 releases. Doing it twice counts once."""
        if not amounts:
            return
        values: list[str | int] = []
        for budget, amount in amounts:
            values += [budget, whole(amount), budget_seconds(budget)]
        keys = self._keys(request, [budget for budget, _ in amounts])
        self._run(SETTLE, keys, (request, SETTLED_SECONDS, *values))

    def spent(self, budget: str, now_seconds: float) -> tuple[int, int]:
        """Return what was spent of a budget, and what is held."""
        reply = self._run(SPENT, self._keys("", [budget])[1:], (repr(float(now_seconds)),))
        if not (isinstance(reply, list) and len(reply) == 2 and all(isinstance(sum_, int) for sum_ in reply)):
            raise _unreadable()
        return reply[0], max(0, reply[1])

    def get(self, name: str) -> bytes | None:
        """Return a fact."""
        reply = self._ask("GETEX", self._facts + name, "EX", FACT_SECONDS)
        if reply is not None and not isinstance(reply, bytes):
            raise _unreadable()
        return reply

    def put(self, name: str, value: bytes) -> None:
        """Keep a fact until it is replaced, or nobody has asked for it for a year."""
        self._ask("SET", self._facts + name, value, "EX", FACT_SECONDS)

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()

    def _keys(self, request: str, budgets: list[str]) -> tuple[str, ...]:
        keys = [f"{self._budgets}request:{request}"]
        for budget in budgets:
            keys += [f"{self._budgets}total:{budget}", f"{self._budgets}held:{budget}"]
        return tuple(keys)

    def _ask(self, *words: str | bytes | int) -> Any:
        try:
            return self._link.ask(words, self._link.deadline())
        except Refusal as error:
            raise StoreError("broken", f"redis: {error}") from error

    def _run(self, script: Script, keys: tuple[str, ...], values: tuple[str | int, ...]) -> Any:
        deadline = self._link.deadline()
        words = (len(keys), *keys, *values)
        try:
            try:
                return self._link.ask(("EVALSHA", script.sha1, *words), deadline)
            except Refusal as error:
                if error.code != "NOSCRIPT":
                    raise
            return self._link.ask(("EVAL", script.source, *words), deadline)
        except Refusal as error:
            raise StoreError("broken", f"redis: {error}") from error


def _pin(reply: object) -> Pin:
    match = _PIN.fullmatch(reply) if isinstance(reply, bytes) else None
    if match is None:
        raise _unreadable()
    turns, input_tokens, cached_tokens, model = match.groups()
    return Pin(_text(model), int(turns), int(input_tokens), int(cached_tokens))


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        raise _unreadable()
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _unreadable() from error


def _unreadable() -> StoreError:
    return StoreError("broken", "redis: a value of ours has a shape that is not ours")
