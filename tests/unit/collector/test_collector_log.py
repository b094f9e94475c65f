"""Log lines: complete, without content, and never in the way."""

import json
import os
import re
import time

import pytest
from access_log_entries import DECISION_ID, REQUEST_ID, attempt_entry, decision, refusal, request_entry, unrouted_entry
from collector_bench import POLICY

from signalbox import telemetry
from signalbox.collector import log
from signalbox.collector.log import LogWriter
from signalbox.policy.schema import Policy
from signalbox.telemetry import AccessLog


def test_a_routed_request_is_one_line_with_everything_an_operator_asks_for(bench):
    bench.attempts(attempt_entry())
    bench.requests(request_entry(metadata=decision()))

    assert bench.log.lines == [
        {
            "time": "2026-11-21T09:08:40.500Z",
            "level": "info",
            "event": "request",
            "id": DECISION_ID,
            "request_id": REQUEST_ID,
            "endpoint": "chat_completions",
            "router": "coding",
            "route": "bug-fixing",
            "reason": "rule",
            "rule": "stack-trace",
            "model": "gpt-large",
            "provider": "cloud",
            "attempts": 1,
            "outcomes": ["ok"],
            "status": 200,
            "details": "via_upstream",
            "ttft_ms": 300.0,
            "duration_ms": 1500.0,
            "decide_us": 41,
            "ext_proc_us": 1387,
            "prompt_tokens": 12,
            "complexity": 0.25,
            "input_tokens": 11,
            "output_tokens": 5,
            "stream": True,
            "privacy": "any",
            "policy": "0123456789ab",
        }
    ]


@pytest.mark.parametrize("policy", ["4111 1111 1111 1111", "0123456789AB", "0123456789ab\n"])
def test_what_is_no_hash_of_a_policy_is_not_logged_as_one(bench, policy):
    bench.requests(request_entry(metadata=decision(policy=policy), attempts=0))

    assert "policy" not in bench.log.lines[0]


def test_a_refusal_says_its_code(bench):
    bench.requests(unrouted_entry(404, "signalbox_model_not_found", metadata=refusal()))

    line = bench.log.lines[0]
    assert (line["error"], line["status"], line["level"]) == ("model_not_found", 404, "info")
    assert line["details"] == "signalbox_model_not_found"


def test_a_request_without_a_decision_says_why(bench):
    bench.requests(unrouted_entry(503, "ext_proc_error_gRPC_error_14{remote_address:run/w0.sock}"))

    line = bench.log.lines[0]
    assert (line["undecided"], line["level"], line["details"]) == (
        "worker_failed",
        "warning",
        "ext_proc_error_gRPC_error_14",
    )


def test_half_an_answer_is_a_warning_whatever_its_status(bench):
    bench.attempts(attempt_entry(status=200, flags=("upstream_connection_termination",)))
    bench.requests(request_entry(metadata=decision(), details="upstream_reset_after_response_started{x}"))

    assert (bench.log.lines[0]["level"], bench.log.lines[0]["outcomes"]) == ("warning", ["cut"])


def test_a_client_that_left_is_no_warning(bench):
    bench.requests(unrouted_entry(None, "downstream_remote_disconnect", flags=("downstream_connection_termination",)))

    assert bench.log.lines[0]["level"] == "info"


def test_nothing_a_client_or_provider_wrote_gets_into_a_line(bench):
    secret = "sk-live-secret"
    entry = request_entry(metadata=decision(edits=[{"at": 1, "len": 0, "text": secret}]), request_id=secret)
    entry.request.path = f"/v1/chat/completions?key={secret}"
    entry.request.user_agent = entry.request.referer = entry.request.authority = secret
    entry.request.request_headers["authorization"] = secret
    entry.response.response_headers["retry-after"] = secret
    entry.response.response_code_details = f"ext_proc_error_gRPC_error_2{{{secret}}}"
    entry.common_properties.upstream_transport_failure_reason = secret
    entry.common_properties.metadata.filter_metadata["signalbox"]["route"] = secret
    entry.common_properties.metadata.filter_metadata["signalbox"]["prompt"] = secret
    bench.requests(entry)
    bench.later(2)

    assert len(bench.log.raw) == 1
    assert secret.encode() not in bench.log.raw[0]
    samples = str([list(family.samples) for family in bench.collector.metrics.registry.collect()])
    assert secret not in samples


def test_every_field_of_a_line_is_declared_and_every_declared_field_occurs(bench):
    bench.attempts(attempt_entry("cloud", 429, retry_after="2"), attempt_entry("spare"))
    bench.requests(
        request_entry(metadata=decision(), attempts=2, cluster="spare"),
        unrouted_entry(404, "signalbox_model_not_found", metadata=refusal()),
        unrouted_entry(503, "direct_response"),
    )
    usage = request_entry(
        metadata=decision(engine="judge", engine_outcome="result", engine_us=5200, score=0.7, cut="following")
    )
    packed = usage.common_properties.metadata.typed_filter_metadata["envoy.ai.token_usage"]
    packed.value += b"\x32\x04\x0a\x02\x08\x08\x3a\x04\x0a\x02\x08\x04"  # 8 cached, 4 reasoning
    bench.requests(usage)
    bench.later(2)

    assert {name for line in bench.log.lines for name in line} == set(telemetry.LOG_FIELDS)


def test_fields_come_in_the_declared_order(bench):
    bench.requests(unrouted_entry(503, "direct_response"))

    order = list(telemetry.LOG_FIELDS)
    names = list(bench.log.lines[0])
    assert names == sorted(names, key=order.index)


def test_times_are_rfc_3339_in_utc(bench):
    bench.requests(unrouted_entry(503, "direct_response"))
    line = json.loads(log.event_line("something"))

    for time_text in (line["time"], bench.log.lines[0]["time"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time_text)


def test_the_writer_writes_whole_lines_in_order():
    reading, writing = os.pipe()
    writer = LogWriter(writing)
    writer.start()
    lines = [b'{"n":%d}\n' % number for number in range(1000)]
    for line in lines:
        writer.write(line)
    writer.close()
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.readlines() == lines
    assert writer.dropped == 0


def test_a_write_that_takes_only_a_part_is_continued(monkeypatch):
    written = bytearray()

    def short_write(_descriptor: int, data: memoryview) -> int:
        written.extend(data[:7])
        return min(7, len(data))

    monkeypatch.setattr(log.os, "write", short_write)
    writer = LogWriter(1)
    writer.start()
    writer.write(b"0123456789\n")
    writer.write(b"abc\n")
    writer.close()

    assert bytes(written) == b"0123456789\nabc\n"


def test_a_reader_that_stopped_reading_holds_up_nobody(monkeypatch):
    monkeypatch.setattr(log, "MAX_BUFFERED_BYTES", 200_000)
    reading, writing = os.pipe()
    writer = LogWriter(writing)
    writer.start()
    line = b"x" * 999 + b"\n"
    started = time.monotonic()
    for _ in range(1000):
        writer.write(line)

    assert time.monotonic() - started < 1
    assert writer.dropped == 800
    os.close(reading)  # the stuck write ends, as an error
    writer.close()
    os.close(writing)


def test_a_closed_standard_output_costs_lines_and_nothing_else():
    reading, writing = os.pipe()
    os.close(reading)
    writer = LogWriter(writing)
    writer.start()
    writer.write(b"{}\n")
    writer.close()
    os.close(writing)

    assert writer.dropped == 1


def test_dropped_lines_are_counted(bench):
    bench.log.dropped = 7
    bench.later(1)

    assert bench.value("signalbox_log_lines_dropped_total") == 7


def at_level(bench, level: str) -> list[tuple[str, str]]:
    """(event, level) of what is logged for a good request, a broken one and an odd entry."""
    policy = {**POLICY, "telemetry": {"log_level": level}}
    bench.collector.apply_policy(Policy.model_validate(policy), "1" * 64)
    bench.requests(request_entry(metadata=decision(), attempts=0), unrouted_entry(503, "direct_response"))
    bench.receiver.take(b"\xff\xff", AccessLog.OTHER)
    return [(line["event"], line["level"]) for line in bench.log.lines]


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        ("info", [("request", "info"), ("request", "warning"), ("access_log_unreadable", "warning")]),
        ("warning", [("request", "warning"), ("access_log_unreadable", "warning")]),
        ("error", []),
    ],
)
def test_a_log_level_leaves_out_what_matters_less_and_the_metrics_count_it_all(bench, level, lines):
    assert at_level(bench, level) == lines
    assert sum(bench.series("signalbox_requests_total").values()) == 2
    assert bench.value("signalbox_log_lines_dropped_total") == 0


def test_the_log_level_changes_with_the_policy(bench):
    at_level(bench, "error")
    assert len(at_level(bench, "info")) == 3
