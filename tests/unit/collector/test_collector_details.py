"""Of Envoy's response code details only known words get out."""

import pytest

from signalbox.collector.details import known_details, undecided_cause
from signalbox.telemetry import UndecidedCause

CAPTURED = {
    "via_upstream": "via_upstream",
    "upstream_reset_after_response_started{protocol_error}": "upstream_reset_after_response_started",
    "rbac_access_denied_matched_policy[local-only]": "rbac_access_denied",
    "lua_response": "lua_response",
    "http1.unexpected_underscore": "http1.unexpected_underscore",
    "signalbox_no_candidate": "signalbox_no_candidate",
    "ext_proc_error_per-message_timeout_exceeded": "ext_proc_error_per-message_timeout_exceeded",
    "ext_proc_error_gRPC_error_2{Unexpected_<class_'RuntimeError'>:_my_secret}": "ext_proc_error_gRPC_error_2",
    "ext_proc_error_gRPC_error_14{upstream_connect_error|remote_address:run/w0.sock}": "ext_proc_error_gRPC_error_14",
    "ext_proc_error_gRPC_error_14{reset_reason:_overflow{upstream_reset_before_response_started{overflow}}}": (
        "ext_proc_error_gRPC_error_14{overflow}"
    ),
    "my secret prompt": "other",
    "signalbox_My Secret": "other",
    "": "",
}


@pytest.mark.parametrize(("text", "word"), CAPTURED.items())
def test_details_lose_their_error_texts(text, word):
    assert known_details(text) == word


@pytest.mark.parametrize(
    ("details", "status", "client_gone", "cause"),
    [
        ("direct_response", 503, False, UndecidedCause.NO_DECISION),
        ("direct_response", 404, False, UndecidedCause.UNKNOWN_PATH),
        ("direct_response", 405, False, UndecidedCause.UNKNOWN_PATH),
        ("direct_response", 400, False, UndecidedCause.BAD_REQUEST),
        ("direct_response", 200, False, None),
        ("ext_proc_error_per-message_timeout_exceeded", 504, False, UndecidedCause.DECISION_LATE),
        ("ext_proc_error_gRPC_error_14", 503, False, UndecidedCause.WORKER_FAILED),
        ("ext_proc_error_gRPC_error_14{overflow}", 503, False, UndecidedCause.OVERLOADED),
        ("request_payload_too_large", 413, False, UndecidedCause.BODY_TOO_LARGE),
        ("request_overall_timeout", 408, False, UndecidedCause.UPLOAD_TIMEOUT),
        ("http1.unexpected_underscore", 400, False, UndecidedCause.BAD_REQUEST),
        ("downstream_remote_disconnect", None, True, UndecidedCause.CLIENT_GONE),
        ("other", 500, False, UndecidedCause.OTHER),
        ("", None, False, UndecidedCause.OTHER),
    ],
)
def test_a_request_without_a_verdict_has_a_cause(details, status, client_gone, cause):
    assert undecided_cause(details, status, client_gone=client_gone) is cause
