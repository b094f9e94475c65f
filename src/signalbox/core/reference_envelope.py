"""Envoy's message as Envoy's own generated class reads it: the twin of csrc/sb_envelope.c.

Not in `reference`, which is imported without Envoy's modules; the kernel has to agree with protobuf itself,
so a reader of our own would prove less.
"""

from __future__ import annotations

from envoy.service.ext_proc.v3 import external_processor_pb2
from google.protobuf.message import DecodeError

from signalbox.core.wrapper import Envelope


def read_envelope(message: bytes, group: bytes) -> Envelope:
    """Same contract as `core.read_envelope`, but the body is a copy."""
    try:
        request = external_processor_pb2.ProcessingRequest.FromString(message)
    except DecodeError:
        raise ValueError("the message is not a ProcessingRequest") from None
    kind = request.WhichOneof("request") or ""
    content = getattr(request, kind or "request_body")
    name = group.decode()
    attributes = None
    if name in request.attributes:  # subscripting a protobuf map would insert
        fields = request.attributes[name].fields
        attributes = {key: value.string_value for key, value in fields.items()}
    return Envelope(
        kind,
        memoryview(content.body if kind.endswith("body") else b""),
        content.end_of_stream if kind.endswith(("body", "headers")) else False,
        attributes,
    )
