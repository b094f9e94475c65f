"""The store is told on a thread of its own, however it behaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from signalbox.collector import settler as settler_module
from signalbox.collector.afterwards import Observe, Repin, Settle
from signalbox.collector.settler import MAX_AGE_SECONDS, MAX_WAITING, Keep, Recall, Recalled, Settler
from signalbox.store.base import StoreError
from signalbox.store.lifetimes import SETTLED_SECONDS
from signalbox.world import Hold, Pin


class FakeStore:
    """Notes what it is told; `fails` says how often it is away first."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.facts: dict[str, bytes] = {}
        self.fails = 0
        self.asked = 0
        self.closed = threading.Event()
        self.may_go = threading.Event()
        self.may_go.set()

    def _tell(self, *what: object) -> None:
        self.may_go.wait(10)
        self.asked += 1
        if self.fails > 0:
            self.fails -= 1
            raise StoreError("down", "away")
        self.told.append(what)

    def pin(self, session: str, ttl_seconds: int) -> Pin | None:
        raise NotImplementedError

    def hold(self, request: str, holds: Sequence[Hold], now_seconds: float) -> str | None:
        raise NotImplementedError

    def spent(self, budget: str, now_seconds: float) -> tuple[int, int]:
        raise NotImplementedError

    def claim(self, session: str, model: str, ttl_seconds: int, *, instead_of: str | None = None) -> Pin:
        self._tell("claim", session, model, ttl_seconds, instead_of)
        return Pin(model, 1, 0, 0)

    def observe(self, session: str, model: str, input_tokens: int, cached_tokens: int, turns: int = 0) -> None:
        self._tell("observe", session, model, input_tokens, cached_tokens, turns)

    def settle(self, request: str, amounts: Sequence[tuple[str, int]]) -> None:
        self._tell("settle", request, tuple(amounts))

    def get(self, name: str) -> bytes | None:
        self._tell("get", name)
        return self.facts.get(name)

    def put(self, name: str, value: bytes) -> None:
        self._tell("put", name, value)
        self.facts[name] = value

    def close(self) -> None:
        self.closed.set()


def wait_until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.002)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def settler(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settler]:
    monkeypatch.setattr(settler_module, "PAUSE_SECONDS", 0.005)
    made = Settler(store)
    made.start()
    yield made
    store.may_go.set()
    made.close()


SETTLE = Settle("sb-1", (("usd/d/x", 7),))


def test_operations_reach_the_store_in_order(settler: Settler, store: FakeStore) -> None:
    settler.add([SETTLE, Repin("s", "small", "large", 60)])
    settler.add([Observe("s", "small", 10, 5, 1)])
    wait_until(lambda: len(store.told) == 3)
    assert store.told == [
        ("settle", "sb-1", (("usd/d/x", 7),)),
        ("claim", "s", "small", 60, "large"),
        ("observe", "s", "small", 10, 5, 1),
    ]


def test_nobody_waits_for_a_store_that_hangs(settler: Settler, store: FakeStore) -> None:
    store.may_go.clear()
    settler.add([SETTLE] * 100)
    assert store.told == []
    store.may_go.set()
    wait_until(lambda: len(store.told) == 100)


def test_a_store_that_is_away_is_told_when_it_is_back(settler: Settler, store: FakeStore) -> None:
    store.fails = 5
    settler.add([SETTLE])
    wait_until(lambda: store.told)
    assert (store.asked, len(store.told), settler.dropped) == (6, 1, 0)


def test_what_is_too_old_is_dropped_and_counted(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settler_module, "PAUSE_SECONDS", 0.005)
    now = [0.0]
    settler = Settler(store, clock=lambda: now[0])
    store.fails = 10**9
    settler.start()
    settler.add([SETTLE])
    wait_until(lambda: store.asked > 2)
    now[0] = MAX_AGE_SECONDS
    wait_until(lambda: settler.dropped == 1)
    store.fails = 0
    settler.close()
    assert store.told == []


def test_an_operation_is_given_up_before_doing_it_twice_would_count_twice() -> None:
    assert MAX_AGE_SECONDS < SETTLED_SECONDS / 2


def test_what_waits_is_bounded_and_the_oldest_goes_first(store: FakeStore) -> None:
    settler = Settler(store)  # not started
    settler.add(Settle(str(number), ()) for number in range(MAX_WAITING + 3))
    assert settler.dropped == 3
    settler.start()
    settler.close(10.0)
    assert store.told[0] == ("settle", "3", ())


def test_at_the_end_what_waits_is_told_and_the_store_let_go(settler: Settler, store: FakeStore) -> None:
    settler.add([SETTLE] * 50)
    settler.close()
    assert len(store.told) == 50
    assert store.closed.is_set()


def test_at_the_end_a_store_that_is_away_is_waited_for_no_longer(settler: Settler, store: FakeStore) -> None:
    store.fails = 10**9
    settler.add([SETTLE] * 3)
    settler.close()
    assert settler.dropped == 3
    assert store.closed.is_set()


def test_facts_are_kept_and_recalled(settler: Settler, store: FakeStore) -> None:
    settler.add([Recall("rollout:x"), Keep("rollout:x", b"2"), Recall("rollout:x")])
    answers: list[object] = []

    def all_three() -> bool:
        answers.extend(settler.take_answers())
        return len(answers) == 3

    wait_until(all_three)
    assert answers == [Recalled("rollout:x", None), Keep("rollout:x", b"2"), Recalled("rollout:x", b"2")]
    assert settler.take_answers() == []
