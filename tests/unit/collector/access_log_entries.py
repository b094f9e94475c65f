"""Makes access log entries of the shapes Envoy 1.40 sends: captured from a running one, then cut down."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2

from signalbox._pb.token_usage_pb2 import TokenUsage

REQUEST_ID = "8495f25b-2a2d-4029-98a5-96266e44b153"
DECISION_ID = "01K5ABCDEFGHJKMNPQRSTVWXYZ"

_FIRST_NS = 1_795_252_119_000_000_000
_NANOSECONDS = count(1)

CHAIN = (("cloud", "gpt-large", "gpt-large-2026"), ("spare", "gpt-small", "small-v2"), ("local", "qwen", "qwen3:8b"))


def decision(**changes: Any) -> dict[str, Any]:
    """The `signalbox` metadata of a routed request.

    changes: of the record; None leaves a member out. `chain` has (provider, name, upstream model) entries.
    """
    chain = changes.pop("chain", CHAIN)
    record = {
        "id": DECISION_ID,
        "endpoint": "chat_completions",
        "router": "coding",
        "route": "bug-fixing",
        "reason": "rule",
        "rule": "stack-trace",
        "policy": "0123456789ab",
        "privacy": "any",
        "stream": True,
        "tokens": [-12, 14, 14],
        "estimate": 12,
        "complexity": 0.25,
        "decide_us": 41,
        "chain": [[provider, name] for provider, name, _ in chain],
    }
    record = {key: value for key, value in (record | changes).items() if value is not None}
    return {
        **{key: record[key] for key in ("id", "endpoint", "route", "reason", "privacy") if key in record},
        "record": json.dumps(record),
        "tries": len(chain),
        "edits": [{"at": 62, "len": 17}, {"at": 1, "len": 0, "text": '"stream_options":{"include_usage":true},'}],
        "priority_groups": [{"name": provider} for provider, _, _ in chain],
        "candidates": [
            {"provider": provider, "name": name, "model": json.dumps(upstream)} for provider, name, upstream in chain
        ],
    }


def refusal(code: str = "model_not_found") -> dict[str, Any]:
    record = {"id": DECISION_ID, "error": code, "endpoint": "chat_completions", "policy": "0123456789ab"}
    return {"id": DECISION_ID, "error": code, "endpoint": "chat_completions", "record": json.dumps(record)}


def request_entry(
    *,
    status: int | None = 200,
    metadata: dict[str, Any] | None = None,
    attempts: int = 1,
    cluster: str = "cloud",
    details: str = "via_upstream",
    flags: tuple[str, ...] = (),
    usage: tuple[int, int] | None = (11, 5),
    ttft_us: str | None = "300000",
    spliced: tuple[str, str] | None = None,
    request_id: str = REQUEST_ID,
    port: int = 50666,
    path: str = "/v1/chat/completions",
) -> accesslog_pb2.HTTPAccessLogEntry:
    """The listener's entry of a request that took 1.5 s, its last attempt sent after 0.1 s and done after 1.4 s."""
    entry = _entry(accesslog_pb2.AccessLogType.DownstreamEnd, request_id, port, cluster, status, flags)
    common = entry.common_properties
    common.upstream_request_attempt_count = attempts
    common.start_time.FromNanoseconds(_FIRST_NS + next(_NANOSECONDS))  # no two begin at once
    common.duration.FromMilliseconds(1500)
    common.time_to_first_upstream_tx_byte.FromMilliseconds(100)
    common.time_to_last_upstream_rx_byte.FromMilliseconds(1400)
    if metadata:
        common.metadata.filter_metadata["signalbox"].update(metadata)
        common.custom_tags["decide_us"] = "1387"
    if spliced is not None:
        provider, model = spliced
        common.metadata.filter_metadata["signalbox.attempt"].update({"provider": provider, "model": model})
    if ttft_us is not None:
        common.custom_tags["ttft_us"] = ttft_us
    if usage is not None:
        counts = TokenUsage(extraction_status=TokenUsage.COMPLETE)
        counts.input_tokens.value, counts.output_tokens.value = usage
        packed = common.metadata.typed_filter_metadata["envoy.ai.token_usage"]
        packed.type_url = "type.googleapis.com/envoy.data.ai.v3.TokenUsage"
        packed.value = counts.SerializeToString()
    entry.request.path = path
    entry.response.response_code_details = details
    return entry


def attempt_entry(
    cluster: str = "cloud",
    status: int | None = 200,
    *,
    flags: tuple[str, ...] = (),
    retry_after: str | None = None,
    headers: dict[str, str] | None = None,
    request_id: str = REQUEST_ID,
    port: int = 50666,
    started_ns: int = 0,
) -> accesslog_pb2.HTTPAccessLogEntry:
    """The router's entry of an attempt that has ended. Envoy puts no metadata and no attempt number in."""
    entry = _entry(accesslog_pb2.AccessLogType.UpstreamEnd, request_id, port, cluster, status, flags)
    entry.common_properties.start_time.FromNanoseconds(started_ns or _FIRST_NS + next(_NANOSECONDS))
    entry.response.response_headers.update(headers or {})
    if retry_after is not None:
        entry.response.response_headers["retry-after"] = retry_after
    return entry


def attempt_start(
    cluster: str = "cloud", request_id: str = REQUEST_ID, *, started_ns: int = 0
) -> accesslog_pb2.HTTPAccessLogEntry:
    """The router's entry of an attempt that has a connection now. Its end has the same start time."""
    entry = _entry(accesslog_pb2.AccessLogType.UpstreamPoolReady, request_id, 50666, cluster, None, ())
    entry.common_properties.intermediate_log_entry = True
    entry.common_properties.start_time.FromNanoseconds(started_ns or _FIRST_NS + next(_NANOSECONDS))
    return entry


def running_entry(
    metadata: dict[str, Any] | None = None, request_id: str = REQUEST_ID
) -> accesslog_pb2.HTTPAccessLogEntry:
    """The listener's entry of a request that goes on; Envoy sends one when it has lasted a while."""
    entry = request_entry(metadata=metadata, status=None, usage=None, ttft_us=None, request_id=request_id)
    entry.common_properties.access_log_type = accesslog_pb2.AccessLogType.DownstreamPeriodic
    entry.common_properties.intermediate_log_entry = True
    return entry


def unrouted_entry(status: int | None, details: str, **more: Any) -> accesslog_pb2.HTTPAccessLogEntry:
    """The entry of a request Envoy answered itself."""
    return request_entry(status=status, details=details, attempts=0, cluster="", usage=None, ttft_us=None, **more)


def message(log: str | None, *entries: accesslog_pb2.HTTPAccessLogEntry) -> bytes:
    """One message of a stream. Only the first one names its log; None leaves the name out."""
    batch = als_pb2.StreamAccessLogsMessage()
    if log is not None:
        batch.identifier.log_name = log
    batch.http_logs.log_entry.extend(entries)
    return bytes(batch.SerializeToString())


def _entry(
    kind: int, request_id: str, port: int, cluster: str, status: int | None, flags: tuple[str, ...]
) -> accesslog_pb2.HTTPAccessLogEntry:
    entry = accesslog_pb2.HTTPAccessLogEntry()
    common = entry.common_properties
    common.access_log_type = kind
    common.upstream_cluster = cluster
    common.downstream_direct_remote_address.socket_address.address = "127.0.0.1"
    common.downstream_direct_remote_address.socket_address.port_value = port
    for flag in flags:
        setattr(common.response_flags, flag, True)
    entry.request.request_id = request_id
    entry.request.user_agent = "OpenAI/Python 3.52.0"
    if status is not None:
        entry.response.response_code.value = status
    return entry
