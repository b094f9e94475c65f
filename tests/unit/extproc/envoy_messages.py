"""What Envoy sends, built with Envoy's own classes, and what it reads out of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from google.protobuf.json_format import MessageToDict

from signalbox.record import Record, decode

CHAT_PATH = "/v1/chat/completions"


def chat(model: str = "auto", content: str = "What is the capital of France?", **members: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": content}], **members}).encode()


def body_message(
    body: bytes, path: str | None = CHAT_PATH, headers: Mapping[str, str] | None = None, *, attributes: bool = True
) -> bytes:
    request = pb.ProcessingRequest()
    request.request_body.body = body
    request.request_body.end_of_stream = True
    if attributes:
        _add_attributes(request, path, headers or {})
    message: bytes = request.SerializeToString()
    return message


def headers_message(
    path: str = CHAT_PATH, headers: Mapping[str, str] | None = None, *, end_of_stream: bool = False
) -> bytes:
    request = pb.ProcessingRequest()
    request.request_headers.headers.headers.add(key=":path", raw_value=path.encode())
    request.request_headers.end_of_stream = end_of_stream
    _add_attributes(request, path, headers or {})
    message: bytes = request.SerializeToString()
    return message


def _add_attributes(request: pb.ProcessingRequest, path: str | None, headers: Mapping[str, str]) -> None:
    fields = request.attributes["envoy.filters.http.ext_proc"].fields
    fields["request.id"].string_value = "0b1f7c9e-0000-4000-8000-000000000000"
    if path is not None:
        fields["request.path"].string_value = path
    for name, value in headers.items():
        fields[f"request.headers['{name}']"].string_value = value


def read(answer: bytes) -> pb.ProcessingResponse:
    return pb.ProcessingResponse.FromString(answer)


def metadata(answer: bytes) -> dict[str, Any]:
    """The `signalbox` namespace of an answer's dynamic metadata, as plain data."""
    namespaces: dict[str, Any] = MessageToDict(read(answer).dynamic_metadata)
    assert set(namespaces) == {"signalbox"}
    found: dict[str, Any] = namespaces["signalbox"]
    return found


def record(answer: bytes) -> Record:
    """What an answer tells the collector."""
    return decode(metadata(answer)["record"])


def request_headers_set(answer: bytes) -> dict[str, str]:
    """Headers the answer sets on the request, and how: overwriting is the only way that is safe here."""
    mutation = read(answer).request_body.response.header_mutation
    assert {option.append_action for option in mutation.set_headers} <= {2}  # OVERWRITE_IF_EXISTS_OR_ADD
    return {option.header.key: option.header.raw_value.decode() for option in mutation.set_headers}
