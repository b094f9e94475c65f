"""A request and its attempts arrive on two streams, in any order, and are counted once."""

from access_log_entries import attempt_entry, attempt_start, decision, request_entry

from signalbox.collector import join

FELL_BACK = {"metadata": decision(), "attempts": 3, "cluster": "local"}
ATTEMPTS = (attempt_entry("cloud", 429, retry_after="2"), attempt_entry("spare", 503), attempt_entry("local"))
OUTCOMES = {
    (("model", "gpt-large"), ("outcome", "rate_limited"), ("provider", "cloud")): 1.0,
    (("model", "gpt-small"), ("outcome", "server_error"), ("provider", "spare")): 1.0,
    (("model", "qwen"), ("outcome", "ok"), ("provider", "local")): 1.0,
}


def counted(bench):
    return bench.series("signalbox_attempts_total")


def test_each_attempt_is_counted_with_its_own_model_and_outcome(bench):
    bench.attempts(*ATTEMPTS)
    bench.requests(request_entry(**FELL_BACK))

    assert counted(bench) == OUTCOMES
    assert bench.log.lines[0]["outcomes"] == ["rate_limited", "server_error", "ok"]
    assert bench.log.lines[0]["retry_after_s"] == 2.0


def test_the_request_may_come_before_its_attempts(bench):
    bench.attempts(ATTEMPTS[0])
    bench.requests(request_entry(**FELL_BACK))
    assert bench.log.lines == []
    bench.attempts(*ATTEMPTS[1:])

    assert counted(bench) == OUTCOMES
    assert len(bench.log.lines) == 1


def test_a_fallback_is_counted_once_for_each_step(bench):
    bench.attempts(*ATTEMPTS)
    bench.requests(request_entry(**FELL_BACK))

    assert bench.series("signalbox_fallbacks_total") == {
        (("from_provider", "cloud"), ("to_provider", "spare")): 1.0,
        (("from_provider", "spare"), ("to_provider", "local")): 1.0,
    }


def test_the_beginning_of_an_attempt_is_not_an_attempt(bench):
    bench.attempts(attempt_start(), attempt_entry())
    bench.requests(request_entry(metadata=decision()))

    assert counted(bench) == {(("model", "gpt-large"), ("outcome", "ok"), ("provider", "cloud")): 1.0}


def test_a_request_whose_attempts_are_lost_is_logged_after_a_moment(bench):
    bench.requests(request_entry(**FELL_BACK))
    bench.attempts(ATTEMPTS[0])
    bench.later(join.GRACE_SECONDS / 2)
    assert bench.log.lines == []
    bench.later(join.GRACE_SECONDS)

    assert [line["outcomes"] for line in bench.log.lines] == [["rate_limited"]]
    assert (
        bench.value(
            "signalbox_requests_total", endpoint="chat_completions", model="qwen", provider="local", status_class="2xx"
        )
        == 1
    )


def test_a_failed_attempt_waits_for_as_long_as_the_next_one_streams(bench):
    bench.attempts(ATTEMPTS[0])
    bench.later(join.ORPHAN_SECONDS / 2)
    bench.attempts(*ATTEMPTS[1:])
    bench.requests(request_entry(**FELL_BACK))

    assert counted(bench) == OUTCOMES


def test_an_attempt_whose_request_never_comes_is_counted_without_a_model(bench):
    bench.attempts(attempt_entry("cloud", 429))
    bench.later(join.ORPHAN_SECONDS + 1)

    assert counted(bench) == {(("model", "other"), ("outcome", "rate_limited"), ("provider", "cloud")): 1.0}
    assert bench.log.lines == []


def test_two_connections_may_use_one_request_id_at_the_same_time(bench):
    bench.attempts(attempt_entry("cloud", 500, port=1), attempt_entry("cloud", 200, port=2))
    bench.requests(
        request_entry(metadata=decision(), status=500, port=1), request_entry(metadata=decision(), status=200, port=2)
    )

    assert [(line["status"], line["outcomes"]) for line in bench.log.lines] == [(500, ["server_error"]), (200, ["ok"])]


def test_one_connection_may_use_a_request_id_again(bench):
    bench.requests(request_entry(metadata=decision()), request_entry(metadata=decision(), status=500))
    bench.attempts(attempt_entry("cloud", 500))

    lines = [(line["status"], line.get("outcomes")) for line in bench.log.lines]
    assert lines == [(200, None), (500, ["server_error"])]


def test_an_attempt_entry_that_comes_twice_breaks_nothing(bench):
    bench.attempts(attempt_entry(), attempt_entry())
    bench.requests(request_entry(metadata=decision()))
    bench.attempts(attempt_entry())
    bench.requests(request_entry(metadata=decision()))

    assert [line["status"] for line in bench.log.lines] == [200, 200]


def test_what_waits_is_bounded_and_the_oldest_goes_first(bench, monkeypatch):
    monkeypatch.setattr(join, "MAX_WAITING", 3)
    for number in range(10):
        bench.attempts(attempt_entry("cloud", 500, request_id=f"{number:08}"))
        bench.requests(request_entry(metadata=decision(), attempts=2, request_id=f"ff{number:08}"))

    assert len(bench.collector._joiner) == 6
    assert [line["request_id"] for line in bench.log.lines] == [f"ff{number:08}" for number in range(7)]
    assert sum(counted(bench).values()) == 7


def test_at_the_end_everything_that_waits_is_counted(bench):
    bench.attempts(attempt_entry("cloud", 500, request_id="00000001"))
    bench.requests(request_entry(**FELL_BACK))
    bench.attempts(ATTEMPTS[0])
    bench.collector.drain()

    assert len(bench.collector._joiner) == 0
    assert len(bench.log.lines) == 1
    assert sum(counted(bench).values()) == 2


def last_outcome(bench, attempt, **request):
    bench.attempts(attempt)
    bench.requests(request_entry(metadata=decision(), **request))
    return bench.log.lines[-1]["outcomes"][-1]


def test_an_attempt_stopped_by_privacy_is_denied(bench):
    details = "rbac_access_denied_matched_policy[local-only]"
    assert last_outcome(bench, attempt_entry(status=None), status=403, details=details) == "denied"


def test_an_attempt_the_client_left_is_abandoned(bench):
    gone = {"details": "downstream_remote_disconnect", "flags": ("downstream_connection_termination",)}
    assert last_outcome(bench, attempt_entry(status=None), status=None, **gone) == "abandoned"
    assert last_outcome(bench, attempt_entry(status=200), status=200, **gone) == "abandoned"


def test_the_requests_end_says_nothing_about_earlier_attempts(bench):
    bench.attempts(attempt_entry("cloud", None), attempt_entry("spare", None))
    gone = {"details": "downstream_remote_disconnect", "flags": ("downstream_connection_termination",)}
    bench.requests(request_entry(metadata=decision(), attempts=2, cluster="spare", status=None, **gone))

    assert bench.log.lines[0]["outcomes"] == ["unknown", "abandoned"]


def test_a_stream_that_went_silent_is_a_timeout(bench):
    assert last_outcome(bench, attempt_entry(status=200), details="stream_idle_timeout") == "timeout"


def test_an_attempt_without_any_sign_is_unknown(bench):
    assert last_outcome(bench, attempt_entry(status=None), details="something new") == "unknown"


def test_a_provider_without_a_healthy_host_refused_though_it_has_no_entry(bench):
    bench.attempts(attempt_entry("cloud", 503))
    bench.requests(
        request_entry(metadata=decision(), attempts=2, status=503, details="no_healthy_upstream", cluster="cloud")
    )

    assert bench.log.lines[0]["outcomes"] == ["server_error", "refused"]
    assert bench.log.lines[0]["provider"] == "spare"
    assert counted(bench)[(("model", "gpt-small"), ("outcome", "refused"), ("provider", "spare"))] == 1


def test_entries_that_come_twice_count_once(bench):
    request, attempt = request_entry(metadata=decision()), attempt_entry("cloud")
    bench.attempts(attempt, attempt)
    bench.requests(request, request)
    bench.attempts(attempt)
    bench.requests(request)
    bench.later(join.ORPHAN_SECONDS + 1)

    assert sum(bench.series("signalbox_attempts_total").values()) == 1
    assert sum(bench.series("signalbox_requests_total").values()) == 1


def test_attempts_that_come_out_of_order_are_put_in_order(bench):
    first = attempt_entry("cloud", 429, started_ns=10**18)
    second = attempt_entry("spare", 503, started_ns=10**18 + 5)
    last = attempt_entry("local", started_ns=10**18 + 9)
    bench.attempts(last, first, second)
    bench.requests(request_entry(**FELL_BACK))

    assert bench.series("signalbox_attempts_total") == OUTCOMES
