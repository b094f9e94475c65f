"""Requests of a rollout's two sides, one of them worse if that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from signalbox.collector.live.rollout import RolledBack, Rollout, Seen
from signalbox.policy import world as settings

LIMITS = {"error_rate": 0.05, "ttft_ratio": 1.5, "cost_ratio": 1.5}


def requests(
    seed: int, share: float, errors: float = 0.05, slower: float = 1.0, dearer: float = 1.0, spread: float = 0.8
) -> Iterator[Seen]:
    """Requests of both sides; the new one differs by what is given. Times and costs are lognormal."""
    dice = Random(seed)
    while True:
        is_new = dice.random() < share
        failed = dice.random() < (errors if is_new else 0.05)
        ttft = None if failed else (slower if is_new else 1.0) * dice.lognormvariate(-1, spread)
        yield Seen(is_new, failed, ttft, (dearer if is_new else 1.0) * dice.lognormvariate(-6, spread))


def run(seen: Iterator[Seen], length: int, **limits: float) -> RolledBack | None:
    """The rollback, if there is one among the first `length` requests."""
    section = settings.Rollout.model_validate({"percent": 10, "otherwise": "a", "rollback": LIMITS | limits})
    rollout = Rollout("r", section)
    rolled_back = (rollout.observe(next(seen)) for _ in range(length))
    return next((each for each in rolled_back if each is not None), None)
