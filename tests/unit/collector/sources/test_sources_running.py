"""All sources of a policy together, and what is told about them."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import generate_latest

from signalbox.collector.metrics import Metrics
from signalbox.collector.sources.running import Sources
from signalbox.collector.sources.telling import SourceKind, Teller
from signalbox.telemetry import SourceOutcome

from .servers import Told, policy, with_server

LIST = json.dumps({"acme": {"models": {"acme/large-1": {"cost": {"input": 3, "output": 15}}}}}).encode()
Event = tuple[SourceKind, int, SourceOutcome]


async def run_until(sources: Sources, events: list[Event], count: int) -> None:
    """Let the sources run until this many requests have ended."""
    task = asyncio.create_task(sources.run())
    async with asyncio.timeout(10):
        while len(events) < count:
            assert not task.done()
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def test_every_source_of_a_policy_is_asked_and_none_waits_for_another(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        told.body = LIST  # no answer to a query, but a price list
        both = policy(
            prices={"sources": [{"url": each, "format": "models_dev"} for each in ("http://127.0.0.1:1/", url)]},
            prometheus={"endpoint": url, "queries": [{"measure": "queue_depth", "query": "up"}]},
        )
        events: list[Event] = []
        sources = Sources(both, session, tmp_path, lambda *event: events.append(event), dice=lambda: 0.5)
        assert sources.prices() == {}
        assert math.isinf(sources.fleet_age_seconds())
        await run_until(sources, events, 3)
        assert set(events) == {
            (SourceKind.PRICES, 0, SourceOutcome.UNREACHABLE),
            (SourceKind.PRICES, 1, SourceOutcome.UPDATED),
            (SourceKind.PROMETHEUS, 0, SourceOutcome.UNREADABLE),
        }
        assert sources.prices() == {"large": (3, 15, 3)}
        assert sources.fleet() == {}

        after_a_reload = Sources(both, session, tmp_path, lambda *event: None)
        assert after_a_reload.prices() == {"large": (3, 15, 3)}

    with_server(test)


def test_a_policy_without_sources_asks_nobody(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        sources = Sources(policy(), session, tmp_path, lambda *event: None)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sources.run(), 0.05)
        assert (sources.prices(), sources.fleet(), sources.fleet_age_seconds()) == ({}, {}, 0)
        assert told.asked == []

    with_server(test)


def test_outcomes_are_counted_and_the_log_speaks_only_of_changes() -> None:
    metrics, lines = Metrics(), list[bytes]()
    tell = Teller(metrics, lines.append)
    outcomes = [SourceOutcome.UPDATED, SourceOutcome.EMPTY, SourceOutcome.TIMEOUT, SourceOutcome.TIMEOUT]
    for outcome in (*outcomes, SourceOutcome.UPDATED):
        tell(SourceKind.PROMETHEUS, 1, outcome)
    tell(SourceKind.PRICES, 0, SourceOutcome.UPDATED)

    assert [json.loads(line)["outcome"] for line in lines] == ["timeout", "updated"]
    assert json.loads(lines[0]).items() >= {"event": "source_changed", "kind": "prometheus", "place": 1}.items()
    text = generate_latest(metrics.registry).decode()
    assert 'signalbox_prometheus_queries_total{outcome="timeout"} 2.0' in text
    assert 'signalbox_price_source_updates_total{outcome="updated",source="0"} 1.0' in text
