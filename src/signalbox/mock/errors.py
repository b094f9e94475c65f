"""Errors as the two vendors spell them: status, type and code in, a JSON body and headers out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

RETRY_AFTER_SECONDS = 2


class Vendor(StrEnum):
    """Whose error shape and headers an answer uses."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class ApiError(Exception):
    """An answer that is an error.

    status: HTTP status, 400 to 599.
    code: OpenAI's `error.code`; None where OpenAI sends null.
    param: the offending member of the body; None when it is not about one.
    """

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
OPENAI_CODES = {
    401: "invalid_api_key",
    404: "not_found",
    429: "rate_limit_exceeded",
    503: "service_unavailable",
}
# https://docs.anthropic.com/en/api/errors
ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(vendor: Vendor, error: ApiError, request_id: str) -> dict[str, Any]:
    """The JSON document `vendor` would answer with."""
    if vendor is Vendor.ANTHROPIC:
        kind = ANTHROPIC_TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
        return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": request_id}
    kind = OPENAI_TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    code = error.code or OPENAI_CODES.get(error.status)
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": code}}


def error_headers(vendor: Vendor, status: int) -> dict[str, str]:
    """Headers that come with the status: a 429 says when to come back and what is left."""
    if status != 429:
        return {}
    retry = {"retry-after": str(RETRY_AFTER_SECONDS)}
    if vendor is Vendor.ANTHROPIC:
        reset = datetime.now(UTC) + timedelta(seconds=RETRY_AFTER_SECONDS)
        return retry | {
            "anthropic-ratelimit-requests-limit": "60",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    return retry | {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": f"{RETRY_AFTER_SECONDS}s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": f"{RETRY_AFTER_SECONDS}s",
    }
