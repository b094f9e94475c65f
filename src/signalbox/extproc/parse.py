"""Bytes of Envoy's ProcessingRequest in, ParsedRequest out.

Owns what we read from Envoy (which message, which attributes) and what an endpoint's body must hold at the
least. What is inside the body is the scanner's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from signalbox import core
from signalbox.errors import RequestError
from signalbox.types import ENDPOINT_BY_PATH, Endpoint, ParsedRequest, Refusal, Scan

ATTRIBUTES = b"envoy.filters.http.ext_proc"
_HEADER_PREFIX, _HEADER_SUFFIX = "request.headers['", "']"


class Phase(Enum):
    """Which of Envoy's messages this is, as far as we serve them."""

    HEADERS = "request_headers"
    BODY = "request_body"


@dataclass(frozen=True, slots=True)
class Facts:
    """What Envoy's attributes say about a request.

    path: with its query, None if the attribute was not sent. headers: the listed ones that were present.
    """

    path: str | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EnvoyMessage:
    """One ProcessingRequest.

    body: a view into it, empty in a headers message. facts: None where no attributes came.
    """

    phase: Phase
    body: memoryview
    end_of_stream: bool
    facts: Facts | None


def read_message(message: bytes) -> EnvoyMessage:
    """Return the parts of a ProcessingRequest we use.

    Raises ValueError if the bytes are not one, or are for a phase no configuration of ours asks for.
    """
    kind, body, end_of_stream, attributes = core.read_envelope(message, ATTRIBUTES)
    phase = _PHASES.get(kind)
    if phase is None:
        raise ValueError(
            f"expected request_body or request_headers, found {kind or 'neither'}: check the filter's processing_mode"
        )
    return EnvoyMessage(phase, body, end_of_stream, None if attributes is None else _facts(attributes))


_PHASES = {phase.value: phase for phase in Phase}


def _facts(attributes: Mapping[str, str]) -> Facts:
    headers: dict[str, str] = {}
    for name, text in attributes.items():
        if name.startswith(_HEADER_PREFIX):
            headers[name[len(_HEADER_PREFIX) : -len(_HEADER_SUFFIX)]] = text
    return Facts(attributes.get("request.path"), headers)


def find_endpoint(path: str) -> Endpoint:
    """Return the endpoint a path names, whatever its query.

    Raises RequestError 404 `unsupported_endpoint`. The path is not repeated: its query may hold anything.
    """
    endpoint = ENDPOINT_BY_PATH.get(path.partition("?")[0])
    if endpoint is None:
        raise RequestError(
            f"this path is not routed; expected one of {', '.join(ENDPOINT_BY_PATH)}",
            status=404,
            code=Refusal.UNSUPPORTED_ENDPOINT,
        )
    return endpoint


def parse_request(endpoint: Endpoint, body: bytes | memoryview, headers: Mapping[str, str]) -> ParsedRequest:
    """Scan the body and check that it holds what its endpoint cannot do without.

    Raises RequestError 400: `invalid_json` with the offset, or `invalid_request` naming the member.
    """
    scan = core.scan(body)
    _require_input(endpoint, body, scan)
    return ParsedRequest(endpoint, body, scan, headers)


_RESPONSES_INPUTS = ("input", "previous_response_id", "conversation", "prompt")


def _require_input(endpoint: Endpoint, body: bytes | memoryview, scan: Scan) -> None:
    members = scan.members
    if endpoint is Endpoint.CHAT_COMPLETIONS or endpoint is Endpoint.MESSAGES:
        if "messages" not in members:
            raise RequestError("`messages` is missing; expected a list of at least one message")
        if not scan.messages:
            raise RequestError("`messages` is empty; expected a list of at least one message")
    elif endpoint is Endpoint.RESPONSES:
        if not any(_is_given(name, body, members) for name in _RESPONSES_INPUTS):
            raise RequestError("`input` is missing; expected a string, a list of items, or a previous_response_id")
    else:
        name = "prompt" if endpoint is Endpoint.COMPLETIONS else "input"
        if not _is_given(name, body, members):
            raise RequestError(f"`{name}` is missing; expected a string or a list")


def _is_given(name: str, body: bytes | memoryview, members: Mapping[str, tuple[int, int]]) -> bool:
    span = members.get(name)
    return span is not None and body[span[0] : span[1]] != b"null"
