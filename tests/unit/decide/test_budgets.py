"""What a request holds, and what happens when a budget is spent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from signalbox.decide.budgets import NANO_USD, NO_LIMIT
from signalbox.errors import RequestError
from signalbox.types import Reason

from .cases import decide, make_case, make_policy, names
from .worlds import seeing

NOON = datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp()
DAY = "usd/2026-02-28/router/r"


def policy(when_spent: str = "reject", **more):
    budget = {"usd_per_day": 50, "when_spent": when_spent, **more.pop("budget", {})}
    router = {"models": ["acme-large", "acme-mini"], "fallback": ["home-small"], "budget": budget, **more}
    return make_policy(routers={"r": router}, default_router="r")


def at_noon(case=None, **more):
    return seeing(case or make_case(), now=NOON, **more)


def test_a_request_holds_its_expected_cost_under_the_day_it_is_made():
    case = at_noon()
    decision = decide(policy(), case)
    [hold] = decision.holds
    expected = (decision.counts["acme-large"].tokens * 3 + 300 * 15) / 1e6
    assert (hold.budget, hold.amount, hold.limit) == (DAY, round(expected * NANO_USD), 50 * NANO_USD)
    assert hold.expires_seconds == NOON + 900


def test_tokens_are_held_as_prompt_and_expected_answer():
    made = policy(budget={"usd_per_day": None, "tokens_per_month": 10_000})
    decision = decide(made, at_noon())
    [hold] = decision.holds
    assert (hold.budget, hold.limit) == ("tokens/2026-02/router/r", 10_000)
    assert hold.amount == decision.counts["acme-large"].tokens + 300


def test_the_policys_budget_and_the_routers_are_both_held():
    made = make_policy(
        routers={"r": {"models": ["acme-mini"], "budget": {"usd_per_day": 1}}},
        default_router="r",
        budget={"usd_per_month": 100},
    )
    assert [hold.budget for hold in decide(made, at_noon()).holds] == ["usd/2026-02/all", DAY]
    assert [hold.budget for hold in decide(made, at_noon(make_case("acme-mini"))).holds] == ["usd/2026-02/all"]


def test_each_value_of_the_header_has_a_budget_of_its_own_and_is_not_shown():
    made = policy(budget={"header": "authorization"})
    budgets = {
        decide(made, at_noon(make_case(headers=headers))).holds[0].budget
        for headers in ({"authorization": "Bearer sk-a"}, {"authorization": "Bearer sk-b"}, {})
    }
    assert len(budgets) == 3
    assert not any("sk-" in budget for budget in budgets)


def test_a_model_without_a_price_holds_what_the_dearest_would_cost():
    made = make_policy(routers={"r": {"models": ["bolt-large"], "budget": {"usd_per_day": 1}}}, default_router="r")
    decision = decide(made, at_noon())
    dearest = (decision.counts["bolt-large"].tokens * 3 + 300 * 15) / 1e6
    assert decision.holds[0].amount == round(dearest * NANO_USD)


def test_a_spent_budget_refuses_until_it_renews():
    with pytest.raises(RequestError) as refused:
        decide(policy(), at_noon(spent=(DAY,)))
    assert (refused.value.status, refused.value.code) == (429, "budget_spent")
    assert refused.value.retry_after_seconds == 12 * 3600


def test_a_month_renews_with_the_next_one():
    made = policy(budget={"usd_per_day": None, "usd_per_month": 9})
    with pytest.raises(RequestError) as refused:
        decide(made, at_noon(spent=("usd/2026-02/router/r",)))
    assert refused.value.retry_after_seconds == 12 * 3600


@pytest.mark.parametrize(
    ("when_spent", "chain"),
    [
        ("cheapest", ["home-small", "acme-mini", "acme-large"]),
        ("local", ["home-small"]),
        ("fallback", ["home-small"]),
    ],
)
def test_a_spent_budget_leaves_what_the_policy_says(when_spent, chain):
    decision = decide(policy(when_spent), at_noon(spent=(DAY,)))
    assert (names(decision), decision.reason, decision.spent) == (chain, Reason.BUDGET, DAY)
    assert [hold.limit for hold in decision.holds] == [NO_LIMIT]  # what is spent beyond is still counted


def test_where_nothing_of_the_kind_is_left_the_request_goes_on():
    made = make_policy(
        routers={"r": {"models": ["acme-mini"], "budget": {"usd_per_day": 1, "when_spent": "local"}}},
        default_router="r",
    )
    assert names(decide(made, at_noon(spent=(DAY,)))) == ["acme-mini"]


def test_a_spent_budget_of_somebody_else_changes_nothing():
    assert decide(policy(), at_noon(spent=("usd/2026-02-28/router/other",))).reason is Reason.DEFAULT


def test_without_a_budget_nothing_is_held():
    assert decide(make_policy(), make_case("acme-mini")).holds == ()
