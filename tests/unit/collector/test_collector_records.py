"""Access log entries become facts; what is missing or malformed becomes None."""

from datetime import UTC, datetime

import pytest
from access_log_entries import (
    CHAIN,
    DECISION_ID,
    attempt_entry,
    attempt_start,
    decision,
    refusal,
    request_entry,
    running_entry,
    unrouted_entry,
)
from envoy.data.accesslog.v3 import accesslog_pb2

from signalbox._pb.token_usage_pb2 import TokenUsage
from signalbox.collector.records import Usage, attempt_id, attempt_record, request_record, running_request
from signalbox.record import Target
from signalbox.telemetry import AttemptOutcome


def test_a_routed_request_is_read_in_full():
    record = request_record(request_entry(metadata=decision(), attempts=2, cluster="spare"))

    verdict = record.verdict
    assert verdict is not None
    assert (verdict.id, verdict.router, verdict.route, verdict.reason) == (DECISION_ID, "coding", "bug-fixing", "rule")
    assert (verdict.rule, verdict.privacy, verdict.policy) == ("stack-trace", "any", "0123456789ab")
    assert verdict.error == ""
    assert (verdict.stream, verdict.prompt_tokens, verdict.complexity, verdict.decide_us) == (True, 12, 0.25, 41)
    assert verdict.chain == tuple(Target(provider, name) for provider, name, _ in CHAIN)
    assert (record.status, record.attempts, record.details) == (200, 2, "via_upstream")
    assert (record.ttft_us, record.ext_proc_us, record.duration_seconds) == (300_000, 1387, 1.5)
    assert record.ended_seconds == pytest.approx(1_795_252_120.5)
    assert record.usage == Usage(input_tokens=11, output_tokens=5)


def test_the_last_attempt_names_the_model_that_served():
    assert request_record(request_entry(metadata=decision(), attempts=2, cluster="spare")).served == Target(
        "spare", "gpt-small"
    )


def test_a_stopped_attempt_is_not_taken_for_the_one_spliced_before_it():
    chain = (("cloud", "gpt-large", "a"), ("cloud", "gpt-small", "b"))
    stopped = {"attempts": 2, "status": 503, "details": "lua_response", "spliced": ("cloud", "gpt-large")}
    entry = request_entry(metadata=decision(chain=chain), **stopped)

    assert request_record(entry).served == Target("cloud", "gpt-small")


def test_without_a_chain_the_spliced_attempt_names_the_model():
    entry = request_entry(metadata=decision(chain=()), spliced=("cloud", "gpt-large"))

    assert request_record(entry).served == Target("cloud", "gpt-large")


@pytest.mark.parametrize("attempts", [0, 1, 9])
def test_an_attempt_that_fits_no_candidate_has_a_provider_and_no_model(attempts):
    record = request_record(request_entry(metadata=decision(), attempts=attempts, cluster="spare"))

    assert record.served == Target("spare", None)


def test_the_time_after_the_first_token_is_measured_on_the_last_attempt():
    assert request_record(request_entry(metadata=decision())).body_seconds == pytest.approx(1.0)


def test_a_refusal_carries_its_code_and_endpoint():
    record = request_record(unrouted_entry(404, "signalbox_model_not_found", metadata=refusal()))

    assert record.verdict is not None
    assert (record.verdict.error, record.endpoint, record.served) == ("model_not_found", "chat_completions", None)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/chat/completions", "chat_completions"),
        ("/v1/messages?beta=true", "messages"),
        ("/v1/secret-prompt", None),
        ("", None),
    ],
)
def test_without_a_verdict_the_path_tells_the_endpoint(path, endpoint):
    assert request_record(unrouted_entry(503, "direct_response", path=path)).endpoint == endpoint


@pytest.mark.parametrize(
    "record",
    [
        7,
        True,
        ["x"],
        {"x": 1},
        None,
        "",
        "{",
        "[]",
        '"text"',
        "null",
        '{"id": 7}',
        '{"id": "a", "tokens": "many"}',
        "[" * 9999,
    ],
)
def test_a_record_nobody_can_read_is_none_and_leaves_the_rest_readable(record):
    entry = request_entry(metadata=decision())
    entry.common_properties.metadata.filter_metadata["signalbox"]["record"] = record

    read = request_record(entry)
    assert read.verdict is None
    assert (read.status, read.endpoint) == (200, "chat_completions")


def test_a_record_of_a_newer_worker_is_read_as_far_as_it_is_known():
    verdict = request_record(request_entry(metadata=decision(horoscope="good"))).verdict

    assert verdict is not None
    assert verdict.prompt_tokens == 12


@pytest.mark.parametrize("tag", ["-", "", "1.5", "-3", "9" * 30, "١٢"])
def test_a_malformed_tag_is_none(tag):
    assert request_record(request_entry(metadata=decision(), ttft_us=tag)).ttft_us is None


@pytest.mark.parametrize("request_id", ["my secret prompt", "sk-key", "a" * 200, "", "8495f25b\n", "ключ-ключ"])
def test_a_request_id_that_may_be_a_clients_text_is_dropped(request_id):
    assert request_record(request_entry(request_id=request_id)).request_id is None


def test_a_record_whose_id_has_an_odd_shape_is_none():
    assert request_record(request_entry(metadata=decision(id="two words"))).verdict is None


def test_usage_that_envoy_could_not_extract_is_unknown():
    entry = request_entry()
    failed = TokenUsage(extraction_status=TokenUsage.FAILED)
    failed.input_tokens.value = 3
    entry.common_properties.metadata.typed_filter_metadata["envoy.ai.token_usage"].value = failed.SerializeToString()

    assert request_record(entry).usage == Usage()


def test_usage_bytes_that_do_not_parse_are_unknown():
    entry = request_entry()
    entry.common_properties.metadata.typed_filter_metadata["envoy.ai.token_usage"].value = b"\xff\xff\xff"

    assert request_record(entry).usage == Usage()


def test_usage_is_read_as_envoy_writes_it():
    entry = request_entry()
    # Bytes of a real envoy.data.ai.v3.TokenUsage, with fields this package leaves out.
    captured = b'\x08\x01\x12\nqwen-small\x1a\x02\x08\x0b"\x02\x08\x07*\x02\x08\x12B\x02\x08\x12H\x01'
    entry.common_properties.metadata.typed_filter_metadata["envoy.ai.token_usage"].value = captured

    assert request_record(entry).usage == Usage(input_tokens=11, output_tokens=7)


def test_cached_and_reasoning_tokens_are_read_where_the_provider_counts_them():
    entry = request_entry()
    usage = TokenUsage()
    usage.input_token_details.cached_tokens.value = 8
    usage.output_token_details.reasoning_tokens.value = 4
    entry.common_properties.metadata.typed_filter_metadata["envoy.ai.token_usage"].value = usage.SerializeToString()

    assert request_record(entry).usage == Usage(cached_tokens=8, reasoning_tokens=4)


@pytest.mark.parametrize(
    ("status", "flags", "outcome"),
    [
        (200, (), AttemptOutcome.OK),
        (429, (), AttemptOutcome.RATE_LIMITED),
        (404, (), AttemptOutcome.CLIENT_ERROR),
        (503, (), AttemptOutcome.SERVER_ERROR),
        (200, ("upstream_protocol_error",), AttemptOutcome.CUT),
        (200, ("upstream_connection_termination",), AttemptOutcome.CUT),
        (None, ("upstream_connection_termination",), AttemptOutcome.RESET),
        (None, ("upstream_remote_reset",), AttemptOutcome.RESET),
        (None, ("upstream_request_timeout",), AttemptOutcome.TIMEOUT),
        (None, ("upstream_connection_failure",), AttemptOutcome.REFUSED),
        (None, (), None),
    ],
)
def test_an_attempts_end_is_read_from_status_and_flags(status, flags, outcome):
    assert attempt_record(attempt_entry(status=status, flags=flags)).outcome is outcome


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2.0),
        ("0.25", 0.25),
        ("Sat, 21 Nov 2026 10:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 9_999_999.0),
        ("Sat, 21 Nov 2026 10:00:30", None),
        ("tomorrow", None),
        ("99999999", None),
        ("1e3", None),
        ("\u0662", None),
        ("nan", None),
        ("", None),
        ("-1", None),
        ("2" * 5000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_counted_from_the_attempts_start(text, seconds):
    started_ns = int(datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp()) * 10**9
    entry = attempt_entry(status=429, retry_after=text, started_ns=started_ns)

    assert attempt_record(entry).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("headers", "remaining"),
    [
        ({"x-ratelimit-remaining-requests": "59", "x-ratelimit-remaining-tokens": "0"}, (59, 0)),
        ({"anthropic-ratelimit-requests-remaining": "7", "anthropic-ratelimit-tokens-remaining": "9000"}, (7, 9000)),
        ({"x-ratelimit-remaining-requests": "many", "x-ratelimit-remaining-tokens": "-1"}, (None, None)),
        ({"x-ratelimit-remaining-requests": "1.5", "x-ratelimit-remaining-tokens": "9" * 400}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_what_a_provider_will_still_take_is_read_from_its_headers(headers, remaining):
    record = attempt_record(attempt_entry(headers=headers))

    assert (record.remaining_requests, record.remaining_tokens) == remaining


def test_start_and_end_of_an_attempt_have_one_name_and_no_other_attempt_has_it():
    names = [attempt_id(attempt_start("cloud", started_ns=ns)) for ns in (10**18, 10**18 + 1)]
    end = attempt_record(attempt_entry("cloud", started_ns=10**18))

    assert end.id == names[0]
    assert names[0] != names[1]


def test_a_request_that_goes_on_names_its_chain():
    entry = running_entry(decision())

    assert running_request(entry) == (request_record(entry).key, tuple(Target(p, name) for p, name, _ in CHAIN))
    assert running_request(running_entry())[1] == ()


def test_an_empty_entry_is_readable():
    empty = accesslog_pb2.HTTPAccessLogEntry()

    assert request_record(empty).verdict is None
    assert attempt_record(empty).outcome is None


@pytest.mark.parametrize("seconds", [-1, 10**17])
def test_a_time_that_makes_no_sense_is_none(seconds):
    entry = request_entry()
    entry.common_properties.start_time.seconds = seconds
    entry.common_properties.duration.seconds = seconds

    record = request_record(entry)
    assert (record.ended_seconds, record.duration_seconds) == (None, None)
