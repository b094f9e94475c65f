"""Laws of a circuit, whatever happens to its model and to the clock."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from signalbox.collector.live.circuit import FAILURES, Circuit
from signalbox.policy import world
from signalbox.telemetry import AttemptOutcome
from signalbox.world import CircuitState

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
STEPS = {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (HALF_OPEN, CLOSED)}

limits = st.builds(
    world.Circuit,
    error_rate=st.sampled_from([0.01, 0.3, 0.5, 1]),
    min_requests=st.integers(1, 30),
    window_seconds=st.sampled_from([0.1, 30, 3600]),
    open_seconds=st.sampled_from([0.1, 10, 3600]),
    probe_share=st.sampled_from([0.01, 0.1, 1]),
)
outcomes = st.sampled_from(list(AttemptOutcome))
retry_afters = st.none() | st.floats(allow_nan=True, allow_infinity=True)
waits = st.floats(0, 100) | st.sampled_from([0.0, 0.01, 1e4, 1e9])


class AnyCircuit(RuleBasedStateMachine):
    @initialize(limits=limits)
    def begin(self, limits: world.Circuit) -> None:
        self.limits = limits
        self.circuit = Circuit(limits)
        self.now = 0.0
        self.state = CLOSED
        self.failures = 0  # since it was closed last

    def take(self, changes) -> None:
        for change in changes:
            assert (self.state, change.to) in STEPS
            assert 0 <= change.failed_share <= 1 + 1e-9
            if change.to is OPEN:
                assert self.failures
                assert (
                    0 < change.rest_seconds <= max(16 * self.limits.open_seconds, self.limits.max_retry_after_seconds)
                )
            if change.to is CLOSED:
                self.failures = 0
            self.state = change.to

    @rule(outcome=outcomes, retry_after=retry_afters, began=st.none() | st.floats(0, 100))
    def attempt(self, outcome: AttemptOutcome, retry_after: float | None, began: float | None) -> None:
        self.failures += outcome in FAILURES or outcome is AttemptOutcome.RATE_LIMITED
        began_seconds = None if began is None else self.now - began
        self.take(self.circuit.attempt(outcome, retry_after, self.now, began_seconds))

    @rule(seconds=waits)
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=waits)
    def look_at_a_clock_that_went_back(self, seconds: float) -> None:
        change = self.circuit.advance(self.now - seconds)
        self.take([] if change is None else [change])

    @invariant()
    def it_is_what_its_changes_say_and_time_only_ends_a_rest(self) -> None:
        if not hasattr(self, "circuit"):
            return
        state, share = self.circuit.state(self.now)
        assert state is self.state or (self.state, state) == (OPEN, HALF_OPEN)
        assert share == {CLOSED: 1.0, OPEN: 0.0, HALF_OPEN: self.limits.probe_share}[state]

    @invariant()
    def it_is_tried_again_in_bounded_time(self) -> None:
        if not hasattr(self, "circuit"):
            return
        longest = max(16 * self.limits.open_seconds, self.limits.max_retry_after_seconds)
        # Relative to the clock the circuit saw, which may be behind.
        assert self.circuit.state(self.now + longest + 1e-3 * self.now)[0] is not OPEN


TestAnyCircuit = AnyCircuit.TestCase
TestAnyCircuit.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(limits, st.integers(0, 300), st.floats(0, 1), st.sampled_from(sorted(FAILURES)))
def test_a_model_that_fails_every_time_opens_within_a_bounded_number_of_attempts(limits, successes, gap, outcome):
    circuit = Circuit(limits)
    for n in range(successes):
        circuit.attempt(AttemptOutcome.OK, None, n * gap)
    start, attempts = successes * gap, 0
    while circuit.state(start + attempts * gap)[0] is CLOSED:
        circuit.attempt(outcome, None, start + attempts * gap)
        attempts += 1
    memory = max(100, 4 * limits.min_requests)

    # From all successes to a share of e takes ln(1/(1-e)) times the memory; all is 95 %, which is the triple.
    assert attempts <= limits.min_requests + (3.1 if limits.error_rate == 1 else 1) * memory
    if not successes:
        assert attempts <= limits.min_requests


@given(
    limits.filter(lambda limits: limits.error_rate >= 0.3),
    st.integers(10, 40),
    st.floats(0, 1 / 30),
    st.integers(2, 30),
)
def test_a_model_that_fails_far_less_than_the_limit_never_opens(limits, run, pace, length):
    """Each failure follows at least ten successes, at no less than thirty attempts in a window."""
    gap = pace * limits.window_seconds
    circuit = Circuit(limits)
    for n in range(length * (run + 1)):
        is_failure = n % (run + 1) == run
        outcome = AttemptOutcome.SERVER_ERROR if is_failure else AttemptOutcome.OK
        assert circuit.attempt(outcome, None, n * gap) == ()
