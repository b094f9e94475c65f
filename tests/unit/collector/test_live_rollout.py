"""Steps, rollback, and what survives a restart."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.collector.live.rollout import RollbackReason, Rollout, Rollouts, Seen, Stepped
from signalbox.policy import world as settings
from signalbox.policy.schema import Policy
from signalbox.world import RolloutState

STEPS = {"steps": [10, 50, 100], "step_minutes": 1, "otherwise": "old"}
WATCHED = STEPS | {"rollback": {"error_rate": 0.05, "min_requests": 20}}
FAILED, FINE = Seen(is_new=True, failed=True), Seen(is_new=True, failed=False)


def rollout(**section: Any) -> Rollout:
    return Rollout("r", settings.Rollout.model_validate(section))


def pass_time(subject: Rollout | Rollouts, start: float, seconds: int) -> list[Stepped]:
    steps: list[Any] = []
    for second in range(seconds + 1):
        found = subject.tick(start + second)
        steps += found if isinstance(found, list) else [found]
    return [step for step in steps if step is not None]


def rolled_back(**section: Any) -> Rollout:
    subject = rollout(**(WATCHED | section))
    for _ in range(30):
        subject.observe(FAILED)
    assert subject.state == RolloutState(0.0, "errors")
    return subject


# ---------------------------------------------------------------- steps


def test_a_share_without_steps_stays():
    subject = rollout(percent=25, otherwise="old")

    assert pass_time(subject, 0, 10_000) == []
    assert subject.state == RolloutState(0.25)


def test_steps_follow_each_other_and_the_last_one_stays():
    subject = rollout(**STEPS)
    assert subject.state == RolloutState(0.1)

    assert pass_time(subject, 0, 60) == [Stepped("r", 1, 0.5)]
    assert pass_time(subject, 61, 200) == [Stepped("r", 2, 1.0)]
    assert subject.state == RolloutState(1.0)


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
def test_a_clock_that_jumps_skips_no_step(jump):
    subject = rollout(**(STEPS | {"step_minutes": 10}))
    pass_time(subject, 100_000, 60)
    pass_time(subject, 100_000 + jump, 60)

    assert subject.state == RolloutState(0.1)


# ---------------------------------------------------------------- rollback


def test_a_rollback_comes_with_its_reason_and_numbers_once():
    subject = rollout(**WATCHED)
    for _ in range(50):
        subject.observe(Seen(is_new=False, failed=False))
    found = [each for _ in range(40) if (each := subject.observe(FAILED))]

    (event,) = found
    assert (event.router, event.reason, event.limit, event.requests) == ("r", RollbackReason.ERRORS, 0.05, 20)
    assert (event.value, event.others) == (1, 0)
    assert event.evidence >= event.needed == pytest.approx(100)


def test_nothing_is_concluded_before_enough_requests():
    subject = rollout(**WATCHED)
    assert [subject.observe(FAILED) for _ in range(19)] == [None] * 19


def test_failures_of_the_others_and_requests_nobody_can_judge_prove_nothing():
    subject = rollout(**WATCHED)
    for _ in range(200):
        assert subject.observe(Seen(is_new=False, failed=True)) is None
        assert subject.observe(Seen(is_new=True, failed=None)) is None


def test_values_that_cannot_be_prove_nothing():
    subject = rollout(**(STEPS | {"rollback": {"ttft_ratio": 1.5, "cost_ratio": 1.5}}))
    for value in (float("nan"), float("inf"), -5.0) * 100:
        subject.observe(Seen(False, False, 1.0, 1.0))
        assert subject.observe(Seen(True, False, value, value)) is None


def test_what_has_no_limit_is_not_judged():
    subject = rollout(**(STEPS | {"rollback": {"cost_ratio": 2.0}}))
    for _ in range(200):
        subject.observe(Seen(False, False, 0.1, 0.01))
        assert subject.observe(Seen(True, True, 50.0, 0.01)) is None


def test_a_rollback_stays_and_stops_the_steps():
    subject = rolled_back()

    assert pass_time(subject, 0, 600) == []
    assert [subject.observe(FINE) for _ in range(1000)] == [None] * 1000
    assert subject.state == RolloutState(0.0, "errors")


# ---------------------------------------------------------------- restarts and other sidecars


def test_a_restart_keeps_the_step_and_the_time_in_it():
    before = rollout(**STEPS)
    pass_time(before, 0, 100)
    after = rollout(**STEPS)
    assert after.load(before.to_bytes())

    assert after.state == RolloutState(0.5)
    assert pass_time(after, 1_000_000, 19) == []
    assert pass_time(after, 1_000_020, 1) == [Stepped("r", 2, 1.0)]


def test_a_restart_keeps_a_rollback():
    after = rollout(**WATCHED)
    after.load(rolled_back().to_bytes())

    assert after.state == RolloutState(0.0, "errors")


def test_a_changed_section_begins_anew():
    after = rollout(**(WATCHED | {"step_minutes": 2}))

    assert not after.load(rolled_back().to_bytes())
    assert after.state == RolloutState(0.1)


@pytest.mark.parametrize(
    "kept",
    [None, b"", b"{", b"[]", b"\xff", b'{"version":2,"identity":"x","step":0,"step_seconds":0,"rolled_back":""}'],
)
def test_what_cannot_be_read_begins_anew_and_is_replaced(kept):
    subject = rollout(**STEPS)

    assert not subject.load(kept)
    assert subject.state == RolloutState(0.1)
    assert subject.is_unsaved


def test_numbers_out_of_range_are_brought_into_it():
    subject = rollout(**STEPS)
    subject.load(subject.to_bytes().replace(b'"step":0', b'"step":99'))
    assert subject.state == RolloutState(1.0)

    other = rollout(**STEPS)
    other.load(other.to_bytes().replace(b'"rolled_back":""', b'"rolled_back":"because"'))
    assert other.state == RolloutState(0.1)


def test_of_two_sidecars_the_one_that_came_further_is_right_and_one_rollback_holds_for_both():
    ahead, behind = rollout(**WATCHED), rollout(**WATCHED)
    pass_time(ahead, 0, 70)
    behind.load(ahead.to_bytes())
    assert behind.state == ahead.state == RolloutState(0.5)

    ahead.load(rolled_back().to_bytes())
    assert ahead.state == RolloutState(0.0, "errors")
    behind.load(ahead.to_bytes())
    ahead.load(rollout(**WATCHED).to_bytes())
    assert ahead.state == behind.state == RolloutState(0.0, "errors")


def test_the_store_is_told_now_and_then_and_at_once_when_it_matters():
    subject = rollout(**WATCHED)
    assert subject.is_unsaved
    subject.saved(subject.to_bytes())
    pass_time(subject, 0, 14)
    assert not subject.is_unsaved
    pass_time(subject, 15, 1)
    assert subject.is_unsaved

    subject.saved(subject.to_bytes())
    for _ in range(30):
        subject.observe(FAILED)
    assert subject.is_unsaved


# ---------------------------------------------------------------- all routers of a policy


def policy(**sections: dict[str, Any] | None) -> Policy:
    routers = {
        name: {"models": ["new"]} | ({"rollout": section} if section else {}) for name, section in sections.items()
    }
    models = {"new": {"provider": "p"}, "old": {"provider": "p"}}
    return Policy.model_validate(
        {"version": 1, "providers": {"p": {"endpoint": "http://p.test/v1"}}, "models": models, "routers": routers}
    )


def test_a_rollout_is_published_once_the_store_has_answered():
    rollouts = Rollouts(policy(a=STEPS, b=None, c=WATCHED))
    assert rollouts.facts == ["rollout:a", "rollout:c"]
    assert rollouts.states() == {}
    assert rollouts.unsaved() == []

    rollouts.load("rollout:a", None)
    rollouts.load("rollout:c", rolled_back().to_bytes())
    assert rollouts.states() == {"a": RolloutState(0.1), "c": RolloutState(0.0, "errors")}


def test_what_was_saved_is_not_saved_again():
    rollouts = Rollouts(policy(a=STEPS))
    rollouts.load("rollout:a", None)
    ((name, value),) = rollouts.unsaved()
    rollouts.saved(name, value)

    assert rollouts.unsaved() == []


def test_requests_count_for_their_own_router_and_those_without_a_rollout_for_none():
    rollouts = Rollouts(policy(a=WATCHED, b=WATCHED))
    for fact in rollouts.facts:
        rollouts.load(fact, None)
    events = [rollouts.observe("a", FAILED) for _ in range(30)] + [rollouts.observe("zzz", FAILED) for _ in range(30)]

    assert [event.router for event in events if event] == ["a"]
    assert rollouts.states()["b"] == RolloutState(0.1)


def test_a_reload_goes_on_with_an_unchanged_section_and_resets_a_changed_one():
    rollouts = Rollouts(policy(a=WATCHED, b=WATCHED))
    for fact in rollouts.facts:
        rollouts.load(fact, rolled_back().to_bytes())
    rollouts.apply(policy(a=WATCHED, b=WATCHED | {"step_minutes": 5}))

    assert rollouts.states() == {"a": RolloutState(0.0, "errors"), "b": RolloutState(0.1)}


def test_a_section_that_is_taken_out_is_forgotten_by_the_store_too():
    rollouts = Rollouts(policy(a=WATCHED))
    rollouts.load("rollout:a", rolled_back().to_bytes())
    rollouts.apply(policy(a=None))

    assert rollouts.states() == {}
    assert rollouts.unsaved() == [("rollout:a", b"")]
    rollouts.saved("rollout:a", b"")
    assert rollouts.unsaved() == []
