"""What both stores promise."""

from __future__ import annotations

import pytest

from signalbox.store.base import Store, StoreError
from signalbox.store.lifetimes import DAY_BUDGET_SECONDS, budget_seconds
from signalbox.world import Hold, Pin

from .benches import StoreBench

NOW = 1_760_000_000.0


@pytest.fixture
def store(bench: StoreBench) -> Store:
    return bench.open()


def held(budget: str, amount: int = 10, limit: int = 100, lasts: float = 900) -> Hold:
    return Hold(budget, amount, limit, NOW + lasts)


def test_a_session_has_no_pin_until_it_is_claimed(store: Store) -> None:
    assert store.pin("s", 60) is None
    assert store.claim("s", "large", 60) == Pin("large", 1)
    assert store.pin("s", 60) == Pin("large", 1)


def test_a_second_claim_is_told_the_first_and_counts_a_turn(store: Store) -> None:
    store.claim("s", "large", 60)
    assert store.claim("s", "small", 60) == Pin("large", 2)
    assert store.claim("s", "small", 60, instead_of="medium") == Pin("large", 3)


def test_a_pin_is_replaced_only_instead_of_the_model_it_still_has(store: Store) -> None:
    store.claim("s", "large", 60)
    assert store.claim("s", "small", 60, instead_of="large") == Pin("small", 2)
    assert store.claim("s", "medium", 60, instead_of="large") == Pin("small", 3)


def test_what_was_seen_of_the_cache_stays_with_the_model_it_was_seen_of(store: Store) -> None:
    store.claim("s", "large", 60)
    store.observe("s", "small", 5, 5)
    assert store.pin("s", 60) == Pin("large", 1)
    store.observe("s", "large", 1200, 900)
    assert store.claim("s", "large", 60, instead_of="large") == Pin("large", 2, 1200, 900)
    assert store.claim("s", "small", 60, instead_of="large") == Pin("small", 3, 0, 0)


def test_an_observation_makes_no_pin(store: Store) -> None:
    store.observe("s", "large", 1, 1)
    assert store.pin("s", 60) is None


def test_a_pin_lives_as_long_as_it_is_used(bench: StoreBench, store: Store) -> None:
    store.claim("s", "large", 160)
    for _ in range(5):
        bench.advance(150)
        assert store.pin("s", 160) == Pin("large", 1)
    bench.advance(171)
    assert store.pin("s", 160) is None
    assert store.claim("s", "small", 160) == Pin("small", 1)


def test_a_shorter_life_counts_from_the_next_request(bench: StoreBench, store: Store) -> None:
    store.claim("s", "large", 3600)
    store.pin("s", 16)
    bench.advance(18)
    assert store.pin("s", 3600) is None


def test_an_answer_counts_the_turns_that_no_claim_has_counted(store: Store) -> None:
    store.claim("s", "large", 60)
    store.observe("s", "large", 1200, 900)
    store.observe("s", "large", 1300, 1200, 1)
    store.observe("s", "small", 1, 1, 1)
    assert store.pin("s", 60) == Pin("large", 2, 1300, 1200)


def test_an_answer_that_shows_nothing_of_the_cache_still_counts_its_turn(store: Store) -> None:
    store.claim("s", "large", 60)
    store.observe("s", "large", 1200, 900)
    store.observe("s", "large", 0, 0, 1)
    assert store.pin("s", 60) == Pin("large", 2, 1200, 900)


def test_a_claim_and_an_observation_keep_what_the_other_did(bench: StoreBench, store: Store) -> None:
    store.claim("s", "large", 160)
    bench.advance(100)
    store.observe("s", "large", 7, 3)
    bench.advance(50)
    assert store.claim("s", "large", 160) == Pin("large", 2, 7, 3)
    bench.advance(150)
    assert store.pin("s", 160) == Pin("large", 2, 7, 3)


def test_model_names_keep_their_spaces_and_letters(store: Store) -> None:
    assert store.claim("s", "modèle 1 2 3 \n grand", 60).model == "modèle 1 2 3 \n grand"
    assert store.pin("s", 60) == Pin("modèle 1 2 3 \n grand", 1)


def test_a_hold_counts_until_it_is_settled(store: Store) -> None:
    assert store.hold("r", [held("b")], NOW) is None
    assert store.spent("b", NOW) == (0, 10)
    store.settle("r", [("b", 7)])
    assert store.spent("b", NOW) == (7, 0)


def test_a_settlement_of_nothing_releases(store: Store) -> None:
    store.hold("r", [held("b")], NOW)
    store.settle("r", [("b", 0)])
    assert store.spent("b", NOW) == (0, 0)


def test_settling_twice_counts_once(store: Store) -> None:
    store.hold("r", [held("b")], NOW)
    for amount in (7, 7, 9):
        store.settle("r", [("b", amount), ("b", amount)])
    assert store.spent("b", NOW) == (7, 0)


def test_a_limit_is_exceeded_by_one_hold_at_most(store: Store) -> None:
    assert store.hold("r1", [held("b", 99)], NOW) is None
    assert store.hold("r2", [held("b", 99)], NOW) is None
    assert store.hold("r3", [held("b", 1)], NOW) == "b"
    assert store.spent("b", NOW) == (0, 198)


def test_either_all_is_held_or_nothing(store: Store) -> None:
    store.settle("r0", [("full", 100)])
    assert store.hold("r", [held("a"), held("full"), held("c")], NOW) == "full"
    assert [store.spent(budget, NOW)[1] for budget in ("a", "full", "c")] == [0, 0, 0]


def test_the_first_budget_that_is_spent_is_named(store: Store) -> None:
    store.settle("r0", [("x", 100), ("y", 100)])
    assert store.hold("r", [held("a"), held("y"), held("x")], NOW) == "y"


def test_nothing_to_hold_is_held(store: Store) -> None:
    assert store.hold("r", [], NOW) is None
    store.settle("r", [])


def test_a_hold_nobody_settled_is_void_at_its_end(store: Store) -> None:
    store.hold("r1", [held("b", 100, lasts=60)], NOW)
    assert store.hold("r2", [held("b")], NOW + 59) == "b"
    assert store.spent("b", NOW + 60) == (0, 0)
    assert store.hold("r2", [held("b")], NOW + 60) is None
    assert store.spent("b", NOW + 60) == (0, 10)


def test_what_was_spent_counts_once_even_after_the_hold_was_void(store: Store) -> None:
    store.hold("r1", [held("b", 50, lasts=60)], NOW)
    store.hold("r2", [held("b", 20)], NOW + 100)
    store.settle("r1", [("b", 30)])
    store.settle("r1", [("b", 30)])
    assert store.spent("b", NOW + 100) == (30, 20)


def test_what_was_spent_without_a_hold_counts_once(store: Store) -> None:
    store.settle("r", [("b", 30)])
    store.settle("r", [("b", 30)])
    assert store.spent("b", NOW) == (30, 0)


def test_a_hold_that_comes_after_its_settlement_holds_nothing(store: Store) -> None:
    store.settle("r", [("b", 30)])
    assert store.hold("r", [held("b")], NOW) is None
    assert store.spent("b", NOW) == (30, 0)


def test_holding_again_replaces_the_hold(store: Store) -> None:
    store.hold("r", [held("b", 90), held("b", 100)], NOW)
    assert store.hold("r", [held("b", 20)], NOW) is None
    assert store.spent("b", NOW) == (0, 20)
    store.settle("r", [("b", 5)])
    assert store.spent("b", NOW) == (5, 0)


def test_a_hold_of_nothing_can_be_replaced_settled_and_void(store: Store) -> None:
    for request in ("r1", "r2"):
        assert store.hold(request, [held("b", 0, lasts=60)], NOW) is None
        assert store.hold(request, [held("b", 0, lasts=60)], NOW) is None
    store.settle("r1", [("b", 0)])
    assert store.hold("r3", [held("b", 4)], NOW + 60) is None
    assert store.spent("b", NOW + 60) == (0, 4)


def test_requests_and_budgets_with_similar_names_are_kept_apart(store: Store) -> None:
    store.hold("1:r", [held("b", 1)], NOW)
    store.hold("r", [held("b", 11), held("b:r", 2), held("b r", 4)], NOW)
    store.settle("r", [("b", 0)])
    assert [store.spent(budget, NOW)[1] for budget in ("b", "b:r", "b r")] == [1, 2, 4]


def test_a_budget_of_a_day_is_forgotten_days_later_and_a_month_is_not(bench: StoreBench, store: Store) -> None:
    days = ("usd/2026-11-21/team", "tokens/2026-11-21/team/0123456789abcdef")
    # An owner may be named after a day; its budget of a month is still one of a month.
    months = ("usd/2026-11/team", "usd/2026-11/sale-2026-11-21", "usd/2026-11/sale/2026-11-21")
    for budget in (*days, *months):
        store.hold("r", [held(budget)], NOW)
        store.settle("s", [(budget, 5)])
    bench.advance(2 * 86_400)
    assert [store.spent(budget, NOW) for budget in (*days, *months)] == [(5, 10)] * 5
    assert {budget_seconds(budget) for budget in days} == {DAY_BUDGET_SECONDS}
    bench.advance(30 * 86_400)
    assert [store.spent(budget, NOW)[0] for budget in months] == [5] * 3


def test_amounts_beyond_doubles_add_up_exactly(store: Store) -> None:
    big = 2**52 + 1
    store.hold("r1", [held("b", big, limit=2**80)], NOW)
    store.hold("r2", [held("b", 123_456_789_012_345, limit=2**80)], NOW)
    assert store.spent("b", NOW) == (0, big + 123_456_789_012_345)
    store.settle("r1", [("b", big)])
    store.settle("r2", [("b", 123_456_789_012_345)])
    assert store.spent("b", NOW) == (big + 123_456_789_012_345, 0)


@pytest.mark.parametrize("amount", [-5, -(2**70)])
def test_a_negative_amount_gives_nothing_back(store: Store, amount: int) -> None:
    store.settle("r0", [("b", 10)])
    store.hold("r1", [held("b", amount)], NOW)
    store.settle("r2", [("b", amount)])
    assert store.spent("b", NOW) == (10, 0)


def test_an_absurd_amount_spends_the_budget_and_breaks_nothing(store: Store) -> None:
    store.hold("r1", [held("b", 2**90)], NOW)
    store.settle("r1", [("b", 2**90)])
    assert store.hold("r2", [held("b")], NOW) == "b"


@pytest.mark.parametrize("jump", [-1e9, -3600, 3600, 1e9])
def test_a_clock_that_jumps_leaves_what_was_spent(store: Store, jump: float) -> None:
    store.hold("r1", [held("b", 10)], NOW)
    store.settle("r1", [("b", 10)])
    store.hold("r2", [Hold("b", 5, 100, NOW + jump + 900)], NOW + jump)
    assert store.spent("b", NOW + jump) == (10, 5)
    store.settle("r2", [("b", 5)])
    assert store.spent("b", NOW) == (15, 0)


def test_a_hold_that_ends_at_no_time_is_refused_as_broken(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        store.hold("r", [Hold("b", 1, 10, float("nan"))], NOW)
    assert caught.value.kind == "broken"
    assert store.spent("b", NOW) == (0, 0)


def test_a_fact_is_kept_until_it_is_replaced(bench: StoreBench, store: Store) -> None:
    assert store.get("rollout:r") is None
    store.put("rollout:r", b"\x00\xff one")
    bench.advance(300 * 86_400)
    assert store.get("rollout:r") == b"\x00\xff one"
    bench.advance(300 * 86_400)
    store.put("rollout:r", b"")
    assert store.get("rollout:r") == b""


def test_two_users_see_one_state(bench: StoreBench, store: Store) -> None:
    other = bench.open()
    store.claim("s", "large", 60)
    assert other.claim("s", "small", 60) == Pin("large", 2)
    other.hold("r", [held("b")], NOW)
    store.settle("r", [("b", 3)])
    assert other.spent("b", NOW) == (3, 0)


def test_a_store_that_was_closed_is_down(store: Store) -> None:
    store.close()
    with pytest.raises(StoreError) as caught:
        store.pin("s", 60)
    assert caught.value.kind == "down"
