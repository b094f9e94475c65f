"""A decision with its surroundings: the store is asked in turn, and whatever it answers, there is a decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from signalbox.decide.pipeline import Pipeline
from signalbox.errors import RequestError
from signalbox.extproc.edge import Edge
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
