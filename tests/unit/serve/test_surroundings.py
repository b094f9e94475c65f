"""What a worker's decisions have around them: kept while it stays the same, let go of when nobody decides with it."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.extproc.edge import Edge
from signalbox.extproc.exchange import Exchange
from signalbox.policy.world import Redis, State
from signalbox.record import decode
from signalbox.serve.surroundings import Surroundings
from signalbox.store.base import Store
from signalbox.store.embedded import EmbeddedStore
from signalbox.types import Signals
from signalbox.world import NOTHING_KNOWN, Snapshot
from signalbox.world_file import WORLD_FILE
from tests.unit.decide.cases import make_case, make_policy
from tests.unit.extproc.envoy_messages import body_message, chat, headers_message, metadata

EMBEDDED = State()
SHARED = State(redis=Redis(url="redis://127.0.0.1:1"))
STICKY = make_policy(routers={"main": {"models": ["acme-large", "acme-mini"], "affinity": {}}}, default_router="main")


class Opener:
    """Opens embedded stores, and remembers which it has opened and which were closed."""

    def __init__(self) -> None:
        self.opened: list[State] = []
        self.closed: list[State] = []

    def __call__(self, state: State, run_dir: Path) -> Store:
        self.opened.append(state)
        store = EmbeddedStore(run_dir / f"{len(self.opened)}.sqlite", tidy=False)
        close = store.close

        def closing() -> None:
            close()
            self.closed.append(state)

        store.close = closing  # type: ignore[method-assign]
        return store


@pytest.fixture
def opener() -> Opener:
    return Opener()


@pytest.fixture
def surroundings(tmp_path: Path, opener: Opener) -> Iterator[Surroundings]:
    made = Surroundings(tmp_path, failed=pytest.fail, opener=opener)
    yield made
    made.close()


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def seen(edge: Edge) -> Snapshot:
    """The snapshot a decision is made with."""
    case = make_case()
    signals = Signals("sb-1", 0.0, "session-1")
    return edge.decide(Pipeline.compile(STICKY), case.request, case.features, signals)[1].signals.world


def test_policies_with_the_same_state_share_a_store(surroundings: Surroundings, opener: Opener) -> None:
    first = surroundings.edge(EMBEDDED)
    assert surroundings.edge(State()) is first
    assert opener.opened == [EMBEDDED]


def test_no_store_is_opened_for_a_policy_that_needs_none(surroundings: Surroundings, opener: Opener) -> None:
    surroundings.edge(None)
    assert opener.opened == []


def test_a_former_store_is_closed_once_the_last_rpc_that_uses_it_is_over(
    surroundings: Surroundings, opener: Opener
) -> None:
    exchange = Exchange()
    pipeline = Pipeline.compile(STICKY)
    exchange.use(pipeline, "a" * 64, edge=surroundings.edge(EMBEDDED))
    headers = headers_message(headers={"x-model-affinity": "s-1"})
    under_way = exchange.answer(headers).conversation
    assert under_way is not None
    exchange.use(pipeline, "b" * 64, edge=surroundings.edge(SHARED))
    gc.collect()
    time.sleep(0.05)
    assert (opener.opened, opener.closed) == ([EMBEDDED, SHARED], [])
    answer = exchange.answer(body_message(chat(), attributes=False), under_way)
    assert decode(metadata(answer.message)["record"]).store == ""
    del under_way
    until(lambda: opener.closed == [EMBEDDED])


def test_the_store_in_use_is_closed_at_the_end_by_the_caller(tmp_path: Path, opener: Opener) -> None:
    surroundings = Surroundings(tmp_path, failed=pytest.fail, opener=opener)
    edge = surroundings.edge(EMBEDDED)
    surroundings.close()
    assert opener.closed == [EMBEDDED]
    del edge, surroundings
    gc.collect()
    assert opener.closed == [EMBEDDED]


def test_a_store_that_cannot_be_opened_is_told_and_decisions_go_on(tmp_path: Path) -> None:
    def refuse(state: State, run_dir: Path) -> Store:
        raise RuntimeError("no such library")

    told: list[str] = []
    surroundings = Surroundings(tmp_path, failed=told.append, opener=refuse)
    exchange = Exchange()
    exchange.use(Pipeline.compile(STICKY), "a" * 64, edge=surroundings.edge(EMBEDDED))
    record = decode(
        metadata(exchange.answer(body_message(chat(), headers={"x-model-affinity": "s-1"})).message)["record"]
    )
    assert (record.router, record.store) == ("main", "down")
    assert told == ["RuntimeError: no such library"]
    surroundings.close()


def test_every_edge_sees_the_newest_snapshot(surroundings: Surroundings, tmp_path: Path) -> None:
    before = surroundings.edge(EMBEDDED)
    assert seen(before) is NOTHING_KNOWN
    draft = tmp_path / "draft"
    draft.write_bytes(msgspec.json.encode(Snapshot(7, time.time())))
    os.replace(draft, tmp_path / WORLD_FILE)
    surroundings.start()
    assert seen(before).generation == 7
    assert seen(surroundings.edge(None)).generation == 7


def test_nothing_runs_on_when_it_is_closed(tmp_path: Path, opener: Opener) -> None:
    surroundings = Surroundings(tmp_path, failed=pytest.fail, opener=opener)
    surroundings.start()
    assert any(thread.name == "world" for thread in threading.enumerate())
    surroundings.close()
    assert not any(thread.name == "world" for thread in threading.enumerate())
