"""A model that fails is left alone, and tried again with a few requests."""

from __future__ import annotations

import pytest

from signalbox.collector.live.circuit import Cause, Change, Circuit, Circuits
from signalbox.policy import world as settings
from signalbox.policy.schema import Policy
from signalbox.telemetry import AttemptOutcome
from signalbox.world import CircuitState

OK, LIMITED = AttemptOutcome.OK, AttemptOutcome.RATE_LIMITED
CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
FAILURES = ("server_error", "timeout", "refused", "reset", "cut")
NEUTRAL = ("client_error", "denied", "abandoned", "unknown")


def circuit(**limits: float) -> Circuit:
    return Circuit(settings.Circuit(**{"open_seconds": 10, "min_requests": 5, "window_seconds": 30} | limits))


def feed(
    subject: Circuit, outcome: str, count: int = 1, start: float = 0.0, every: float = 0.1, wait: float | None = None
) -> list[Change]:
    """Attempts at a steady pace; the changes they bring."""
    changes: list[Change] = []
    for index in range(count):
        changes += subject.attempt(AttemptOutcome(outcome), wait, start + index * every)
    return changes


def opened() -> Circuit:
    subject = circuit()
    feed(subject, "server_error", 5)
    assert subject.state(0.5)[0] is OPEN
    return subject


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_model_whose_attempts_all_fail_opens_with_the_fifth(outcome):
    subject = circuit()

    assert feed(subject, outcome, 4) == []
    (change,) = feed(subject, outcome, start=0.5)

    assert (change.to, change.cause, change.rest_seconds) == (OPEN, Cause.ERRORS, 10)
    assert change.failed_share == 1
    assert subject.state(0.6) == (OPEN, 0.0)


@pytest.mark.parametrize("outcome", NEUTRAL)
def test_what_says_nothing_of_the_model_neither_opens_nor_closes(outcome):
    subject = circuit()
    assert feed(subject, outcome, 100) == []

    feed(subject, "server_error", 5, start=11)
    feed(subject, outcome, 100, start=30)
    assert subject.state(50.0)[0] is HALF_OPEN


def test_failures_under_the_share_do_not_open():
    subject = circuit(error_rate=0.5)
    changes = [feed(subject, outcome, start=n * 0.1) for n, outcome in enumerate(["ok", "ok", "server_error"] * 300)]

    assert changes == [[]] * 900


def test_a_provider_that_dies_under_heavy_traffic_opens_within_a_hundred_attempts():
    subject = circuit()
    feed(subject, "ok", 10_000, every=0.001)

    first = next(n for n in range(1000) if feed(subject, "refused", start=10 + n * 0.001))
    assert 20 < first < 100


def test_rare_requests_open_by_a_row_of_failures_although_the_window_forgets():
    subject = circuit(window_seconds=30)
    changes = feed(subject, "timeout", 5, every=600)

    assert [change.to for change in changes] == [OPEN]


def test_it_is_tried_again_after_its_rest_and_closes_after_three_successes():
    subject = opened()
    assert subject.state(10.3) == (OPEN, 0.0)
    assert subject.state(10.5) == (HALF_OPEN, 0.1)

    rested = subject.advance(10.5)
    assert rested is not None
    assert (rested.to, rested.cause) == (HALF_OPEN, Cause.RESTED)
    assert feed(subject, "ok", 2, start=11) == []
    (closed,) = feed(subject, "ok", start=12)
    assert (closed.to, closed.cause) == (CLOSED, Cause.PROBES_PASSED)
    assert subject.state(12) == (CLOSED, 1.0)


def test_a_failed_probe_doubles_the_rest_up_to_sixteen_times():
    subject, now, rests = opened(), 0.5, []
    for _ in range(7):
        now = next(now + step / 10 for step in range(10_000) if subject.state(now + step / 10)[0] is HALF_OPEN)
        changes = subject.attempt(AttemptOutcome.TIMEOUT, None, now)
        assert [change.cause for change in changes] == [Cause.RESTED, Cause.PROBE_FAILED]
        rests.append(changes[-1].rest_seconds)

    assert rests == [20, 40, 80, 160, 160, 160, 160]


def test_a_circuit_that_opens_again_soon_after_it_closed_rests_longer_and_after_quiet_times_does_not():
    subject = opened()
    feed(subject, "ok", 3, start=11)
    (soon,) = feed(subject, "reset", 5, start=15)
    assert soon.rest_seconds == 20

    feed(subject, "ok", 3, start=40)
    (later,) = feed(subject, "reset", 5, start=200)
    assert later.rest_seconds == 10


def test_an_attempt_sent_before_the_circuit_was_half_open_is_no_probe():
    subject = opened()
    subject.advance(10.5)

    assert subject.attempt(AttemptOutcome.TIMEOUT, None, 60.0, began_seconds=0.2) == ()
    for _ in range(5):
        assert subject.attempt(OK, None, 60.0, began_seconds=0.2) == ()
    assert subject.attempt(AttemptOutcome.TIMEOUT, None, 61.0, began_seconds=11)[0].to is OPEN


def test_one_429_with_retry_after_opens_until_then():
    subject = circuit()
    (change,) = subject.attempt(LIMITED, 42.0, 100.0)

    assert (change.to, change.cause, change.rest_seconds) == (OPEN, Cause.RETRY_AFTER, 42)
    assert subject.state(141.9)[0] is OPEN
    assert subject.state(142.0)[0] is HALF_OPEN


def test_a_later_429_extends_the_rest_and_never_shortens_it():
    subject = circuit()
    subject.attempt(LIMITED, 40.0, 0.0)
    subject.attempt(LIMITED, 5.0, 1.0)
    assert subject.state(39.0)[0] is OPEN

    assert subject.attempt(LIMITED, 60.0, 2.0) == ()
    assert subject.state(61.0)[0] is OPEN
    assert subject.state(62.0)[0] is HALF_OPEN


def test_a_retry_after_of_days_is_cut_to_a_quarter_of_an_hour():
    for wait in (86_400.0, float("inf")):
        subject = circuit()
        subject.attempt(LIMITED, wait, 0.0)
        assert subject.state(899.0)[0] is OPEN
        assert subject.state(900.0)[0] is HALF_OPEN


def test_a_policy_says_how_long_a_retry_after_may_be_and_whether_it_counts_at_all():
    short, deaf = circuit(max_retry_after_seconds=20), circuit(max_retry_after_seconds=0)
    short.attempt(LIMITED, 3600.0, 0.0)
    assert [short.state(at)[0] for at in (19.0, 20.0)] == [OPEN, HALF_OPEN]
    assert deaf.attempt(LIMITED, 3600.0, 0.0) == ()
    assert deaf.state(1.0)[0] is CLOSED


@pytest.mark.parametrize("wait", [None, 0.0, -3.0, float("nan")])
def test_a_429_without_a_usable_retry_after_opens_only_with_many_others(wait):
    subject = circuit()
    assert feed(subject, "ok", 10, wait=wait) == []
    assert feed(subject, "rate_limited", 3, start=1, wait=wait) == []

    (change,) = feed(subject, "rate_limited", 20, start=1.3, wait=wait)
    assert change.cause is Cause.RATE_LIMITED


def test_a_server_error_with_retry_after_does_not_open_alone_but_lengthens_the_rest():
    subject = circuit()
    assert feed(subject, "server_error", 4, wait=30.0) == []
    (change,) = feed(subject, "server_error", start=0.5, wait=30.0)

    assert (change.cause, change.rest_seconds) == (Cause.ERRORS, 30)


def test_a_clock_that_goes_back_stands_still():
    subject = opened()
    assert subject.state(-1000.0)[0] is OPEN
    assert subject.attempt(OK, None, -1000.0) == ()
    assert subject.advance(-1000.0) is None
    assert subject.state(10.5)[0] is HALF_OPEN


# ---------------------------------------------------------------- all models of a policy


def policy(**models: dict[str, str]) -> Policy:
    providers = {name: {"endpoint": f"http://{name}.test/v1"} for name in ("here", "there")}
    return Policy.model_validate({"version": 1, "providers": providers, "models": models})


def test_models_have_circuits_of_their_own():
    circuits = Circuits(policy(a={"provider": "here"}, b={"provider": "here"}))
    (transition,) = circuits.attempt("a", LIMITED, 20.0, 0.0)

    assert (transition.model, transition.provider, transition.change.to) == ("a", "here", OPEN)
    assert circuits.state("a", 1.0) == (OPEN, 0.0)
    assert circuits.state("b", 1.0) == (CLOSED, 1.0)
    assert list(circuits.states(1.0)) == [("a", "here", OPEN, 0.0), ("b", "here", CLOSED, 1.0)]
    assert circuits.tick(1.0) == []
    assert [(step.model, step.change.to) for step in circuits.tick(20.0)] == [("a", HALF_OPEN)]


def test_attempts_at_models_the_policy_does_not_have_are_nobodys():
    circuits = Circuits(policy(a={"provider": "here"}))

    assert circuits.attempt("gone", LIMITED, 20.0, 0.0) == []
    assert circuits.attempt(None, LIMITED, 20.0, 0.0) == []
    assert circuits.state("gone", 0.0) == (CLOSED, 1.0)


def test_a_reload_keeps_the_circuits_of_models_that_stay_with_their_provider():
    circuits = Circuits(policy(a={"provider": "here"}, b={"provider": "here"}, c={"provider": "here"}))
    for model in "abc":
        circuits.attempt(model, LIMITED, 20.0, 0.0)
    circuits.apply(policy(a={"provider": "here"}, b={"provider": "there"}, c={"provider": "here", "name": "c-2"}))

    assert [circuits.state(model, 1.0)[0] for model in "abc"] == [OPEN, CLOSED, CLOSED]
