"""No access log entry, however odd, is lost to an exception, and no text of a client's reaches the log lines."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from envoy.service.accesslog.v3 import als_pb2
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from signalbox.collector.log import LogWriter
from signalbox.collector.metrics import Metrics
from signalbox.collector.receiver import Receiver
from signalbox.collector.records import ATTEMPT_ENDED, REQUEST_ENDED, attempt_record, request_record
from signalbox.collector.state import Collector
from signalbox.telemetry import AccessLog
from tests.fuzz.bodies import anything, mutated, words
from tests.unit.collector.access_log_entries import attempt_entry, decision, message, refusal, request_entry
from tests.unit.extproc.decisions import POLICY, POLICY_SHA256

SEEDS = (
    message("request", request_entry(metadata=decision(), attempts=2, spliced=("cloud", "large"))),
    message("request", request_entry(metadata=refusal(), status=404, usage=None, ttft_us=None)),
    message("attempt", attempt_entry(status=429, retry_after="7"), attempt_entry(flags=("upstream_remote_reset",))),
    message(None, request_entry()),
)


class Lines(LogWriter):
    def __init__(self) -> None:
        super().__init__(descriptor=-1)
        self.last: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.last.append(line)


class Unreadable(AssertionError):
    """An entry that protobuf could parse and the collector could not."""


class Strict(Collector):
    """A collector that raises what it would only count."""

    def unreadable(self, log: AccessLog, problem: Exception) -> None:
        if not isinstance(problem, DecodeError):
            raise Unreadable(log) from problem


@cache
def receiving() -> tuple[Receiver, Lines]:
    lines = Lines()
    collector = Strict(Metrics(), lines)
    collector.apply_policy(POLICY, POLICY_SHA256)
    return Receiver(collector), lines


def take(data: bytes, log: AccessLog) -> None:
    receiver, lines = receiving()
    lines.last.clear()
    receiver.take(data, log)
    for line in lines.last:
        assert isinstance(json.loads(line), dict)


@given(st.sampled_from(SEEDS) | mutated(st.sampled_from(SEEDS)))
def test_any_message_is_read_or_skipped(data: bytes) -> None:
    for log in (AccessLog.REQUEST, AccessLog.ATTEMPT, AccessLog.OTHER):
        take(data, log)
    try:
        entries = als_pb2.StreamAccessLogsMessage.FromString(data).http_logs.log_entry
    except DecodeError:
        return
    for entry in entries:  # whatever kind of entry it says it is
        request, attempt = request_record(entry), attempt_record(entry)
        assert request.key == attempt.key
        durations = (request.body_seconds, request.duration_seconds, attempt.retry_after_seconds, request.ended_seconds)
        assert all(value is None or value >= 0 for value in durations)


SECRET = "4111 1111 1111 1111"
odd = st.sampled_from(
    ["id", "endpoint", "router", "route", "reason", "rule", "policy", "privacy", "candidates", "edits"]
)
numbers = st.sampled_from(["stream", "prompt_tokens", "complexity", "decide_us", "tries", "error"])


def structured(value: Any) -> Any:
    """JSON as a protobuf Struct can hold it: text that is UTF-8, numbers that are doubles."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return float(max(-(2**53), min(2**53, value)))
    if isinstance(value, list):
        return [structured(item) for item in value]
    if isinstance(value, dict):
        return {structured(name): structured(item) for name, item in value.items()}
    return value


@given(
    st.dictionaries(odd | numbers, anything | words.map(lambda text: f"{text}{SECRET}"), max_size=6),
    st.integers(0, 5),
    st.none() | st.integers(0, 999),
    st.none() | words,
)
def test_metadata_of_any_shape_is_read_and_none_of_its_text_is_logged(
    changes: dict[str, Any], attempts: int, status: int | None, ttft: str | None
) -> None:
    said = decision(**{name: structured(value) for name, value in changes.items()})
    shown = None if ttft is None else ttft.encode("utf-8", "replace").decode()
    entry = request_entry(metadata=said, attempts=attempts, status=status, ttft_us=shown, path=f"/v1/{SECRET}")
    assert entry.common_properties.access_log_type == REQUEST_ENDED != ATTEMPT_ENDED
    take(message("request", entry), AccessLog.OTHER)
    assert not any(SECRET.encode() in line for line in receiving()[1].last)
