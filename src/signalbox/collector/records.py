"""Entries of Envoy's access log as plain facts.

What can be missing or malformed is None: an entry describes whatever went wrong, so odd ones are
normal. Nothing a client wrote comes through here, except a request id of harmless shape. What the
sidecar said about the request is read by `verdict`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from envoy.data.accesslog.v3 import accesslog_pb2
from google.protobuf.message import DecodeError

from signalbox._pb.token_usage_pb2 import TokenUsage
from signalbox.collector.details import NO_HEALTHY_UPSTREAM, known_details
from signalbox.collector.verdict import match, read_record, text_of
from signalbox.record import Record, Target
from signalbox.telemetry import AttemptOutcome
from signalbox.types import ENDPOINT_BY_PATH

DECISION_NAMESPACE = "signalbox"
ATTEMPT_NAMESPACE = "signalbox.attempt"
USAGE_NAMESPACE = "envoy.ai.token_usage"

REQUEST_ENDED = accesslog_pb2.AccessLogType.DownstreamEnd
REQUEST_GOES_ON = accesslog_pb2.AccessLogType.DownstreamPeriodic
ATTEMPT_STARTED = accesslog_pb2.AccessLogType.UpstreamPoolReady  # a connection is there; none for a refused one
ATTEMPT_ENDED = accesslog_pb2.AccessLogType.UpstreamEnd  # exactly one for each attempt, started or not

# Envoy makes request ids as UUIDs and replaces those of strangers; a trusted proxy may send its own.
_REQUEST_ID = re.compile(r"[0-9a-fA-F-]{8,64}")

# What OpenAI and those who follow it call it, then Anthropic.
REMAINING_REQUESTS = ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining")
REMAINING_TOKENS = ("x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining")

_SECONDS = re.compile(r"[0-9]{1,7}(\.[0-9]{1,9})?")  # some providers send fractions
_MAX_HEADER_LENGTH = 64
_LONGEST_WAIT_SECONDS = 9_999_999.0

_YEAR_5138_SECONDS = 1e11  # far below what a date can hold, far above any clock

ExchangeKey = tuple[str, str, int]
"""Request id, address and port of the client's connection: what a request and its attempts share."""


class AttemptId(NamedTuple):
    """What the start and the end of an attempt share, and no other attempt has.

    started_ns: by Envoy's clock, since the epoch; 0 when the entry does not say.
    """

    key: ExchangeKey
    provider: str
    started_ns: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the provider reported them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, when its answer has ended.

    status: None when the client got none. attempts: providers tried, 0 or more.
    served: target of the last attempt. details: see `details.known_details`.
    ttft_us: last attempt, request sent to first byte of the response body, microseconds.
    body_seconds: that first byte to the provider's last.
    """

    key: ExchangeKey
    ended_seconds: float | None
    request_id: str | None
    endpoint: str | None
    verdict: Record | None
    served: Target | None
    attempts: int
    status: int | None
    details: str
    client_gone: bool
    ext_proc_us: int | None
    ttft_us: int | None
    body_seconds: float | None
    duration_seconds: float | None
    usage: Usage
    started_ns: int = 0


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt at one provider, when it has ended.

    outcome: None when only the request's own entry can tell, as for a denied attempt.
    retry_after_seconds: how long the provider asked us to stay away.
    remaining_requests, remaining_tokens: what the provider will still take in its current period, as it said.
    """

    key: ExchangeKey
    provider: str
    outcome: AttemptOutcome | None
    retry_after_seconds: float | None
    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    started_ns: int = 0

    @property
    def id(self) -> AttemptId:
        return AttemptId(self.key, self.provider, self.started_ns)


def request_record(entry: accesslog_pb2.HTTPAccessLogEntry) -> RequestRecord:
    """Read the listener's entry of a request that has ended."""
    common, response = entry.common_properties, entry.response
    metadata = common.metadata.filter_metadata
    verdict = read_record(metadata[DECISION_NAMESPACE].fields) if DECISION_NAMESPACE in metadata else None
    tags = common.custom_tags
    ttft_us = _microseconds(tags.get("ttft_us"))
    duration = _seconds(common, "duration")
    started = _seconds(common, "start_time")
    attempts = common.upstream_request_attempt_count
    details = known_details(response.response_code_details)
    return RequestRecord(
        key=_key(entry),
        ended_seconds=None if started is None else started + (duration or 0.0),
        request_id=match(_REQUEST_ID, entry.request.request_id),
        endpoint=(verdict and verdict.endpoint) or _endpoint(entry.request.path),
        verdict=verdict,
        served=_served(verdict, attempts, common.upstream_cluster, details, metadata),
        attempts=attempts,
        status=response.response_code.value or None,
        details=details,
        client_gone=_client_gone(common.response_flags),
        ext_proc_us=_microseconds(tags.get("decide_us")),
        ttft_us=ttft_us,
        body_seconds=_body_seconds(common, ttft_us),
        duration_seconds=duration,
        # Of an engine's own answer Envoy reads the sum over all models; the worker says which.
        usage=Usage()
        if verdict is not None and verdict.spent_on_answer
        else _usage(common.metadata.typed_filter_metadata),
        started_ns=_nanoseconds(common),
    )


def running_request(entry: accesslog_pb2.HTTPAccessLogEntry) -> tuple[ExchangeKey, tuple[Target, ...]]:
    """Read the listener's entry of a request that goes on: its key, and the chain its attempts walk."""
    metadata = entry.common_properties.metadata.filter_metadata
    record = read_record(metadata[DECISION_NAMESPACE].fields) if DECISION_NAMESPACE in metadata else None
    return _key(entry), record.chain if record is not None else ()


def attempt_id(entry: accesslog_pb2.HTTPAccessLogEntry) -> AttemptId:
    """Name the attempt that one of the router's entries belongs to."""
    common = entry.common_properties
    return AttemptId(_key(entry), common.upstream_cluster, _nanoseconds(common))


def attempt_record(entry: accesslog_pb2.HTTPAccessLogEntry) -> AttemptRecord:
    """Read the router's entry of an attempt that has ended."""
    common, response = entry.common_properties, entry.response
    headers = response.response_headers
    started_ns = _nanoseconds(common)
    return AttemptRecord(
        key=_key(entry),
        provider=common.upstream_cluster,
        outcome=_outcome(response.response_code.value, common.response_flags),
        retry_after_seconds=_retry_after(headers.get("retry-after"), started_ns) if headers else None,
        remaining_requests=_remaining(headers, REMAINING_REQUESTS) if headers else None,
        remaining_tokens=_remaining(headers, REMAINING_TOKENS) if headers else None,
        started_ns=started_ns,
    )


def _key(entry: accesslog_pb2.HTTPAccessLogEntry) -> ExchangeKey:
    client = entry.common_properties.downstream_direct_remote_address.socket_address
    return entry.request.request_id, client.address, client.port_value


def _endpoint(path: str) -> str | None:
    return ENDPOINT_BY_PATH.get(path.partition("?")[0])


def _served(
    verdict: Record | None, attempts: int, cluster: str, details: str, metadata: Mapping[str, Any]
) -> Target | None:
    # Attempt n belongs to candidate n. The chain comes before the note of the last splice, which is
    # still the previous attempt's when Envoy stopped this one before the splice; and where no host was
    # found, so is the cluster.
    if verdict is not None and 0 < attempts <= len(verdict.chain):
        candidate = verdict.chain[attempts - 1]
        if candidate.provider == cluster or details == NO_HEALTHY_UPSTREAM:
            return candidate
    if not cluster:
        return None
    if ATTEMPT_NAMESPACE in metadata:
        spliced = dict(metadata[ATTEMPT_NAMESPACE].fields.items())
        if text_of(spliced.get("provider")) == cluster:
            return Target(cluster, text_of(spliced.get("model")))
    return Target(cluster, None)


def _client_gone(flags: accesslog_pb2.ResponseFlags) -> bool:
    return bool(flags.downstream_connection_termination or flags.downstream_remote_reset)


def _outcome(status: int, flags: accesslog_pb2.ResponseFlags) -> AttemptOutcome | None:
    broken = (
        flags.upstream_connection_termination
        or flags.upstream_remote_reset
        or flags.upstream_protocol_error
        or flags.local_reset
    )
    if status == 0:
        if flags.upstream_request_timeout:
            return AttemptOutcome.TIMEOUT
        if flags.upstream_connection_failure or flags.no_healthy_upstream or flags.upstream_overflow:
            return AttemptOutcome.REFUSED
        return AttemptOutcome.RESET if broken else None
    if status == 429:
        return AttemptOutcome.RATE_LIMITED
    if status >= 500:
        return AttemptOutcome.SERVER_ERROR
    if status >= 400:
        return AttemptOutcome.CLIENT_ERROR
    return AttemptOutcome.CUT if broken else AttemptOutcome.OK


def _usage(typed_metadata: Mapping[str, Any]) -> Usage:
    if USAGE_NAMESPACE not in typed_metadata:
        return Usage()
    try:
        usage = TokenUsage.FromString(typed_metadata[USAGE_NAMESPACE].value)
    except DecodeError:
        return Usage()
    if usage.extraction_status == TokenUsage.FAILED:
        return Usage()
    prompt, answer = usage.input_token_details, usage.output_token_details
    return Usage(
        input_tokens=usage.input_tokens.value if usage.HasField("input_tokens") else None,
        output_tokens=usage.output_tokens.value if usage.HasField("output_tokens") else None,
        cached_tokens=prompt.cached_tokens.value if prompt.HasField("cached_tokens") else None,
        reasoning_tokens=answer.reasoning_tokens.value if answer.HasField("reasoning_tokens") else None,
    )


def _body_seconds(common: accesslog_pb2.AccessLogCommon, ttft_us: int | None) -> float | None:
    sent, last = _seconds(common, "time_to_first_upstream_tx_byte"), _seconds(common, "time_to_last_upstream_rx_byte")
    if sent is None or last is None or ttft_us is None:
        return None
    return max(0.0, last - sent - ttft_us / 1e6)


def _seconds(message: Any, field: str) -> float | None:
    """Seconds of a Timestamp or Duration field; None when it is not set or makes no sense."""
    if not message.HasField(field):
        return None
    value = getattr(message, field)
    seconds: float = value.seconds + value.nanos * 1e-9
    return seconds if 0 <= seconds < _YEAR_5138_SECONDS else None


def _microseconds(text: str | None) -> int | None:
    # Envoy writes "-" where it has no value.
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def _nanoseconds(common: accesslog_pb2.AccessLogCommon) -> int:
    started = common.start_time
    return int(started.seconds * 1_000_000_000 + started.nanos)


def _retry_after(text: str | None, started_ns: int) -> float | None:
    """Seconds, or a date (RFC 9110, section 10.2.3), which is counted from the attempt's start."""
    if not text or len(text) > _MAX_HEADER_LENGTH:
        return None
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        seconds = date.timestamp() - started_ns / 1e9
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), _LONGEST_WAIT_SECONDS) if started_ns and date.tzinfo is not None else None


def _remaining(headers: Mapping[str, str], names: Sequence[str]) -> int | None:
    for name in names:
        text = headers.get(name)
        if text and text.isascii() and text.isdigit() and len(text) < 16:
            return int(text)
    return None
