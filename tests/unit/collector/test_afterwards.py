"""What a request's end means for its budgets and its session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signalbox.collector.afterwards import Observe, Operation, Repin, Settle, Terms, afterwards
from signalbox.collector.join import Attempt, Exchange
from signalbox.collector.records import RequestRecord, Usage
from signalbox.record import Record, Target
from signalbox.telemetry import AttemptOutcome
from signalbox.types import PinOutcome, Price, Spent

FIRST, SECOND = Target("cloud", "large"), Target("local", "small")
PRICES = {"large": Price(2.0, 8.0, 0.2), "small": Price(0.0, 0.0)}
TERMS = Terms({"coding": 600}, Price(10.0, 50.0))
USD, TOKENS = "usd/2026-11-21/router:coding", "tokens/2026-11/policy"
USAGE, OK = Usage(1000, 100, 400), (AttemptOutcome.OK,)
HELD = ((USD, 5_000_000), (TOKENS, 900))


def ended(
    *,
    served: Target | None = FIRST,
    status: int | None = 200,
    usage: Usage = USAGE,
    outcomes: tuple[AttemptOutcome, ...] = OK,
    ttft_us: int | None = 100_000,
    **record: object,
) -> Exchange:
    said = Record(id="sb-1", router="coding", chain=(FIRST, SECOND), holds=HELD)
    said = replace_record(said, **record)
    request = RequestRecord(
        ("r", "127.0.0.1", 1), None, None, None, said, served, len(outcomes), status, "via_upstream", False, None,
        ttft_us, None, None, usage,
    )  # fmt: skip
    targets = (FIRST, SECOND)
    return Exchange(request, tuple(Attempt(targets[place], outcome) for place, outcome in enumerate(outcomes)))


def replace_record(record: Record, **changes: object) -> Record:
    return Record(**{name: changes.get(name, getattr(record, name)) for name in record.__struct_fields__})  # type: ignore[arg-type]


def operations(exchange: Exchange) -> list[Operation]:
    return afterwards(exchange, PRICES, TERMS)


def settled(exchange: Exchange) -> dict[str, int]:
    (settle,) = [operation for operation in operations(exchange) if isinstance(operation, Settle)]
    assert settle.request == "sb-1"
    return dict(settle.amounts)


def test_reported_usage_is_settled_at_the_price_of_who_answered_with_the_cached_share_apart() -> None:
    # 600 tokens at 2 USD, 400 cached at 0.2, 100 at 8, each per million: 0.00208 USD in billionths.
    assert settled(ended()) == {USD: 2_080_000, TOKENS: 1100}
    assert settled(ended(served=SECOND, outcomes=(AttemptOutcome.SERVER_ERROR, AttemptOutcome.OK)))[USD] == 0


def test_streams_are_settled_as_other_answers_are() -> None:
    assert settled(ended(stream=True)) == settled(ended(stream=False))


def test_an_unknown_price_counts_as_the_dearest() -> None:
    unknown = ended(served=Target("cloud", "new"))
    assert settled(unknown)[USD] == round((1000 * 10.0 + 100 * 50.0) * 1000)


OWN_USD, OWN_TOKENS = "usd/2026-11-21/router/coding/5e55", "tokens/2026-11/router/coding"
ALL_USD, ALL_TOKENS = "usd/2026-11-21/all/5e55", "tokens/2026-11/all"
SPENT = (Spent("r1", 900, 60, counted=False), Spent("large", 100, 10, counted=True), Spent("new", 7, 0, counted=False))


def test_an_answer_of_the_engine_is_settled_with_what_no_other_request_was_charged_for() -> None:
    holds = tuple((budget, 5) for budget in (OWN_USD, OWN_TOKENS, ALL_USD, ALL_TOKENS))
    found = settled(ended(served=None, outcomes=(), usage=Usage(), ttft_us=None, holds=holds, spent_on_answer=SPENT))
    # large at 2 and 8 USD per million; neither r1 nor new is a model of the policy.
    assert found == {OWN_USD: 280_000, OWN_TOKENS: 1077, ALL_USD: 0, ALL_TOKENS: 967}
    prices = {**PRICES, "new": None}  # one of the policy's, without a price: the dearest
    whole = ended(served=None, outcomes=(), holds=holds, spent_on_answer=SPENT)
    [settle] = afterwards(whole, prices, TERMS)
    assert isinstance(settle, Settle)
    assert dict(settle.amounts)[ALL_USD] == 70_000
    assert dict(settle.amounts)[OWN_USD] == 350_000


def test_without_usage_the_hold_of_an_answer_stands() -> None:
    assert settled(ended(usage=Usage())) == dict(HELD)


@pytest.mark.parametrize("outcome", [AttemptOutcome.CUT, AttemptOutcome.TIMEOUT, AttemptOutcome.ABANDONED])
def test_without_usage_the_hold_of_an_answer_that_broke_off_stands(outcome: AttemptOutcome) -> None:
    assert settled(ended(usage=Usage(), outcomes=(outcome,))) == dict(HELD)


@pytest.mark.parametrize("status", [None, 400, 429, 503])
def test_a_request_that_nobody_answered_releases_what_it_held(status: int | None) -> None:
    failed = ended(status=status, usage=Usage(), outcomes=(AttemptOutcome.SERVER_ERROR,), ttft_us=None)
    assert settled(failed) == {USD: 0, TOKENS: 0}


def test_a_client_that_left_before_the_first_byte_releases_what_it_held() -> None:
    assert settled(ended(status=200, usage=Usage(), ttft_us=None)) == {USD: 0, TOKENS: 0}


SESSION = {"holds": (), "session": "5e55", "pin": PinOutcome.KEPT.value}


def test_a_session_learns_what_its_models_cache_showed() -> None:
    (observe,) = operations(ended(**SESSION))
    assert isinstance(observe, Observe)
    assert (observe.session, observe.model, observe.input_tokens, observe.cached_tokens) == ("5e55", "large", 1000, 400)


def test_a_session_whose_model_failed_follows_the_one_that_answered() -> None:
    outcomes = (AttemptOutcome.SERVER_ERROR, AttemptOutcome.OK)
    repins = [
        each for each in operations(ended(served=SECOND, outcomes=outcomes, **SESSION)) if isinstance(each, Repin)
    ]
    assert repins == [Repin("5e55", "small", "large", 600)]


def test_a_router_that_has_no_sessions_any_more_moves_none() -> None:
    outcomes = (AttemptOutcome.SERVER_ERROR, AttemptOutcome.OK)
    assert operations(ended(served=SECOND, outcomes=outcomes, **SESSION | {"router": "gone"})) == []


@pytest.mark.parametrize("status", [None, 404, 500])
def test_a_session_learns_nothing_from_a_failure(status: int | None) -> None:
    assert operations(ended(status=status, **SESSION)) == []


def test_what_nobody_decided_leaves_nothing() -> None:
    whole = ended()
    assert whole.request is not None
    assert operations(Exchange(None, whole.attempts)) == []
    assert operations(Exchange(replace(whole.request, verdict=None), whole.attempts)) == []
