"""A decision with its surroundings: the store is asked in turn, and whatever it answers, there is a decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.errors import RequestError
from signalbox.extproc.edge import Edge
from signalbox.extproc.last_pins import MAX_PINS, LastPins
from signalbox.store.absent import AbsentStore
from signalbox.store.base import Store, StoreError
from signalbox.types import Case, Decision, PinOutcome, Reason, Signals
from signalbox.world import CircuitState, Hold, ModelState, Pin, Snapshot
from tests.unit.decide.cases import make_case, make_policy, names

MODELS = ["acme-large", "acme-mini"]
BUDGET = {"usd_per_day": 1, "when_spent": "cheapest"}


def pipeline(**router: Any) -> Pipeline:
    router = {"models": MODELS, "affinity": {}} | router
    return Pipeline.compile(make_policy(routers={"main": router}, default_router="main"))


class Told(AbsentStore):
    """A store that answers as it was told, and fails where it was not."""

    def __init__(self, pin: Pin | None = None, claimed: str = "", spent: Sequence[str] = (), fails: str = "") -> None:
        super().__init__("down")
        self.asked: list[str] = []
        self._pin, self._claimed, self._spent, self._fails = pin, claimed, list(spent), fails

    def _answer(self, operation: str) -> None:
        self.asked.append(operation)
        if operation == self._fails:
            raise StoreError("late", "too late")

    def pin(self, session: str, ttl_seconds: int) -> Pin | None:
        self._answer("pin")
        return self._pin

    def claim(self, session: str, model: str, ttl_seconds: int, *, instead_of: str | None = None) -> Pin:
        self._answer("claim")
        return Pin(self._claimed or model, 1)

    def fail(self, operation: str) -> None:
        self._fails = operation

    def forget(self) -> None:
        self._pin = None

    def hold(self, request: str, holds: Sequence[Hold], now_seconds: float) -> str | None:
        self._answer("hold")
        return self._spent.pop(0) if self._spent else None


def decided(
    store: Store | None, made: Pipeline, world: Callable[[], Snapshot] = Snapshot, **headers: str
) -> tuple[Decision, Case]:
    case = make_case(headers={name.replace("_", "-"): value for name, value in headers.items()})
    signals = Signals("sb-1", 1_760_000_000.0, "sb-1")
    return Edge(store, world).decide(made, case.request, case.features, signals)


def test_the_snapshot_is_the_newest_at_the_moment_of_the_decision() -> None:
    down = Snapshot(9, models={"acme-large": ModelState(circuit=CircuitState.OPEN)})
    decision, case = decided(None, pipeline(), lambda: down)
    assert case.signals.world is down
    assert names(decision)[0] == "acme-mini"


def test_a_session_without_a_pin_is_claimed_and_one_with_a_pin_is_not() -> None:
    store = Told()
    decision, _ = decided(store, pipeline(), x_model_affinity="s")
    assert (store.asked, decision.pin) == (["pin", "claim"], PinOutcome.NEW)
    store = Told(Pin("acme-mini", 3))
    decision, _ = decided(store, pipeline(), x_model_affinity="s")
    assert (store.asked, decision.pin, names(decision)[0]) == (["pin"], PinOutcome.KEPT, "acme-mini")


def test_whoever_is_second_with_a_claim_follows_the_first() -> None:
    decision, _ = decided(Told(claimed="acme-mini"), pipeline(), x_model_affinity="s")
    assert (names(decision)[0], decision.reason) == ("acme-mini", Reason.AFFINITY)


def test_a_request_of_no_session_and_no_budget_asks_nothing() -> None:
    store = Told()
    decided(store, pipeline())
    assert store.asked == []


def test_a_budget_found_spent_makes_another_decision_that_is_held_all_the_same() -> None:
    made = pipeline(affinity={"mode": "off"}, budget=BUDGET)
    store = Told(spent=["usd/2025-10-09/router/main"])
    decision, _ = decided(store, made)
    assert store.asked == ["hold", "hold"]
    assert (decision.reason, names(decision)[0]) == (Reason.BUDGET, "acme-mini")


def test_a_budget_found_spent_is_refused_where_the_policy_says_so() -> None:
    made = pipeline(affinity={"mode": "off"}, budget={"usd_per_day": 1})
    with pytest.raises(RequestError) as caught:
        decided(Told(spent=["usd/2025-10-09/router/main"]), made)
    assert caught.value.status == 429
    assert caught.value.retry_after_seconds == 54_400  # 08:53:20 UTC


@pytest.mark.parametrize("operation", ["pin", "claim", "hold"])
def test_a_store_that_fails_costs_its_answer_and_no_decision(operation: str) -> None:
    store = Told(fails=operation)
    decision, case = decided(store, pipeline(budget=BUDGET), x_model_affinity="s")
    assert names(decision) == MODELS
    assert case.signals.store == "late"
    assert store.asked[-1] == operation  # what is late once is not asked for more


def test_without_a_store_that_answers_anything_decisions_are_made() -> None:
    decision, case = decided(AbsentStore("gone"), pipeline(budget=BUDGET), x_model_affinity="s")
    assert (names(decision), case.signals.store) == (MODELS, "down")


def turns(edge: Edge, made: Pipeline, now_seconds: float, session: str = "s") -> tuple[Decision, Case]:
    case = make_case(headers={"x-model-affinity": session})
    return edge.decide(made, case.request, case.features, Signals("sb-1", now_seconds, "sb-1"))


@pytest.mark.parametrize("pinned_by", ["pin", "claim"])
def test_a_session_keeps_its_model_while_the_store_is_late(pinned_by: str) -> None:
    store = Told(Pin("acme-mini", 3)) if pinned_by == "pin" else Told(claimed="acme-mini")
    edge, made, now = Edge(store), pipeline(affinity={"ttl_seconds": 60}), 1_760_000_000.0
    assert names(turns(edge, made, now)[0])[0] == "acme-mini"
    store.fail("pin")
    decision, case = turns(edge, made, now + 59)
    assert (names(decision)[0], decision.pin, case.signals.store) == ("acme-mini", PinOutcome.KEPT, "late")
    assert names(turns(edge, made, now + 59, "another")[0]) == MODELS
    assert names(turns(edge, made, now + 60)[0]) == MODELS  # it has died since


def test_a_session_that_the_store_has_forgotten_is_not_remembered_either() -> None:
    store = Told(Pin("acme-mini", 3))
    edge, made, now = Edge(store), pipeline(), 1_760_000_000.0
    turns(edge, made, now)
    store.forget()
    turns(edge, made, now + 1)
    store.fail("pin")
    assert names(turns(edge, made, now + 2)[0]) == MODELS


def test_the_last_pins_are_bounded_and_the_oldest_go_first() -> None:
    pins = LastPins()
    for number in range(MAX_PINS + 1):
        pins.note(str(number), Pin("m", 1), 10.0)
        pins.note("0", Pin("m", 1), 10.0)
    assert pins.get("0", 0.0) is not None
    assert pins.get("1", 0.0) is None
    assert pins.get(str(MAX_PINS), 0.0) is not None
