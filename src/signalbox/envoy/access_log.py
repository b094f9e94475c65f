"""What the collector is told: of each attempt its start and end, of each request its end, never anything of a body.

A request that lasts longer than `BEGUN_MS` is also told of once while it goes on: an attempt's start names the provider
and not the model, so that is how the collector learns which model is at work.
"""

from __future__ import annotations

from signalbox.envoy.layout import COLLECTOR_CLUSTER
from signalbox.envoy.resource import Resource, extension

# First body byte, not first header byte: a provider may send headers long before tokens.
TAGS = {
    "ttft_us": "%COMMON_DURATION(US_TX_BEG:US_RX_BODY_BEG:us)%",
    "decide_us": "%FILTER_STATE(envoy.filters.http.ext_proc:FIELD:request_body_total_latency_us)%",
}
RESPONSE_HEADERS = (
    "retry-after",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-tokens-remaining",
)


def access_log(log_name: str) -> Resource:
    """A gRPC access log to the collector. `log_name` is `request` (listener) or `attempt` (router)."""
    return extension(
        "envoy.access_loggers.http_grpc",
        "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        common_config={
            "log_name": log_name,
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": COLLECTOR_CLUSTER}},
            "buffer_flush_interval": "0.1s",  # the default of a second is too old for a health signal
            "custom_tags": [{"tag": tag, "value": value} for tag, value in TAGS.items()],
        },
        additional_response_headers_to_log=list(RESPONSE_HEADERS),
    )


BEGUN_MS = 250
BEGUN_LOG_OPTIONS = {"access_log_flush_interval": f"{BEGUN_MS / 1000:g}s"}


def request_log() -> Resource:
    """The listener's log, to go with `BEGUN_LOG_OPTIONS`: each request's end, and its first periodic entry.

    Probes are no requests.
    """
    # Envoy would make one every 250 ms; the filter lets the first through, even if its timer is a little late.
    is_first = {
        "comparison": {"op": "LE", "value": {"default_value": 2 * BEGUN_MS - 1, "runtime_key": "signalbox.begun"}}
    }
    begun = {"filters": [_log_type("DownstreamPeriodic"), {"duration_filter": is_first}]}
    kinds = {"or_filter": {"filters": [_log_type("DownstreamEnd"), {"and_filter": begun}]}}
    return access_log("request") | {"filter": {"and_filter": {"filters": [{"not_health_check_filter": {}}, kinds]}}}


def _log_type(name: str) -> Resource:
    return {"log_type_filter": {"types": [name]}}
