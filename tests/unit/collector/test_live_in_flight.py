"""Running attempts are counted exactly while the log is whole, and not for ever when it is not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.collector.live.in_flight import LATE_SECONDS, LONGEST_SECONDS, MAX_REQUESTS, InFlight
from signalbox.collector.records import AttemptId, ExchangeKey
from signalbox.record import Target

PROVIDER_OF = {"large": "cloud", "small": "cloud", "qwen": "local"}
CHAIN = (Target("cloud", "large"), Target("local", "qwen"), Target("cloud", "small"))


def key(number: int) -> ExchangeKey:
    return f"{number:08x}", "127.0.0.1", 4000


def attempt(number: int, provider: str = "local", started_ns: int = 1) -> AttemptId:
    return AttemptId(key(number), provider, started_ns)


@pytest.fixture
def in_flight() -> InFlight:
    counts = InFlight()
    counts.use(PROVIDER_OF)
    return counts


def test_an_attempt_counts_from_its_start_to_its_end(in_flight: InFlight) -> None:
    in_flight.started(attempt(1), 1, 0.0)
    in_flight.started(attempt(2), 1, 0.0)
    assert (in_flight.of_provider("local"), in_flight.of_model("qwen")) == (2, 2)
    in_flight.ended(attempt(1), 1.0)
    assert (in_flight.of_provider("local"), in_flight.of_model("qwen")) == (1, 1)


def test_where_a_provider_has_several_models_the_chain_says_which_is_at_work(in_flight: InFlight) -> None:
    in_flight.started(attempt(1, "cloud"), 1, 0.0)
    assert (in_flight.of_provider("cloud"), in_flight.of_model("large")) == (1, 0)
    in_flight.goes_on(key(1), CHAIN, 0.3)
    assert in_flight.of_model("large") == 1
    in_flight.ended(attempt(1, "cloud"), 0.4)
    in_flight.started(attempt(1, "local", 2), 1, 0.4)
    in_flight.ended(attempt(1, "local", 2), 0.5)
    in_flight.started(attempt(1, "cloud", 3), 1, 0.5)
    assert (in_flight.of_model("large"), in_flight.of_model("small")) == (0, 1)


def test_counts_name_the_model_once_it_is_known(in_flight: InFlight) -> None:
    in_flight.started(attempt(1, "cloud"), 1, 0.0)
    in_flight.started(attempt(2, "cloud"), 1, 0.0)
    in_flight.goes_on(key(2), CHAIN, 0.3)
    in_flight.started(attempt(3), 1, 0.3)
    assert in_flight.counts() == {("cloud", ""): 1, ("cloud", "large"): 1, ("local", "qwen"): 1}
    in_flight.ended(attempt(1, "cloud"), 0.4)
    assert in_flight.counts() == {("cloud", "large"): 1, ("local", "qwen"): 1}


def test_a_model_that_moves_to_another_provider_starts_from_nothing_there(in_flight: InFlight) -> None:
    in_flight.started(attempt(1), 1, 0.0)
    in_flight.use(PROVIDER_OF | {"qwen": "cloud"})
    assert (in_flight.of_model("qwen"), in_flight.of_provider("local")) == (0, 1)
    in_flight.ended(attempt(1), 1.0)
    assert in_flight.counts() == {}


def test_a_model_that_the_policy_does_not_have_there_is_not_counted(in_flight: InFlight) -> None:
    in_flight.started(attempt(1, "cloud"), 1, 0.0)
    in_flight.goes_on(key(1), (Target("cloud", "qwen"), Target("cloud", "made-up")), 0.3)
    assert (in_flight.of_provider("cloud"), in_flight.of_model("qwen"), in_flight.of_model("made-up")) == (1, 0, 0)


def test_entries_that_come_twice_count_once(in_flight: InFlight) -> None:
    for _ in range(3):
        in_flight.started(attempt(1), 1, 0.0)
    assert in_flight.of_provider("local") == 1
    for _ in range(3):
        in_flight.ended(attempt(1), 0.1)
    in_flight.started(attempt(1), 1, 0.2)
    assert in_flight.of_provider("local") == 0


def test_a_start_that_comes_after_its_end_is_not_counted(in_flight: InFlight) -> None:
    in_flight.ended(attempt(1), 0.0)
    in_flight.started(attempt(1), 1, 0.1)
    assert in_flight.of_provider("local") == 0


def test_an_end_without_a_start_takes_nothing_from_others(in_flight: InFlight) -> None:
    in_flight.started(attempt(1), 1, 0.0)
    in_flight.ended(attempt(2), 0.0)
    assert in_flight.of_provider("local") == 1


def test_an_end_that_was_lost_is_made_up_for_by_the_requests_own(in_flight: InFlight) -> None:
    in_flight.started(attempt(1), 1, 0.0)
    in_flight.request_ended(key(1), 5.0)
    in_flight.expire(5.0 + LATE_SECONDS / 2)
    assert in_flight.of_model("qwen") == 1
    in_flight.expire(5.0 + LATE_SECONDS)
    assert (in_flight.of_model("qwen"), in_flight.of_provider("local"), len(in_flight)) == (0, 0, 0)


def test_a_start_after_the_requests_end_is_over_soon_as_well(in_flight: InFlight) -> None:
    in_flight.request_ended(key(1), 5.0)
    in_flight.started(attempt(1), 1, 5.1)
    in_flight.expire(5.1 + LATE_SECONDS)
    assert (in_flight.of_provider("local"), len(in_flight)) == (0, 0)


def test_an_attempt_of_which_nothing_more_is_heard_is_given_up_in_the_end(in_flight: InFlight) -> None:
    in_flight.started(attempt(1), 1, 0.0)
    in_flight.expire(LONGEST_SECONDS - 1)
    assert in_flight.of_provider("local") == 1
    in_flight.expire(LONGEST_SECONDS)
    assert (in_flight.of_provider("local"), len(in_flight)) == (0, 0)


def test_what_a_log_stream_told_of_is_given_up_when_it_breaks(in_flight: InFlight) -> None:
    in_flight.started(attempt(1), 1, 0.0)
    in_flight.started(attempt(2), 2, 0.0)
    in_flight.source_lost(1)
    assert in_flight.of_provider("local") == 1
    in_flight.ended(attempt(1), 1.0)
    assert in_flight.of_provider("local") == 1


def test_a_flood_of_requests_that_never_end_is_bounded(in_flight: InFlight) -> None:
    for number in range(MAX_REQUESTS + 100):
        in_flight.started(attempt(number), 1, 0.0)
    assert (len(in_flight), in_flight.of_provider("local")) == (MAX_REQUESTS, MAX_REQUESTS)


Event = tuple[str, int, str, int]


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Event], list[Event], int]:
    """A whole log of some requests with up to three attempts each, and the same one after an accident.

    The last figure seeds the accident: entries lost, repeated and moved.
    """
    requests = draw(st.lists(st.lists(st.sampled_from(["cloud", "local"]), min_size=1, max_size=3), max_size=8))
    whole: list[Event] = []
    for number, providers in enumerate(requests):
        for tried, provider in enumerate(providers, start=1):
            whole += [("start", number, provider, tried), ("end", number, provider, tried)]
        whole.append(("request", number, "", 0))
    dice = random.Random(draw(st.integers(0, 2**32)))
    spoiled = [event for event in whole for _ in range(dice.choice([0, 1, 1, 1, 2]))]
    dice.shuffle(spoiled)
    return whole, spoiled, dice.randrange(1, 3)


@settings(max_examples=200)
@given(logs())
def test_whatever_happens_to_the_log_no_count_is_negative_and_none_is_left(
    made: tuple[list[Event], list[Event], int],
) -> None:
    _, spoiled, source = made
    in_flight = InFlight()
    in_flight.use(PROVIDER_OF)
    started = set()
    for kind, number, provider, tried in spoiled:
        if kind == "start":
            in_flight.started(attempt(number, provider, tried), source, 0.0)
            started.add((number, provider, tried))
        elif kind == "end":
            in_flight.ended(attempt(number, provider, tried), 0.0)
        else:
            in_flight.goes_on(key(number), CHAIN, 0.0)
            in_flight.request_ended(key(number), 0.0)
        for place in ("cloud", "local"):
            assert 0 <= in_flight.of_provider(place) <= len({one for one in started if one[1] == place})
        assert sum(in_flight.of_model(model) for model in PROVIDER_OF) <= sum(
            in_flight.of_provider(place) for place in ("cloud", "local")
        )
    in_flight.expire(LONGEST_SECONDS)
    assert [in_flight.of_provider(place) for place in ("cloud", "local")] == [0, 0]
    assert [in_flight.of_model(model) for model in PROVIDER_OF] == [0, 0, 0]


@given(logs())
def test_a_whole_log_is_counted_exactly(made: tuple[list[Event], list[Event], int]) -> None:
    whole, _, _ = made
    in_flight = InFlight()
    in_flight.use(PROVIDER_OF)
    running: set[tuple[int, str, int]] = set()
    for kind, number, provider, tried in whole:
        if kind == "start":
            in_flight.started(attempt(number, provider, tried), 1, 0.0)
            running.add((number, provider, tried))
        elif kind == "end":
            in_flight.ended(attempt(number, provider, tried), 0.0)
            running.discard((number, provider, tried))
        for place in ("cloud", "local"):
            assert in_flight.of_provider(place) == sum(1 for one in running if one[1] == place)
