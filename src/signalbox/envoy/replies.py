"""Every answer that Envoy or the sidecar gives itself, in the error shape that the client's SDK parses.

A refusal of the sidecar carries its own sentence and code: they speak of the request. Everything else
gets a fixed text, because what Envoy would say itself names sockets, addresses and filters.
"""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.envoy.layout import METADATA_NAMESPACE
from signalbox.envoy.resource import IS_PRESENT, Resource, is_text, metadata, set_header
from signalbox.types import Endpoint

MODELS_PATH = "/v1/models"
EMPTY_BODY_STATUS = 422  # between a route and the table below only: tells its 400 from Envoy's own ones
REFUSAL_TEXT = "%LOCAL_REPLY_BODY%"
REFUSAL_CODE = f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:error)%"
DECISION_ID = f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:id)%"


@dataclass(frozen=True, slots=True)
class Reply:
    """One row of the table: which local replies it is for, and what the client reads.

    statuses: first and last HTTP status, inclusive.
    anthropic_type: `error.type` under /v1/messages; Anthropic tells errors apart by it, not by a code.
    send_status: HTTP status to send instead.
    """

    name: str
    statuses: tuple[int, int]
    message: str
    type: str
    code: str
    anthropic_type: str
    refusal: bool = False  # only if the sidecar refused the request
    decided: bool = False  # only if there is a decision
    path_prefix: str | None = None
    send_status: int | None = None


def _refusal(name: str, first: int, last: int, type_: str, anthropic_type: str) -> Reply:
    return Reply(name, (first, last), REFUSAL_TEXT, type_, REFUSAL_CODE, anthropic_type, refusal=True)


UNAVAILABLE = "the gateway could not serve this request"

# The first row that fits is used.
REPLIES = (
    _refusal("refused_401", 401, 401, "authentication_error", "authentication_error"),
    _refusal("refused_403", 403, 403, "permission_error", "permission_error"),
    _refusal("refused_404", 404, 404, "invalid_request_error", "not_found_error"),
    _refusal("refused_413", 413, 413, "invalid_request_error", "request_too_large"),
    _refusal("refused_429", 429, 429, "rate_limit_error", "rate_limit_error"),
    _refusal("refused_4xx", 400, 499, "invalid_request_error", "invalid_request_error"),
    _refusal("refused_5xx", 500, 599, "server_error", "api_error"),
    Reply(
        "bad_request", (400, 400), "the request is malformed, or a header's name has an underscore",
        "invalid_request_error", "bad_request", "invalid_request_error",
    ),
    # A provider's key could not be read. That is the operator's doing, not the client's.
    Reply(
        "no_credential", (401, 401), UNAVAILABLE, "server_error", "gateway_unavailable", "api_error",
        decided=True, send_status=503,
    ),
    Reply(
        "unauthorized", (401, 401), "the request is not authenticated", "authentication_error", "unauthorized",
        "authentication_error",
    ),
    Reply(
        "local_only", (403, 403), "this request is local-only, and no local model took it", "permission_error",
        "local_only", "permission_error", decided=True,
    ),
    Reply(
        "forbidden", (403, 403), "this is not allowed here", "permission_error", "forbidden", "permission_error",
    ),
    Reply(
        "unknown_model", (404, 404), f"there is no such model; GET {MODELS_PATH} lists them",
        "invalid_request_error", "model_not_found", "not_found_error", path_prefix=f"{MODELS_PATH}/",
    ),
    Reply(
        "unknown_path", (404, 404),
        "there is no such path; this gateway serves " + ", ".join([*(e.path for e in Endpoint), MODELS_PATH]),
        "invalid_request_error", "not_found", "not_found_error",
    ),
    Reply(
        "wrong_method", (405, 405), "this path takes another method; see the allow header", "invalid_request_error",
        "method_not_allowed", "invalid_request_error",
    ),
    Reply(
        "late_body", (408, 408), "the request did not arrive in time", "invalid_request_error", "request_timeout",
        "invalid_request_error",
    ),
    Reply(
        "too_large", (413, 413), "the request body is larger than this gateway takes", "invalid_request_error",
        "request_too_large", "request_too_large",
    ),
    Reply(
        "empty_body", (EMPTY_BODY_STATUS, EMPTY_BODY_STATUS), "the request has no body; send a JSON object",
        "invalid_request_error", "invalid_json", "invalid_request_error", send_status=400,
    ),
    Reply(
        "too_many", (429, 429), "too many requests", "rate_limit_error", "rate_limited", "rate_limit_error",
    ),
    Reply(
        "client_error", (400, 499), "the request cannot be served", "invalid_request_error", "invalid_request",
        "invalid_request_error",
    ),
    Reply(
        "timeout", (504, 504), "no answer arrived in time", "server_error", "gateway_timeout", "timeout_error",
    ),
    Reply("server_error", (500, 599), UNAVAILABLE, "server_error", "gateway_unavailable", "api_error"),
)  # fmt: skip


def local_reply_config() -> Resource:
    """`local_reply_config` of the listener: Anthropic's shape under /v1/messages, OpenAI's elsewhere.

    Anthropic's is OpenAI's with one key more, so a client of either finds its fields in both.
    """
    errors = [_mapper(reply, anthropic) for anthropic in (True, False) for reply in REPLIES]
    return {"mappers": [_answer("whole", "application/json"), _answer("stream", "text/event-stream"), *errors]}


def _answer(kind: str, content_type: str) -> Resource:
    """An engine's own answer, byte for byte. The sidecar says which kind it is and can set no header itself."""
    marked = {"metadata_filter": {"matcher": metadata("answered", is_text(kind)), "match_if_key_not_found": False}}
    return {
        "filter": {"and_filter": {"filters": [_status("EQ", 200, "answered"), marked]}},
        "body_format_override": {
            "text_format_source": {"inline_string": REFUSAL_TEXT},
            "content_type": content_type,
        },
        "headers_to_add": [
            set_header("x-signalbox-decision", DECISION_ID),
            *(
                set_header(header, f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{key})%")
                for header, key in (
                    ("x-model-router-selected-route", "route"),
                    ("x-signalbox-model", "model"),
                    ("x-signalbox-reason", "reason"),
                )
            ),
        ],
    }


def _mapper(reply: Reply, anthropic: bool) -> Resource:
    conditions: list[Resource] = []
    first, last = reply.statuses
    if first == last:
        conditions.append(_status("EQ", first, reply.name))
    else:
        conditions += [_status("GE", first, reply.name), _status("LE", last, reply.name)]
    if reply.refusal:
        conditions.append(_has_metadata("error"))
    if reply.decided:
        conditions.append(_has_metadata("tries"))
    prefix = Endpoint.MESSAGES.path if anthropic else reply.path_prefix
    if prefix:
        conditions.append({"header_filter": {"header": {"name": ":path", "string_match": {"prefix": prefix}}}})
    error = {
        "type": reply.anthropic_type if anthropic else reply.type,
        "message": reply.message,
        "param": None,
        "code": reply.code,
    }
    mapper: Resource = {
        "filter": conditions[0] if len(conditions) == 1 else {"and_filter": {"filters": conditions}},
        "body_format_override": {"json_format": {"type": "error", "error": error} if anthropic else {"error": error}},
        "headers_to_add": [set_header("x-signalbox-decision", DECISION_ID)],
    }
    if reply.send_status is not None:
        mapper["status_code"] = reply.send_status
    return mapper


def _status(op: str, status: int, name: str) -> Resource:
    # Envoy insists on a runtime key; nobody sets it.
    return {
        "status_code_filter": {
            "comparison": {"op": op, "value": {"default_value": status, "runtime_key": f"signalbox.reply.{name}"}}
        }
    }


def _has_metadata(key: str) -> Resource:
    return {"metadata_filter": {"matcher": metadata(key, IS_PRESENT), "match_if_key_not_found": False}}
