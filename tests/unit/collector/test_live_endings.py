"""Each attempt is told to the circuits once, as soon as its model is known and its end is certain."""

from __future__ import annotations

import pytest

from signalbox.collector.join import Attempt, Exchange
from signalbox.collector.live.endings import MAX_REQUESTS, Ending, Endings
from signalbox.collector.records import AttemptRecord, ExchangeKey, RequestRecord, Usage
from signalbox.record import Target
from signalbox.telemetry import AttemptOutcome

OK, SERVER_ERROR, LIMITED = AttemptOutcome.OK, AttemptOutcome.SERVER_ERROR, AttemptOutcome.RATE_LIMITED
KEY: ExchangeKey = ("id", "127.0.0.1", 50666)
CHAIN = (Target("shared", "large"), Target("shared", "small"), Target("own", "only"))


@pytest.fixture
def endings() -> Endings:
    made = Endings()
    made.use({"large": "shared", "small": "shared", "only": "own"})
    return made


def entry(
    provider: str, outcome: AttemptOutcome | None, started_ns: int, key: ExchangeKey = KEY, wait: float | None = None
) -> AttemptRecord:
    return AttemptRecord(key, provider, outcome, wait, started_ns=started_ns)


def exchange(*attempts: Attempt, key: ExchangeKey = KEY) -> Exchange:
    request = RequestRecord(
        key, None, None, None, None, None, len(attempts), 200, "via_upstream", False, None, None, None, None, Usage()
    )
    return Exchange(request, attempts)


def test_a_failure_of_a_providers_only_model_is_told_at_once(endings: Endings) -> None:
    assert endings.attempt(entry("own", LIMITED, 7, wait=30.0)) == [Ending("only", LIMITED, 30.0, 7)]


def test_a_failure_of_one_model_of_several_waits_for_the_chain(endings: Endings) -> None:
    assert endings.attempt(entry("shared", SERVER_ERROR, 1)) == []
    assert endings.attempt(entry("shared", LIMITED, 2)) == []
    assert endings.goes_on(KEY, CHAIN) == [Ending("large", SERVER_ERROR, None, 1), Ending("small", LIMITED, None, 2)]
    assert endings.attempt(entry("own", SERVER_ERROR, 3)) == [Ending("only", SERVER_ERROR, None, 3)]


@pytest.mark.parametrize("outcome", [OK, AttemptOutcome.UNKNOWN, AttemptOutcome.CLIENT_ERROR, None])
def test_an_end_that_may_still_turn_out_otherwise_waits_for_the_request(
    endings: Endings, outcome: AttemptOutcome | None
) -> None:
    assert endings.attempt(entry("own", outcome, 1)) == []
    settled = Attempt(Target("own", "only"), AttemptOutcome.TIMEOUT, started_ns=1)
    assert endings.exchange(exchange(settled)) == [Ending("only", AttemptOutcome.TIMEOUT, None, 1)]


def test_what_was_told_early_is_not_told_again_with_the_request(endings: Endings) -> None:
    endings.goes_on(KEY, CHAIN)
    endings.attempt(entry("shared", SERVER_ERROR, 1))
    endings.attempt(entry("shared", OK, 2))
    whole = exchange(Attempt(CHAIN[0], SERVER_ERROR, started_ns=1), Attempt(CHAIN[1], OK, started_ns=2))
    assert endings.exchange(whole) == [Ending("small", OK, None, 2)]


def test_an_entry_that_comes_twice_is_told_once(endings: Endings) -> None:
    endings.attempt(entry("own", SERVER_ERROR, 1))
    assert endings.attempt(entry("own", SERVER_ERROR, 1)) == []


def test_attempts_whose_own_entry_never_came_are_told_with_the_request(endings: Endings) -> None:
    refused = Attempt(Target("own", "only"), AttemptOutcome.REFUSED)
    assert endings.exchange(exchange(refused)) == [Ending("only", AttemptOutcome.REFUSED, None, 0)]


def test_an_id_that_is_used_again_is_another_request(endings: Endings) -> None:
    failed = exchange(Attempt(Target("own", "only"), SERVER_ERROR, started_ns=1))
    for _ in range(2):
        assert len(endings.attempt(entry("own", SERVER_ERROR, 1))) == 1
        assert endings.exchange(failed) == []


def test_a_chain_that_names_another_provider_at_that_place_says_nothing(endings: Endings) -> None:
    endings.goes_on(KEY, (Target("own", "only"),))
    assert endings.attempt(entry("shared", SERVER_ERROR, 1)) == []


def test_what_waits_is_bounded(endings: Endings) -> None:
    for number in range(MAX_REQUESTS + 1):
        endings.attempt(entry("shared", SERVER_ERROR, 1, key=(str(number), "", 0)))
    assert endings.goes_on(("0", "", 0), CHAIN) == []
    assert len(endings.goes_on((str(MAX_REQUESTS), "", 0), CHAIN)) == 1
