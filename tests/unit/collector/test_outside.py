"""The store and the sources of the policy in use: begun, kept, replaced and ended with it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from collector_bench import POLICY

from signalbox.collector.afterwards import Settle
from signalbox.collector.live.rollout import Rollouts
from signalbox.collector.outside import FLEET_SAMPLES, RECALL_SECONDS, Outside, elsewhere, leaves_something, pin_seconds
from signalbox.collector.sources.prometheus import FleetState, Reading
from signalbox.collector.sources.telling import SourceKind
from signalbox.policy.schema import Policy
from signalbox.policy.world import State
from signalbox.store.base import Store
from signalbox.store.open import open_store
from signalbox.telemetry import SourceOutcome
from signalbox.world import CircuitState, RolloutState, Timing
from tests.unit.collector.sources.servers import fake_server

BUDGET = {"budget": {"usd_per_day": 1}}
ROLLOUT = {"percent": 10, "otherwise": "qwen"}
KEY = "usd/2026-11-21/policy"


def policy(router: dict[str, Any] | None = None, **changes: Any) -> Policy:
    routers = {"coding": {"models": ["gpt-large", "qwen"]} | (router or {})}
    return Policy.model_validate(POLICY | {"routers": routers} | changes)


def queue(model: str, depth: int) -> bytes:
    """What Prometheus answers."""
    result = [{"metric": {"model_name": model}, "value": [time.time(), str(depth)]}]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def nobody(_kind: SourceKind, _place: int, _outcome: SourceOutcome) -> None:
    pass


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))  # type: ignore[arg-type]


async def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < limit
        await asyncio.sleep(0.005)


def spent(run_dir: Path) -> int:
    store = open_store(State(), run_dir)
    try:
        return store.spent(KEY, time.time())[0]
    finally:
        store.close()


# ---------------------------------------------------------------- the store


def test_what_a_request_spent_is_in_the_store_that_workers_ask(tmp_path: Path) -> None:
    async def test() -> None:
        outside = Outside(tmp_path, nobody)
        outside.use(policy(**BUDGET))
        outside.settle([Settle("sb-1", ((KEY, 42),))])
        await outside.close()

    run(test)
    assert spent(tmp_path) == 42


def test_a_policy_that_leaves_nothing_needs_no_store(tmp_path: Path) -> None:
    async def test() -> None:
        outside = Outside(tmp_path, nobody)
        outside.use(policy())
        outside.settle([Settle("sb-1", ((KEY, 42),))])
        await outside.close()

    run(test)
    assert list(tmp_path.iterdir()) == []


def test_a_reload_that_leaves_the_state_alone_loses_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        outside = Outside(tmp_path, nobody)
        for number in range(20):
            outside.use(policy(**BUDGET, aliases={f"alias-{number}": "qwen"}))
            outside.settle([Settle(f"sb-{number}", ((KEY, 1),))])
        await outside.close()

    run(test)
    assert spent(tmp_path) == 20


def test_a_policy_without_budgets_lets_the_old_store_finish(tmp_path: Path) -> None:
    async def test() -> None:
        outside = Outside(tmp_path, nobody)
        outside.use(policy(**BUDGET))
        outside.settle(Settle(f"sb-{number}", ((KEY, 1),)) for number in range(50))
        outside.use(policy())
        await until(lambda: spent(tmp_path) == 50)
        await outside.close()

    run(test)


def test_a_store_that_cannot_be_opened_costs_what_it_would_keep_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(state: State, run_dir: Path) -> Store:
        raise ImportError("no module named redis")

    async def test() -> None:
        outside = Outside(tmp_path, nobody)
        outside.use(policy(**BUDGET))
        outside.settle([Settle("sb-1", ((KEY, 42),))])
        await outside.close()
        assert outside.dropped == 1

    monkeypatch.setattr("signalbox.collector.outside.open_store", broken)
    run(test)


def test_sessions_budgets_and_rollouts_leave_something() -> None:
    assert not leaves_something(policy())
    assert not leaves_something(policy(affinity={"mode": "off"}))
    for left in ({"affinity": {}}, BUDGET):
        assert leaves_something(policy(**left))
        assert leaves_something(policy(left))
    assert leaves_something(policy({"rollout": ROLLOUT}))


def test_a_pin_lives_as_long_as_its_router_says_else_as_the_policy_says() -> None:
    assert pin_seconds(policy(affinity={"ttl_seconds": 60})) == {"coding": 60}
    assert pin_seconds(policy({"affinity": {"ttl_seconds": 5}}, affinity={"ttl_seconds": 60})) == {"coding": 5}
    assert pin_seconds(policy({"affinity": {"mode": "off"}}, affinity={"ttl_seconds": 60})) == {}


# ---------------------------------------------------------------- facts of rollouts


def test_how_far_a_rollout_has_come_outlives_the_collector(tmp_path: Path) -> None:
    stepped = policy({"rollout": {"steps": [10, 50], "step_minutes": 1, "otherwise": "qwen"}})

    async def first() -> None:
        outside, rollouts = Outside(tmp_path, nobody), Rollouts(stepped)
        outside.use(stepped)
        outside.exchange_facts(rollouts, 0.0)
        await until(lambda: outside.exchange_facts(rollouts, 0.0) or rollouts.states())
        rollouts.tick(0.0)
        rollouts.tick(60.0)
        await until(lambda: outside.exchange_facts(rollouts, 1.0) or not rollouts.unsaved())
        await outside.close()

    async def second() -> None:
        outside, rollouts = Outside(tmp_path, nobody), Rollouts(stepped)
        outside.use(stepped)
        await until(lambda: outside.exchange_facts(rollouts, 0.0) or rollouts.states())
        assert rollouts.states() == {"coding": RolloutState(0.5)}
        await outside.close()

    run(first)
    run(second)


def test_a_rollback_of_another_sidecar_is_heard_of(tmp_path: Path) -> None:
    tried = policy({"rollout": ROLLOUT})

    async def test() -> None:
        outside, rollouts = Outside(tmp_path, nobody), Rollouts(tried)
        outside.use(tried)
        await until(lambda: outside.exchange_facts(rollouts, 0.0) or (rollouts.states() and not rollouts.unsaved()))
        (name,) = rollouts.facts
        other = open_store(State(), tmp_path)
        kept = msgspec.json.decode(other.get(name) or b"")
        other.put(name, msgspec.json.encode(kept | {"rolled_back": "errors"}))
        other.close()
        outside.exchange_facts(rollouts, RECALL_SECONDS - 0.1)
        assert rollouts.states()["coding"].rolled_back == ""
        await until(lambda: outside.exchange_facts(rollouts, RECALL_SECONDS) or rollouts.states()["coding"].rolled_back)
        await outside.close()

    run(test)


# ---------------------------------------------------------------- the sources


def asking(url: str, query: str = "queue") -> dict[str, Any]:
    return {
        "prometheus": {"endpoint": url, "interval_seconds": 1, "queries": [{"measure": "queue_depth", "query": query}]}
    }


def test_prometheus_is_asked_for_the_policy_in_use_and_for_no_other(tmp_path: Path) -> None:
    async def test() -> None:
        async with fake_server() as (server, url, _):
            server.body = queue("qwen", 3)
            outside = Outside(tmp_path, nobody)
            outside.use(policy(**asking(url)))
            await until(outside.fleet)
            assert outside.fleet()["qwen"].queue_depth is not None
            assert outside.fleet_age_seconds() < 5
            outside.use(policy())
            assert (outside.fleet(), outside.fleet_age_seconds()) == ({}, 0.0)
            asked = len(server.asked)
            await asyncio.sleep(1.3)
            assert len(server.asked) == asked
            await outside.close()

    run(test)


def test_a_reload_that_leaves_the_sources_alone_forgets_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with fake_server() as (server, url, _):
            server.body = queue("qwen", 3)
            outside = Outside(tmp_path, nobody)
            outside.use(policy(**asking(url)))
            await until(outside.fleet)
            outside.use(policy(**asking(url), aliases={"house": "qwen"}))
            assert outside.fleet()["qwen"].queue_depth is not None
            await outside.close()

    run(test)


def test_what_others_measured_stands_beside_what_we_did() -> None:
    fleet = {"qwen": FleetState(Reading(0.8, 1), Reading(0.02, 1), Reading(4, 1), Reading(0.5, 1)), "far": FleetState()}
    circuits = {"far": (CircuitState.OPEN, 0.0)}
    around = elsewhere(circuits, fleet, {"far": (1.0, 2.0, 0.1)})
    assert around.fleet_ttft == {"qwen": Timing(0.8, 0.8, FLEET_SAMPLES)}
    assert around.fleet_per_token == {"qwen": Timing(0.02, 0.02, FLEET_SAMPLES)}
    assert (around.queue_depth, around.kv_usage) == ({"qwen": 4}, {"qwen": 0.5})
    assert (around.circuits, around.prices) == (circuits, {"far": (1.0, 2.0, 0.1)})
