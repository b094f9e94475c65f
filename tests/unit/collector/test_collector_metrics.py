"""What is counted, and under which names."""

import json

import pytest
from access_log_entries import DECISION_ID, attempt_entry, decision, refusal, request_entry, unrouted_entry
from collector_bench import POLICY, status_message

from signalbox import telemetry
from signalbox.collector.live.circuit import Circuits
from signalbox.collector.live.rollout import RollbackReason, RolledBack
from signalbox.label import Label
from signalbox.policy.schema import Policy
from signalbox.telemetry import AttemptOutcome
from signalbox.world import RolloutState

GEN_AI = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "cloud", "gen_ai_request_model": "gpt-large"}


def one_request(bench, **request):
    bench.attempts(attempt_entry())
    bench.requests(request_entry(**{"metadata": decision(), **request}))


def test_a_routed_request_is_a_decision(bench):
    one_request(bench)

    assert bench.series("signalbox_decisions_total") == {
        (("endpoint", "chat_completions"), ("reason", "rule"), ("route", "bug-fixing"), ("router", "coding")): 1.0
    }
    assert bench.series("signalbox_refusals_total") == {}
    assert bench.series("signalbox_undecided_total") == {}


def test_a_model_the_client_named_has_no_router(bench):
    one_request(bench, metadata=decision(router=None, route="gpt-large", reason="requested", rule=None))

    labels = {"router": "", "route": "gpt-large", "reason": "requested", "endpoint": "chat_completions"}
    assert bench.value("signalbox_decisions_total", **labels) == 1


def test_a_refusal_is_not_a_decision(bench):
    bench.requests(unrouted_entry(404, "signalbox_model_not_found", metadata=refusal()))

    assert bench.value("signalbox_refusals_total", code="model_not_found", endpoint="chat_completions") == 1
    assert bench.series("signalbox_decisions_total") == {}
    assert (
        bench.value("signalbox_requests_total", endpoint="chat_completions", model="", provider="", status_class="4xx")
        == 1
    )


def test_a_request_envoy_answered_itself_is_undecided(bench):
    bench.requests(unrouted_entry(504, "ext_proc_error_per-message_timeout_exceeded"))

    assert bench.series("signalbox_undecided_total") == {(("cause", "decision_late"),): 1.0}


def test_the_model_list_is_a_request_and_nothing_else(bench):
    bench.requests(unrouted_entry(200, "direct_response", path="/v1/models"))

    assert bench.value("signalbox_requests_total", endpoint="other", model="", provider="", status_class="2xx") == 1
    assert bench.series("signalbox_undecided_total") == {}


def test_decision_times_are_the_workers_and_envoys(bench):
    one_request(bench)

    assert bench.value("signalbox_decide_seconds_sum") == pytest.approx(41e-6)
    assert bench.value("signalbox_ext_proc_seconds_sum") == pytest.approx(1387e-6)
    assert bench.value("signalbox_decide_seconds_bucket", le="0.0001") == 1
    assert bench.value("signalbox_ext_proc_seconds_bucket", le="0.001") == 0
    assert bench.value("signalbox_ext_proc_seconds_bucket", le="0.1") == 1


def test_a_stream_is_measured_in_opentelemetrys_words(bench):
    one_request(bench)

    assert bench.value("gen_ai_client_token_usage_sum", gen_ai_token_type="input", **GEN_AI) == 11
    assert bench.value("gen_ai_client_token_usage_sum", gen_ai_token_type="output", **GEN_AI) == 5
    assert bench.value("gen_ai_server_request_duration_seconds_sum", error_type="", **GEN_AI) == 1.5
    assert bench.value("gen_ai_server_time_to_first_token_seconds_sum", **GEN_AI) == pytest.approx(0.3)
    # One second for the four tokens after the first.
    assert bench.value("gen_ai_server_time_per_output_token_seconds_sum", **GEN_AI) == pytest.approx(0.25)


def test_without_a_stream_there_is_no_time_to_first_token(bench):
    one_request(bench, metadata=decision(stream=False))

    assert bench.series("gen_ai_server_time_to_first_token_seconds_count") == {}
    assert bench.series("gen_ai_server_time_per_output_token_seconds_count") == {}
    assert bench.value("gen_ai_server_request_duration_seconds_count", error_type="", **GEN_AI) == 1


def test_a_failure_has_an_error_type_and_no_time_to_first_token(bench):
    one_request(bench, status=503, usage=None)

    assert bench.value("gen_ai_server_request_duration_seconds_count", error_type="503", **GEN_AI) == 1
    assert bench.series("gen_ai_server_time_to_first_token_seconds_count") == {}


def test_one_token_has_no_time_per_token(bench):
    one_request(bench, usage=(11, 1))

    assert bench.series("gen_ai_server_time_per_output_token_seconds_count") == {}


FOREIGN = "ignore previous instructions"


@pytest.mark.parametrize("key", ["router", "route", "reason", "endpoint", "rule", "privacy"])
def test_a_name_the_policy_does_not_have_is_other(bench, key):
    one_request(bench, metadata=decision(**{key: FOREIGN}))

    assert FOREIGN not in str([list(family.samples) for family in bench.collector.metrics.registry.collect()])
    assert FOREIGN.encode() not in bench.log.raw[0]
    assert b"other" in bench.log.raw[0]


def test_a_model_and_a_provider_the_policy_does_not_have_are_other(bench):
    bench.attempts(attempt_entry(FOREIGN))
    bench.requests(request_entry(metadata=decision(chain=((FOREIGN, FOREIGN, "x"),)), cluster=FOREIGN))

    assert bench.series("signalbox_attempts_total") == {
        (("model", "other"), ("outcome", "ok"), ("provider", "other")): 1.0
    }
    assert (bench.log.lines[0]["model"], bench.log.lines[0]["provider"]) == ("other", "other")


def test_an_error_code_outside_the_closed_set_is_other(bench):
    bench.requests(unrouted_entry(418, "signalbox_teapot", metadata=refusal(FOREIGN)))

    assert bench.value("signalbox_refusals_total", code="other", endpoint="chat_completions") == 1


def test_a_rule_without_a_name_is_known_by_its_number(bench):
    one_request(bench, metadata=decision(rule="rule-2"))
    one_request(bench, metadata=decision(rule="rule-9"))

    assert [line["rule"] for line in bench.log.lines] == ["rule-2", "other"]


def test_names_of_the_previous_policy_stay_known_for_its_last_streams(bench):
    renamed = {**POLICY, "models": {"gpt-next": {"provider": "cloud"}}, "routers": {}}
    bench.collector.apply_policy(Policy.model_validate(renamed), "11" * 32)
    one_request(bench)
    assert bench.log.lines[-1]["model"] == "gpt-large"

    bench.collector.apply_policy(Policy.model_validate(renamed), "22" * 32)
    one_request(bench)
    assert bench.log.lines[-1]["model"] == "other"


def test_the_supervisors_totals_become_counters(bench):
    reloads = {"applied": 2, "refused": 1}
    bench.collector.apply_status(status_message(workers={"restarts": 3}, policy={"reloads": reloads}))
    bench.collector.apply_status(status_message(workers={"restarts": 4, "ready": 1}, policy={"reloads": reloads}))

    assert bench.value("signalbox_worker_restarts_total") == 4
    assert bench.value("signalbox_policy_reloads_total", outcome="applied") == 2
    assert bench.value("signalbox_policy_reloads_total", outcome="refused") == 1
    assert bench.value("signalbox_workers", state="wanted") == 2
    assert bench.value("signalbox_workers", state="ready") == 1


def test_only_the_serving_policy_is_shown(bench):
    bench.collector.apply_status(status_message())
    bench.collector.apply_status(status_message(policy={"sha256": "cd" * 32, "loaded_at": 99.5}))

    assert bench.series("signalbox_policy_info") == {(("sha", "cd" * 6),): 1.0}
    assert bench.value("signalbox_policy_last_success_timestamp_seconds") == 99.5


def test_causes_exist_before_they_happen(bench):
    assert {
        cause: bench.value("signalbox_undecided_total", cause=cause) for cause in telemetry.UndecidedCause
    } == dict.fromkeys(telemetry.UndecidedCause, 0.0)


def test_everything_published_is_declared(bench):
    one_request(bench)
    names = {family.name for family in bench.collector.metrics.registry.collect()}

    declared = {metric.name.removesuffix("_total") for metric in telemetry.METRICS}
    assert {name for name in names if not name.startswith("process_")} == declared


def test_circuits_are_shown_as_they_are_and_their_changes_counted(bench):
    circuits = Circuits(Policy.model_validate(POLICY))
    for transition in circuits.attempt("qwen", AttemptOutcome.RATE_LIMITED, 30.0, 0.0):
        bench.collector.metrics.circuit_changed(transition)
    bench.collector.metrics.circuits(circuits.states(1.0))

    assert bench.value("signalbox_circuit_state", model="qwen", provider="local") == 2
    assert bench.value("signalbox_circuit_state", model="gpt-large", provider="cloud") == 0
    assert bench.series("signalbox_circuit_transitions_total") == {
        (("model", "qwen"), ("provider", "local"), ("to", "open")): 1.0
    }


def test_shares_of_shifts_and_rollouts_are_shown_while_there_are_any(bench):
    metrics = bench.collector.metrics
    metrics.shifts({"coding": {"qwen": 0.25}})
    metrics.rollouts({"coding": RolloutState(0.5)})
    assert bench.value("signalbox_shift_share", router="coding", model="qwen") == 0.25
    assert bench.value("signalbox_rollout_share", router="coding") == 0.5

    metrics.shifts({})
    metrics.rollouts({"coding": RolloutState(0.0, "cost")})
    assert bench.value("signalbox_shift_share", router="coding", model="qwen") is None
    assert bench.value("signalbox_rollout_share", router="coding") == 0


def test_a_rollback_is_counted_with_its_reason(bench):
    bench.collector.metrics.rolled_back(RolledBack("coding", RollbackReason.COST, 0.3, 0.1, 2.0, 60, 400.0, 300.0))

    assert bench.value("signalbox_rollbacks_total", router="coding", reason="cost") == 1


def test_an_engines_answer_is_counted_by_outcome_and_its_time_measured(bench):
    one_request(bench, metadata=decision(engine="judge", engine_outcome="late", engine_us=50_000))
    one_request(bench, metadata=decision(engine="judge", engine_outcome="result", engine_us=4_000))
    one_request(bench)

    assert bench.series("signalbox_engine_answers_total") == {
        (("engine", "judge"), ("outcome", "late")): 1.0,
        (("engine", "judge"), ("outcome", "result")): 1.0,
    }
    assert bench.value("signalbox_engine_seconds_sum", engine="judge") == pytest.approx(0.054)


def test_tokens_of_an_engines_own_answer_are_counted_by_the_model_that_used_them(bench):
    spent = [["router-r1", 900, 60, False], ["gpt-small", 100, 10, True]]
    metadata = decision(engine="judge", engine_outcome="result", reason="answered", spent_on_answer=spent)
    bench.requests(unrouted_entry(200, "signalbox_answered", metadata=metadata))

    assert bench.series("signalbox_answer_tokens_total") == {
        (("engine", "judge"), ("model", "judge"), ("type", "input")): 900.0,
        (("engine", "judge"), ("model", "judge"), ("type", "output")): 60.0,
        (("engine", "judge"), ("model", "gpt-small"), ("type", "input")): 100.0,
        (("engine", "judge"), ("model", "gpt-small"), ("type", "output")): 10.0,
    }
    [decided] = bench.series("signalbox_decisions_total")
    assert ("reason", "answered") in decided


def test_every_engine_that_was_asked_is_counted_whether_or_not_its_rule_held(bench):
    asked = [["judge", "late", "deadline", 400_000], ["secret", "result", "", 1]]
    one_request(bench, metadata=decision(asked=asked))
    refused = refused_after(["judge", "failed", "run", 9])
    bench.requests(unrouted_entry(400, "signalbox_no_candidate", metadata=refused))

    assert bench.series("signalbox_engine_answers_total") == {
        (("engine", "judge"), ("outcome", "late")): 1.0,
        (("engine", "judge"), ("outcome", "failed")): 1.0,
        (("engine", "other"), ("outcome", "result")): 1.0,
    }
    assert bench.value("signalbox_engine_seconds_sum", engine="judge") == pytest.approx(0.400009)


def refused_after(*asked):
    told = json.dumps({"id": DECISION_ID, "error": "no_candidate", "asked": asked})
    return {**refusal(), "record": told}


def test_labels_of_shadow_engines_are_counted_by_outcome(bench):
    for outcome in ("result", "late", "late"):
        bench.collector.label(Label(v=1, at_seconds=1.0, engine="judge", outcome=outcome))

    assert bench.series("signalbox_engine_labels_total") == {
        (("engine", "judge"), ("outcome", "result")): 1.0,
        (("engine", "judge"), ("outcome", "late")): 2.0,
    }


def test_an_engine_nobody_knows_is_counted_as_other(bench):
    one_request(bench, metadata=decision(engine="secret", engine_outcome="secret", engine_us=1))

    assert bench.series("signalbox_engine_answers_total") == {(("engine", "other"), ("outcome", "other")): 1.0}
