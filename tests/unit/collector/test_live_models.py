"""What the log teaches about models, fed through the receiver as Envoy would."""

from __future__ import annotations

from typing import Any

import pytest
from access_log_entries import CHAIN, attempt_entry, attempt_start, decision, request_entry, running_entry
from collector_bench import POLICY, Bench

from signalbox.collector.live.lengths import MIN_SCALE_SAMPLES, PRIOR_SAMPLES
from signalbox.collector.live.models import ModelFigures
from signalbox.collector.live.publish import Elsewhere, States
from signalbox.decide.worth import PRIOR_OUTPUT_TOKENS
from signalbox.policy.schema import Policy
from signalbox.telemetry import AttemptOutcome
from signalbox.world import ModelState

DIRECT = (("cloud", "gpt-large", "gpt-large-2026"),)


def figures(bench: Bench, model: str = "gpt-large") -> ModelState:
    """A model's state as a snapshot of now would have it."""
    states, _ = States().update(bench.collector.picture.models, Elsewhere(), {}, bench.now_seconds)
    return states[model]


def counts_of(bench: Bench, model: str = "gpt-large") -> ModelFigures:
    found = bench.collector.picture.models.get(model)
    assert found is not None
    return found


def answered(bench: Bench, *, status: int = 200, metadata: dict[str, Any] | None = None, **request: Any) -> None:
    """One request that `cloud` answered; keys of `request` are those of `request_entry`."""
    number = f"{answered.count:08x}"  # type: ignore[attr-defined]
    answered.count += 1  # type: ignore[attr-defined]
    bench.attempts(attempt_entry("cloud", status, flags=request.get("flags", ()), request_id=number))
    verdict = decision(chain=DIRECT) if metadata is None else metadata
    bench.requests(request_entry(metadata=verdict, status=status, request_id=number, **request))


answered.count = 1  # type: ignore[attr-defined]


def test_a_stream_is_timed_to_its_first_token_and_for_each_token_after_it(bench: Bench) -> None:
    answered(bench, usage=(11, 5), ttft_us="300000")
    found = figures(bench)
    assert found.ttft is not None
    assert found.per_token is not None
    assert found.ttft.p50 == pytest.approx(0.3, rel=0.02)
    assert found.per_token.p50 == pytest.approx(1.0 / 4, rel=0.02)  # sent at 0.1 s, first byte at 0.4, last at 1.4
    assert found.whole is None


def test_an_answer_in_one_piece_is_timed_as_a_whole_and_apart(bench: Bench) -> None:
    answered(bench, metadata=decision(chain=DIRECT, stream=False))
    found = figures(bench)
    assert (found.ttft, found.per_token) == (None, None)
    assert found.whole is not None
    assert found.whole.p50 == pytest.approx(1.3, rel=0.02)  # not 1.5: the router's own time is not in it


@pytest.mark.parametrize(
    "failure",
    [
        {"status": 500},
        {"status": 429},
        {"status": 400},
        {"details": "upstream_reset_after_response_started{protocol_error}", "flags": ("upstream_protocol_error",)},
        {"flags": ("downstream_connection_termination",)},
        {"details": "stream_idle_timeout"},
    ],
    ids=str,
)
def test_a_provider_that_fails_very_fast_does_not_look_fast(bench: Bench, failure: dict[str, Any]) -> None:
    for _ in range(20):
        answered(bench, **({"ttft_us": "100"} | failure))
    assert (figures(bench).ttft, figures(bench).whole) == (None, None)
    answered(bench)
    found = figures(bench)
    assert found.ttft is not None
    assert found.ttft.p50 == pytest.approx(0.3, rel=0.02)
    assert found.ttft.samples == pytest.approx(1)


def test_attempts_are_counted_by_how_they_ended_and_only_failures_count_against_a_model(bench: Bench) -> None:
    for status in (200, 200, 429, 500, 400):
        answered(bench, status=status)
    counts = counts_of(bench)
    assert (counts.requests, counts.successes) == (5, 2)
    assert counts.errors == {
        AttemptOutcome.RATE_LIMITED: 1,
        AttemptOutcome.SERVER_ERROR: 1,
        AttemptOutcome.CLIENT_ERROR: 1,
    }
    assert figures(bench).error_rate == pytest.approx(0.5)


def test_each_attempt_of_a_fallback_counts_for_its_own_model(bench: Bench) -> None:
    bench.attempts(attempt_entry("cloud", 503), attempt_entry("spare"))
    bench.requests(request_entry(metadata=decision(), attempts=2, cluster="spare"))
    assert figures(bench, "gpt-large").error_rate == 1.0
    assert figures(bench, "gpt-large").ttft is None
    assert figures(bench, "gpt-small").error_rate == 0.0
    assert figures(bench, "gpt-small").ttft is not None


def test_a_success_whose_attempt_entry_was_lost_counts_all_the_same(bench: Bench) -> None:
    bench.requests(request_entry(metadata=decision(chain=DIRECT)))
    bench.later(2.0)
    assert counts_of(bench).successes == 1
    assert figures(bench).ttft is not None


def test_entries_that_come_twice_teach_once(bench: Bench) -> None:
    request, attempt = request_entry(metadata=decision(chain=DIRECT)), attempt_entry("cloud")
    for _ in range(2):
        bench.attempts(attempt, attempt)
        bench.requests(request, request)
    bench.later(2.0)
    found = figures(bench)
    assert found.ttft is not None
    assert found.ttft.samples == pytest.approx(1.0, rel=0.05)
    assert counts_of(bench).requests == 1


@pytest.mark.parametrize("ttft", ["-", "", "-5", "nan", "9" * 30, None])
def test_a_time_nobody_can_read_teaches_nothing(bench: Bench, ttft: str | None) -> None:
    answered(bench, ttft_us=ttft)
    assert figures(bench).ttft is None
    assert counts_of(bench).successes == 1


def test_names_that_the_policy_does_not_have_teach_nothing(bench: Bench) -> None:
    answered(bench, metadata=decision(chain=(("cloud", "made-up", "x"),)))
    answered(bench, metadata=decision(chain=(("cloud", "qwen", "x"),)))
    assert set(bench.collector.picture.models) == set(POLICY["models"])  # type: ignore[call-overload]
    assert figures(bench, "qwen").ttft is None


def test_attempts_in_flight_are_those_that_started_and_did_not_end(bench: Bench) -> None:
    first, second = (attempt_start("cloud", started_ns=10**18 + n) for n in range(2))
    bench.attempts(first, second, second)
    assert figures(bench).in_flight == 2
    bench.attempts(attempt_entry("cloud", started_ns=10**18))
    assert figures(bench).in_flight == 1
    bench.attempts(attempt_entry("cloud", None, flags=("upstream_connection_failure",)))
    assert figures(bench).in_flight == 1


def test_an_entry_of_a_request_that_goes_on_names_the_model_at_work(bench: Bench) -> None:
    both = POLICY | {"models": {"gpt-large": {"provider": "cloud"}, "gpt-small": {"provider": "cloud"}}}
    both |= {"routers": {"r": {"models": ["gpt-large", "gpt-small"]}}}
    bench.collector.apply_policy(Policy.model_validate(both), "00" * 32)
    bench.attempts(attempt_start("cloud"))
    assert [figures(bench, name).in_flight for name in ("gpt-large", "gpt-small")] == [0, 0]
    bench.requests(running_entry(decision(chain=(("cloud", "gpt-small", "x"),))))
    assert [figures(bench, name).in_flight for name in ("gpt-large", "gpt-small")] == [0, 1]
    assert bench.log.lines == []


def test_what_a_provider_says_of_its_limits_is_kept(bench: Bench) -> None:
    headers = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-remaining-tokens": "1200"}
    bench.attempts(attempt_entry("cloud", headers=headers))
    bench.requests(request_entry(metadata=decision(chain=DIRECT)))
    allowance = counts_of(bench).allowance
    assert (allowance.remaining_requests, allowance.remaining_tokens) == (59, 1200)
    assert (allowance.retry_at_seconds, allowance.told_seconds) == (None, bench.now_seconds)
    bench.now_seconds += 1
    bench.attempts(attempt_entry("cloud", 429, retry_after="20", request_id="00000009"))
    bench.requests(request_entry(metadata=decision(chain=DIRECT), status=429, request_id="00000009"))
    allowance = counts_of(bench).allowance
    assert (allowance.remaining_requests, allowance.retry_at_seconds) == (59, bench.now_seconds + 20)


def test_a_reload_keeps_what_is_known_of_models_that_stay_where_they_are(bench: Bench) -> None:
    answered(bench)
    moved = POLICY | {"models": POLICY["models"] | {"gpt-small": {"provider": "cloud"}}}  # type: ignore[operator]
    bench.collector.apply_policy(Policy.model_validate(moved), "00" * 32)
    assert figures(bench).ttft is not None
    moved["models"] = moved["models"] | {"gpt-large": {"provider": "spare"}}  # type: ignore[operator]
    bench.collector.apply_policy(Policy.model_validate(moved), "00" * 32)
    assert figures(bench).ttft is None


# ---------------------------------------------------------------- tokens


def test_expected_lengths_go_from_the_prior_to_the_mean(bench: Bench) -> None:
    lengths = bench.collector.picture.lengths
    for samples in range(1, 4):
        answered(bench, usage=(11, 1500))
        expected = (samples * 1500 + PRIOR_SAMPLES * PRIOR_OUTPUT_TOKENS) / (samples + PRIOR_SAMPLES)
        table = lengths.table(bench.now_seconds)
        assert table == {"bug-fixing": {"gpt-large": pytest.approx(expected)}}
    bench.now_seconds += 3600  # half of them are left
    assert lengths.table(bench.now_seconds)["bug-fixing"]["gpt-large"] == pytest.approx(
        (1.5 * 1500 + PRIOR_SAMPLES * PRIOR_OUTPUT_TOKENS) / (1.5 + PRIOR_SAMPLES)
    )
    bench.now_seconds += 3600 * 20
    assert lengths.table(bench.now_seconds) == {}


@pytest.mark.parametrize(
    "said", [{"usage": None}, {"usage": (11, 0)}, {"usage": (11, 10**12)}, {"status": 500}, {"details": "other"}]
)
def test_what_is_no_length_of_a_whole_answer_teaches_nothing(bench: Bench, said: dict[str, Any]) -> None:
    answered(bench, **said)
    assert bench.collector.picture.lengths.table(bench.now_seconds) == {}


def test_a_route_that_the_policy_does_not_have_is_never_learned(bench: Bench) -> None:
    answered(bench, metadata=decision(chain=DIRECT, route="made-up"))
    assert bench.collector.picture.lengths.table(bench.now_seconds) == {}


@pytest.mark.parametrize(("reported", "scale"), [(150, 1.5), (100, 1.0), (5000, 4.0), (1, 0.25)])
def test_an_estimate_that_is_off_gets_a_scale_within_bounds(bench: Bench, reported: int, scale: float) -> None:
    scales = bench.collector.picture.scales
    for count in range(1, int(MIN_SCALE_SAMPLES) + 1):
        assert scales.table(bench.now_seconds).get("gpt-large") is None, count
        answered(bench, usage=(reported, 5), metadata=decision(chain=DIRECT, tokens=(-100,), estimate=100))
    assert scales.table(bench.now_seconds).get("gpt-large") == pytest.approx(scale)
    assert scales.table(bench.now_seconds).get("qwen") is None


@pytest.mark.parametrize(
    "record", [{"tokens": (100,), "estimate": 100}, {"tokens": (-100,)}, {"estimate": 100}, {"tokens": (-1, -1, -1)}]
)
def test_a_count_that_was_no_estimate_gives_no_scale(bench: Bench, record: dict[str, Any]) -> None:
    for _ in range(10):
        answered(bench, usage=(150, 5), metadata=decision(chain=DIRECT, **{"tokens": None, "estimate": None, **record}))
    assert bench.collector.picture.scales.table(bench.now_seconds).get("gpt-large") is None


def test_the_count_of_the_candidate_that_served_is_the_one_that_counts(bench: Bench) -> None:
    told = decision(tokens=(100, -100, 100), estimate=100)
    for number in range(6):
        request_id = f"{number:08x}"
        bench.attempts(
            attempt_entry("cloud", 503, request_id=request_id), attempt_entry("spare", request_id=request_id)
        )
        bench.requests(request_entry(metadata=told, attempts=2, cluster="spare", request_id=request_id, usage=(200, 5)))
    scales = bench.collector.picture.scales
    assert scales.table(bench.now_seconds).get(CHAIN[1][1]) == pytest.approx(2.0)
    assert scales.table(bench.now_seconds).get(CHAIN[0][1]) is None
