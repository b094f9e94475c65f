"""Envoy's health check of a worker: grpc.health.v1.Health/Check, answered from bytes to bytes.

Only Check: Envoy polls it, and Watch would hold a call open for as long as the connection lives.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

PROCESSOR_SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
CHECK_METHOD = "/grpc.health.v1.Health/Check"
PROCESS_METHOD = f"/{PROCESSOR_SERVICE}/Process"

_SERVING: bytes = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING).SerializeToString()
_NOT_SERVING: bytes = health_pb2.HealthCheckResponse(
    status=health_pb2.HealthCheckResponse.NOT_SERVING
).SerializeToString()


def check(message: bytes, *, serving: bool) -> bytes | None:
    """Return a HealthCheckResponse for a HealthCheckRequest.

    None stands for a service nobody here knows (gRPC status NOT_FOUND), which an unreadable request is too.
    """
    try:
        service = health_pb2.HealthCheckRequest.FromString(message).service
    except DecodeError:
        return None
    if service not in ("", PROCESSOR_SERVICE):
        return None
    return _SERVING if serving else _NOT_SERVING
