"""All sources of one policy, running."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import aiohttp

from signalbox.collector.sources.loop import Refresher
from signalbox.collector.sources.prices import WebPrices, web_prices
from signalbox.collector.sources.prometheus import FleetState, ModelNames, PrometheusQueryRunner, fleet_states
from signalbox.collector.sources.telling import SourceKind, Told
from signalbox.policy.schema import Policy


class Sources:
    """What the others know, for one policy. A new policy gets new ones, which find the price lists in their files.

    told: called with what came of each request. dice: numbers in [0, 1).
    """

    def __init__(
        self,
        policy: Policy,
        session: aiohttp.ClientSession,
        run_directory: Path,
        told: Told,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._lists = [WebPrices(source, session, run_directory) for source in policy.prices.sources]
        asked = policy.prometheus
        self._queries = (
            []
            if asked is None
            else [PrometheusQueryRunner(asked, query, ModelNames(policy, query), session) for query in asked.queries]
        )
        self._refreshers = [
            Refresher(
                prices.refresh,
                partial(told, SourceKind.PRICES, place),
                interval_seconds=source.interval_seconds,
                timeout_seconds=source.timeout_seconds,
                dice=dice,
            )
            for place, (source, prices) in enumerate(zip(policy.prices.sources, self._lists, strict=True))
        ]
        if asked is not None:
            self._refreshers += [
                Refresher(
                    query.refresh,
                    partial(told, SourceKind.PROMETHEUS, place),
                    interval_seconds=asked.interval_seconds,
                    timeout_seconds=asked.timeout_seconds,
                    dice=dice,
                )
                for place, query in enumerate(self._queries)
            ]

    async def run(self) -> None:
        """Ask all of them until cancelled; with none of them, just wait for that."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.Event().wait())
            for refresher in self._refreshers:
                tasks.create_task(refresher.run())

    def prices(self) -> Mapping[str, tuple[float, float, float]]:
        """Return `ModelState.price` by model, for those a list has."""
        return web_prices(self._policy, self._lists)

    def fleet(self) -> Mapping[str, FleetState]:
        """Return what Prometheus knows, by model."""
        return fleet_states(self._queries)

    def fleet_age_seconds(self) -> float:
        """Return the age of the stalest query's answer; infinite for one never answered, 0 without queries."""
        return max((query.age_seconds() for query in self._queries), default=0.0)
