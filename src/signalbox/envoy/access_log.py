"""What the collector is told: one entry per request, one per attempt, never anything of a body."""

from __future__ import annotations

from signalbox.envoy.layout import COLLECTOR_CLUSTER
from signalbox.envoy.resource import Resource, extension

# First body byte, not first header byte: a provider may send headers long before tokens.
TAGS = {
    "ttft_us": "%COMMON_DURATION(US_TX_BEG:US_RX_BODY_BEG:us)%",
    "decide_us": "%FILTER_STATE(envoy.filters.http.ext_proc:FIELD:request_body_total_latency_us)%",
}
RESPONSE_HEADERS = ("retry-after",)


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
