"""Envoy's response code details, cut down to words that can be shown.

Envoy appends error texts to some of them: socket paths, addresses, even the message of an exception
in a worker. Only the words below leave this module; whatever else Envoy says becomes `other`.
"""

from __future__ import annotations

import re

from signalbox.telemetry import OTHER, UndecidedCause

DIRECT_RESPONSE = "direct_response"
NO_HEALTHY_UPSTREAM = "no_healthy_upstream"
OVERFLOW = "ext_proc_error_gRPC_error_14{overflow}"
DECISION_LATE = "ext_proc_error_per-message_timeout_exceeded"

# Written by filters inside a provider's cluster: the attempt ended before it reached the provider.
STOPPED_IN_CLUSTER = frozenset({"rbac_access_denied", "lua_response", "failed_to_inject_credential"})

# A running response went silent, or no attempt got that far in time.
TIMEOUTS = frozenset({"stream_idle_timeout", "response_timeout", "upstream_response_timeout", "max_duration_timeout"})

_CLIENT_GONE = frozenset({"downstream_remote_disconnect", "downstream_local_disconnect", "http2.remote_reset"})
_UPLOAD_TIMEOUTS = frozenset({"request_overall_timeout", "request_header_timeout"})
_TOO_LARGE = frozenset({"request_payload_too_large", "request_headers_too_large"})

_KNOWN = frozenset(
    {
        "via_upstream",
        DIRECT_RESPONSE,
        NO_HEALTHY_UPSTREAM,
        OVERFLOW,
        DECISION_LATE,
        "cluster_not_found",
        "route_not_found",
        "upstream_reset_before_response_started",
        "upstream_reset_after_response_started",
        "upstream_per_try_timeout",
        "overload",
        "admission_control_denied",
        "missing_host_header",
        "missing_path_rejected",
        "path_normalization_failed",
        "low_version",
        "upgrade_failed",
        "invalid_envoy_request_headers",
        *STOPPED_IN_CLUSTER,
        *TIMEOUTS,
        *_CLIENT_GONE,
        *_UPLOAD_TIMEOUTS,
        *_TOO_LARGE,
    }
)

# `signalbox_*` is what workers write into an immediate response; `http1.*` and `http2.*` are codec errors.
_KNOWN_SHAPES = re.compile(r"ext_proc_error_gRPC_error_\d{1,2}|signalbox_[a-z_]{1,40}|http[123]\.[a-z_.]{1,60}")
_TAIL = re.compile(r"[{\[|]")


def known_details(text: str) -> str:
    """Return what of `text` may be shown: a word of a fixed list, `other`, or nothing if it is empty."""
    if not text:
        return ""
    tail = _TAIL.search(text)
    word = text[: tail.start()] if tail else text
    word = word.removesuffix("_matched_policy")  # of rbac, before the policy's name
    if word == "ext_proc_error_gRPC_error_14" and "overflow" in text:
        return OVERFLOW
    if word in _KNOWN or _KNOWN_SHAPES.fullmatch(word):
        return word
    return OTHER


def undecided_cause(details: str, status: int | None, *, client_gone: bool) -> UndecidedCause | None:
    """Say why Envoy answered without a decision; None when it had nothing to be decided.

    details: as `known_details` returned them.
    status: what the client got; None if it got nothing.
    """
    if details == DIRECT_RESPONSE:
        return _static_route_cause(status)
    if details == DECISION_LATE:
        return UndecidedCause.DECISION_LATE
    if details == OVERFLOW or details in ("overload", "admission_control_denied"):
        return UndecidedCause.OVERLOADED
    if details.startswith("ext_proc_error"):
        return UndecidedCause.WORKER_FAILED
    if details in _TOO_LARGE or status == 413:
        return UndecidedCause.BODY_TOO_LARGE
    if details in _UPLOAD_TIMEOUTS or status == 408:
        return UndecidedCause.UPLOAD_TIMEOUT
    if client_gone or details in _CLIENT_GONE:
        return UndecidedCause.CLIENT_GONE
    if details == "route_not_found":
        return UndecidedCause.UNKNOWN_PATH
    if status is not None and 400 <= status < 500:
        return UndecidedCause.BAD_REQUEST
    return UndecidedCause.OTHER


def _static_route_cause(status: int | None) -> UndecidedCause | None:
    # Envoy's own routes: the model list (200), unknown paths (404, 405), a POST without a body (400),
    # and the last one, where everything ends that should have had a decision (503).
    if status is None or status >= 500:
        return UndecidedCause.NO_DECISION
    if status in (404, 405):
        return UndecidedCause.UNKNOWN_PATH
    if status >= 400:
        return UndecidedCause.BAD_REQUEST
    return None
