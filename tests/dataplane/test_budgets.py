"""A budget stops what it limits: held by the workers, settled by what providers report, streamed or not."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from .remembering import budget, policy
from .stack import Stack, running_stack, wait_until
from .test_bad_input import assert_openai_error

pytestmark = pytest.mark.dataplane

LIMIT = 50_000_000  # 0.05 USD in billionths
ONE_REQUEST = 20_000_000  # above what any of these requests is expected to cost, or costs


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(policy()) as running:
        yield running


def ask(stack: Stack, team: str, *, stream: bool = False, **headers: str) -> httpx.Response:
    more = {"stream": stream}
    return stack.chat("router:thrifty", "word " * 500, more=more, x_team=team, x_mock_bytes="2000", **headers)


def spend(stack: Stack, team: str) -> httpx.Response:
    """Ask until there is a refusal; every other request streams."""
    for number in range(200):
        answer = ask(stack, team, stream=number % 2 == 0)
        if answer.status_code != 200:
            return answer
    raise AssertionError("200 requests, and the budget is not spent")


def test_a_spent_budget_answers_429_with_the_seconds_until_it_renews(stack: Stack) -> None:
    refused = spend(stack, "first")
    assert refused.status_code == 429
    error = assert_openai_error(refused)
    assert error["code"] == "budget_spent"
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    wait_until(lambda: budget(stack)[1] == 0, "every hold is settled", 5)
    spent, _ = budget(stack)
    assert LIMIT - ONE_REQUEST < spent < LIMIT + ONE_REQUEST
    assert ask(stack, "first").status_code == 429  # settled, and still spent
    assert ask(stack, "second").status_code == 200  # each value of the header has its own


def test_a_request_that_no_provider_took_costs_nothing(stack: Stack) -> None:
    wait_until(lambda: budget(stack)[1] == 0, "every hold is settled", 5)
    before = budget(stack)
    for _ in range(5):
        assert ask(stack, "third", x_mock_fault="503").status_code == 503
    wait_until(lambda: budget(stack)[1] == 0, "every hold is released", 5)
    assert budget(stack) == before
