"""What the reader of Envoy's messages gives back, for the kernel and its reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

KINDS = {
    0: "",
    2: "request_headers",
    3: "response_headers",
    4: "request_body",
    5: "response_body",
    6: "request_trailers",
    7: "response_trailers",
}
"""Alternatives of ProcessingRequest.request by field number, as `sb_envelope_kind` in csrc/sb_envelope.h."""


class Envelope(NamedTuple):
    """One ProcessingRequest, as far as a router reads it.

    kind: which alternative of `request` it carries, empty for none. body: of a body message, still in the bytes
    of the message and keeping them alive; else empty. attributes: of the group asked for, name -> text, empty
    where the value is no string; None if the message has no such group.
    """

    kind: str
    body: memoryview
    end_of_stream: bool
    attributes: Mapping[str, str] | None
