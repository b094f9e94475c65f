"""What the collector has to do with others: the store, a Prometheus server, price lists on the web.

All of it happens beside the collector's own work, on tasks and on a thread; what the collector asks here it gets from
memory. A policy's new sections take effect here, and what did not change goes on as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp

from signalbox.collector.afterwards import Operation
from signalbox.collector.live.publish import Elsewhere
from signalbox.collector.live.rollout import Rollouts
from signalbox.collector.settler import Keep, Recall, Settler
from signalbox.collector.sources.fetch import open_session
from signalbox.collector.sources.prometheus import FleetState
from signalbox.collector.sources.running import Sources
from signalbox.collector.sources.telling import Told
from signalbox.decide.affinity import compile_sessions
from signalbox.policy.schema import Policy
from signalbox.policy.world import State
from signalbox.store.absent import AbsentStore
from signalbox.store.base import Store
from signalbox.store.open import open_store
from signalbox.world import CircuitState, Timing

FLEET_SAMPLES = 5.0  # what a figure of the whole fleet counts as; our own stand from three on
RECALL_SECONDS = 15.0  # a rollback that another sidecar proved holds here this much later


class Outside:
    """The store and the sources of the policy in use. Belongs to one event loop; make it there."""

    def __init__(self, run_dir: Path, told: Told) -> None:
        self._run_dir = run_dir
        self._told = told
        self._session: aiohttp.ClientSession | None = None
        self._sources: Sources | None = None
        self._asking: asyncio.Task[None] | None = None
        self._asked_of: object = None
        self._state: State | None = None
        self._settler: Settler | None = None
        self._dropped = 0  # by settlers that are gone
        self._recalled_seconds: float | None = None
        self._keeping: set[str] = set()

    def use(self, policy: Policy) -> None:
        """Take a new policy."""
        asked_of = policy.prometheus, policy.prices, policy.providers, policy.models
        if asked_of != self._asked_of:
            self._asked_of = asked_of
            self._ask(policy)
        state = policy.state if leaves_something(policy) else None
        if state != self._state:
            self._state = state
            self._replace_settler(None if state is None else Settler(self._open(state)))
        self._recalled_seconds = None  # a rollout may be new

    # ------------------------------------------------------------------ the sources

    def _ask(self, policy: Policy) -> None:
        if self._asking is not None:
            self._asking.cancel()
        self._sources, self._asking = None, None
        if policy.prometheus is None and not policy.prices.sources:
            return
        if self._session is None:
            self._session = open_session()
        self._sources = Sources(policy, self._session, self._run_dir, self._told)
        self._asking = asyncio.create_task(self._sources.run())

    def prices(self) -> Mapping[str, tuple[float, float, float]]:
        """Return what price lists on the web say: model -> USD per million tokens, input, output, cached input."""
        return {} if self._sources is None else self._sources.prices()

    def fleet(self) -> Mapping[str, FleetState]:
        """Return what Prometheus knows, by model."""
        return {} if self._sources is None else self._sources.fleet()

    def fleet_age_seconds(self) -> float:
        """Return the age of the stalest query's answer; infinite for one never answered, 0 without queries."""
        return 0.0 if self._sources is None else self._sources.fleet_age_seconds()

    # ------------------------------------------------------------------ the store

    @property
    def dropped(self) -> int:
        """Operations that the store never took."""
        return self._dropped + (0 if self._settler is None else self._settler.dropped)

    def settle(self, operations: Iterable[Operation]) -> None:
        """Tell the store what a request left behind. Never waits."""
        if self._settler is not None:
            self._settler.add(operations)

    def exchange_facts(self, rollouts: Rollouts, now_seconds: float) -> None:
        """Bring the rollouts' facts to the store and back; to be called every second or so. Never waits."""
        settler = self._settler
        if settler is None:
            return
        for answer in settler.take_answers():
            if isinstance(answer, Keep):
                self._keeping.discard(answer.name)
                rollouts.saved(answer.name, answer.value)
            else:
                rollouts.load(answer.name, answer.value)
        if self._recalled_seconds is None or now_seconds - self._recalled_seconds >= RECALL_SECONDS:
            self._recalled_seconds = now_seconds
            self._keeping.clear()  # what was dropped is tried again
            settler.add(Recall(name) for name in rollouts.facts)
        for name, value in rollouts.unsaved():
            if name not in self._keeping:
                self._keeping.add(name)
                settler.add([Keep(name, value)])

    def _open(self, state: State) -> Store:
        try:
            return open_store(state, self._run_dir)
        except Exception as problem:  # noqa: BLE001 - a policy is taken without a store rather than not at all
            return AbsentStore(str(problem))

    def _replace_settler(self, settler: Settler | None) -> None:
        if self._settler is not None:
            self._dropped += self._settler.dropped
            self._settler.close(0.0)  # its thread ends by itself, once it has told what it can
        self._settler = settler
        self._keeping.clear()
        if settler is not None:
            settler.start()

    # ------------------------------------------------------------------ the end

    async def close(self) -> None:
        """Tell the store what still waits, within two seconds, and stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking
        if self._settler is not None:
            await asyncio.to_thread(self._settler.close)
        if self._session is not None:
            await self._session.close()


def leaves_something(policy: Policy) -> bool:
    """Whether requests leave anything in the store: a session, a budget, or how far a rollout has come."""
    if policy.budget is not None or pin_seconds(policy):
        return True
    return any(router.budget is not None or router.rollout is not None for router in policy.routers.values())


def pin_seconds(policy: Policy) -> dict[str, int]:
    """Return how long a pin lives without a request, by router; those without sessions are left out."""
    sessions = {name: compile_sessions(name, router, policy) for name, router in policy.routers.items()}
    return {name: found.ttl_seconds for name, found in sessions.items() if found is not None}


def elsewhere(
    circuits: Mapping[str, tuple[CircuitState, float]],
    fleet: Mapping[str, FleetState],
    prices: Mapping[str, tuple[float, float, float]],
) -> Elsewhere:
    """Return what the snapshot says of models beside what their answers showed."""

    def readings(name: str) -> dict[str, float]:
        found = {model: getattr(state, name) for model, state in fleet.items()}
        return {model: reading.value for model, reading in found.items() if reading is not None}

    def timings(name: str) -> dict[str, Timing]:  # Prometheus gives one figure: it stands for both quantiles
        return {model: Timing(value, value, FLEET_SAMPLES) for model, value in readings(name).items()}

    return Elsewhere(
        circuits=circuits,
        queue_depth=readings("queue_depth"),
        kv_usage=readings("kv_usage"),
        fleet_ttft=timings("ttft_seconds"),
        fleet_per_token=timings("seconds_per_token"),
        prices=prices,
    )
