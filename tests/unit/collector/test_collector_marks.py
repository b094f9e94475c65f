"""Counts of what a record says beside the decision: pins, shadows, stores that were silent."""

from __future__ import annotations

import pytest
from access_log_entries import attempt_entry, decision, request_entry

from signalbox import record
from signalbox.record import Record, Target


def decided(bench, **changes) -> None:
    """A request whose worker said `changes` of it, and that fell back to its second candidate."""
    members = {"router": "coding", "chain": (Target("cloud", "gpt-large"), Target("spare", "gpt-small"))}
    said = Record(id="sb-1", **(members | changes))
    bench.attempts(attempt_entry("cloud", 503), attempt_entry("spare"))
    bench.requests(
        request_entry(metadata={**decision(), "record": record.encode(said).decode()}, attempts=2, cluster="spare")
    )


def test_a_shadow_is_compared_with_the_decision_not_with_the_fallback_that_answered(bench):
    decided(bench, shadow=("bug-fixing", "qwen"))
    decided(bench, shadow=("bug-fixing", "gpt-large"))

    assert bench.series("signalbox_shadow_decisions_total") == {
        (("model", "gpt-large"), ("router", "coding"), ("shadow_model", "qwen")): 1.0,
        (("model", "gpt-large"), ("router", "coding"), ("shadow_model", "gpt-large")): 1.0,
    }


@pytest.mark.parametrize("outcome", ["new", "kept", "moved"])
def test_requests_of_sessions_are_counted_by_what_affinity_did(bench, outcome):
    decided(bench, pin=outcome)
    decided(bench)

    assert bench.series("signalbox_affinity_total") == {(("outcome", outcome), ("router", "coding")): 1.0}


@pytest.mark.parametrize("kind", ["late", "down", "broken"])
def test_a_store_that_gave_no_answer_is_counted_for_refusals_too(bench, kind):
    decided(bench, store=kind)
    decided(bench, store=kind, error="budget_spent", pin="new", shadow=("bug-fixing", "qwen"))

    assert bench.series("signalbox_store_faults_total") == {(("kind", kind),): 2.0}
    assert bench.series("signalbox_affinity_total") == {}
    assert bench.series("signalbox_shadow_decisions_total") == {}


def test_names_no_policy_has_are_other(bench):
    decided(bench, router="x", pin="x", store="x", shadow=("x", "x"), chain=(Target("x", "x"),))

    assert bench.series("signalbox_shadow_decisions_total") == {
        (("model", "other"), ("router", "other"), ("shadow_model", "other")): 1.0
    }
    assert bench.series("signalbox_affinity_total") == {(("outcome", "other"), ("router", "other")): 1.0}
    assert bench.series("signalbox_store_faults_total") == {(("kind", "other"),): 1.0}


def test_faults_of_each_kind_are_there_before_the_first(bench):
    assert [bench.value("signalbox_store_faults_total", kind=kind) for kind in ("late", "down", "broken")] == [0, 0, 0]


def test_a_decision_of_no_session_without_a_shadow_counts_none_of_it(bench):
    bench.requests(request_entry(metadata=decision(), attempts=0))

    assert bench.series("signalbox_decisions_total")
    assert bench.series("signalbox_affinity_total") == bench.series("signalbox_shadow_decisions_total") == {}


def test_local_only_requests_are_counted_by_what_made_them_so(bench):
    decided(bench, local_by="header")
    decided(bench, local_by="detected", personal=("email", "credit_card"))
    decided(bench, local_by="secret-4111", personal=("jane@example.com",))
    decided(bench)

    assert bench.series("signalbox_local_only_total") == {
        (("by", by), ("router", "coding")): 1.0 for by in ("header", "email", "credit_card", "other")
    }


def test_images_asked_for_are_counted_by_how_and_whether_a_model_makes_some(bench):
    decided(bench, image_asked="words")
    decided(bench, image_asked="parameters", image_served=True)
    decided(bench)

    assert bench.series("signalbox_images_asked_total") == {
        (("asked", "words"), ("router", "coding"), ("served", "false")): 1.0,
        (("asked", "parameters"), ("router", "coding"), ("served", "true")): 1.0,
    }
