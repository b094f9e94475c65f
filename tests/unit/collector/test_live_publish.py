"""What is known becomes one snapshot in one file, whole or not at all."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path

import msgspec
import pytest
from access_log_entries import attempt_entry, attempt_start, decision, request_entry
from collector_bench import POLICY, Bench

from signalbox.collector.join import Attempt, Exchange
from signalbox.collector.live.models import LiveModels
from signalbox.collector.live.publish import FADED_AT_ONCE, RENEWED_AT_ONCE, Elsewhere, Publisher, States
from signalbox.collector.records import request_record
from signalbox.collector.state import Collector
from signalbox.policy.schema import Policy
from signalbox.record import Target
from signalbox.telemetry import AttemptOutcome
from signalbox.world import CircuitState, RolloutState, Snapshot, Timing
from signalbox.world_file import WorldReader

DIRECT = (("cloud", "gpt-large", "x"),)


@pytest.fixture
def publisher(bench: Bench, tmp_path: Path) -> Publisher:
    return Publisher(tmp_path, wall_clock=lambda: 1e9 + bench.now_seconds, clock=lambda: bench.now_seconds)


def publish(bench: Bench, publisher: Publisher, elsewhere: Elsewhere | None = None) -> bool:
    return bench.collector.picture.publish(
        publisher,
        bench.now_seconds,
        elsewhere=elsewhere or Elsewhere(),
        prices={},
        shifts={"coding": {"gpt-large": 0.25}},
        rollouts={"coding": RolloutState(0.1)},
    )


def written(tmp_path: Path) -> Snapshot:
    return msgspec.json.decode((tmp_path / "world.json").read_bytes(), type=Snapshot)


def test_a_snapshot_says_what_every_part_knows(bench: Bench, publisher: Publisher, tmp_path: Path) -> None:
    bench.attempts(attempt_entry("cloud"))
    bench.requests(request_entry(metadata=decision(chain=DIRECT), usage=(11, 400)))
    elsewhere = Elsewhere(
        circuits={"gpt-small": (CircuitState.HALF_OPEN, 0.1)},
        queue_depth={"qwen": 7.0},
        kv_usage={"qwen": 0.5},
        fleet_ttft={"qwen": Timing(0.2, 0.4, 50.0)},
        prices={"gpt-large": (1.0, 4.0, 0.1)},
    )
    assert publish(bench, publisher, elsewhere)
    found = written(tmp_path)
    assert (found.generation, found.published_seconds) == (1, 1e9 + bench.now_seconds)
    assert set(found.models) == {"gpt-large", "gpt-small", "qwen"}
    large, small, qwen = (found.models[name] for name in ("gpt-large", "gpt-small", "qwen"))
    assert large.ttft is not None
    assert large.ttft.p50 == pytest.approx(0.3, rel=0.02)
    assert large.price == (1.0, 4.0, 0.1)
    assert (small.circuit, small.probe_share) == (CircuitState.HALF_OPEN, 0.1)
    assert (qwen.queue_depth, qwen.kv_usage, qwen.ttft) == (7.0, 0.5, Timing(0.2, 0.4, 50.0))
    assert found.output_tokens["bug-fixing"]["gpt-large"] > 300
    assert found.shifts == {"coding": {"gpt-large": 0.25}}
    assert found.rollouts == {"coding": RolloutState(0.1)}


def test_the_fleets_figures_give_way_to_enough_of_ones_own(bench: Bench, publisher: Publisher, tmp_path: Path) -> None:
    elsewhere = Elsewhere(fleet_ttft={"gpt-large": Timing(9.0, 9.0, 50.0)})
    for number in range(3):
        publish(bench, publisher, elsewhere)
        ttft = written(tmp_path).models["gpt-large"].ttft
        assert ttft is not None
        assert ttft.p50 == 9.0
        bench.attempts(attempt_entry("cloud", request_id=f"{number:08}"))
        bench.requests(request_entry(metadata=decision(chain=DIRECT), request_id=f"{number:08}"))
    publish(bench, publisher, elsewhere)
    ttft = written(tmp_path).models["gpt-large"].ttft
    assert ttft is not None
    assert ttft.p50 == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -math.inf, -1.0])
def test_what_no_figure_can_be_is_left_out(bench: Bench, publisher: Publisher, tmp_path: Path, nonsense: float) -> None:
    elsewhere = Elsewhere(
        queue_depth={"qwen": nonsense},
        kv_usage={"qwen": nonsense},
        fleet_ttft={"qwen": Timing(nonsense, 1.0, 1.0)},
        fleet_per_token={"qwen": Timing(0.1, 1.0, nonsense)},
        prices={"qwen": (1.0, nonsense, 1.0)},
    )
    assert publish(bench, publisher, elsewhere)
    qwen = written(tmp_path).models["qwen"]
    assert (qwen.queue_depth, qwen.kv_usage, qwen.ttft, qwen.per_token, qwen.price) == (None,) * 5


def test_the_file_is_replaced_and_never_half_written(bench: Bench, publisher: Publisher, tmp_path: Path) -> None:
    publish(bench, publisher)
    first = (tmp_path / "world.json").open("rb")
    publish(bench, publisher)
    with first:
        assert msgspec.json.decode(first.read(), type=Snapshot).generation == 1
    assert written(tmp_path).generation == 2
    assert os.listdir(tmp_path) == ["world.json"]
    assert stat.S_IMODE((tmp_path / "world.json").stat().st_mode) & 0o007 == 0


def test_a_file_that_cannot_be_written_is_told_of_and_grows_old(bench: Bench, publisher: Publisher) -> None:
    assert publish(bench, publisher)
    missing = Publisher(Path("/nonexistent"), wall_clock=lambda: 0.0, clock=lambda: bench.now_seconds)
    bench.now_seconds += 5
    assert not publish(bench, missing)
    assert isinstance(missing.problem, FileNotFoundError)
    assert (missing.generation, missing.age_seconds, publisher.age_seconds) == (0, 5.0, 5.0)
    assert publish(bench, publisher)
    assert publisher.age_seconds == 0.0


def test_a_worker_reads_what_was_published(bench: Bench, publisher: Publisher, tmp_path: Path) -> None:
    publish(bench, publisher)
    reader = WorldReader(tmp_path / "world.json", wall_clock=lambda: 1e9 + bench.now_seconds)
    reader.look()
    assert reader.current == written(tmp_path)


def test_the_collector_publishes_with_every_tick_once_it_has_a_policy(bench: Bench, tmp_path: Path) -> None:
    publisher = Publisher(tmp_path, wall_clock=lambda: 0.0, clock=lambda: bench.now_seconds)
    collector = Collector(bench.collector.metrics, bench.log, lambda: bench.now_seconds, publisher=publisher)
    collector.tick()
    assert os.listdir(tmp_path) == []
    collector.apply_policy(Policy.model_validate(POLICY), "00" * 32)
    for generation in (1, 2):
        collector.tick()
        assert written(tmp_path).generation == generation


def test_the_snapshots_age_grows_between_ticks_and_is_seen_by_whoever_scrapes(bench: Bench, tmp_path: Path) -> None:
    publisher = Publisher(tmp_path, wall_clock=lambda: 0.0, clock=lambda: bench.now_seconds)
    collector = Collector(bench.collector.metrics, bench.log, lambda: bench.now_seconds, publisher=publisher)
    collector.apply_policy(Policy.model_validate(POLICY), "00" * 32)
    collector.tick()
    assert bench.value("signalbox_world_age_seconds") == 0.0
    bench.now_seconds += 7.5
    assert bench.value("signalbox_world_age_seconds") == 7.5


def test_a_run_directory_that_cannot_be_written_is_one_log_line_until_it_can_again(
    bench: Bench, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    publisher = Publisher(run_dir, wall_clock=lambda: 0.0, clock=lambda: bench.now_seconds)
    collector = Collector(bench.collector.metrics, bench.log, lambda: bench.now_seconds, publisher=publisher)
    collector.apply_policy(Policy.model_validate(POLICY), "00" * 32)
    for _ in range(3):
        collector.tick()
    run_dir.mkdir()
    collector.tick()
    assert [(line["event"], line["problem"]) for line in bench.log.lines] == [("world_unwritable", "FileNotFoundError")]
    assert written(run_dir).generation == 1


def test_running_attempts_are_shown_by_provider_and_model(bench: Bench) -> None:
    bench.attempts(attempt_start("cloud", started_ns=10**18), attempt_start("nobody", started_ns=10**18))
    bench.later(0.25)
    shown = {(("model", "gpt-large"), ("provider", "cloud")): 1.0, (("model", ""), ("provider", "other")): 1.0}
    assert bench.series("signalbox_attempts_in_flight") == shown
    bench.attempts(attempt_entry("cloud", started_ns=10**18), attempt_entry("nobody", started_ns=10**18))
    bench.later(0.25)
    assert bench.series("signalbox_attempts_in_flight") == {}


def busy_models(count: int) -> tuple[LiveModels, list[str]]:
    """Models that have each answered one stream."""
    names = [f"m{number:03}" for number in range(count)]
    policy = {
        "version": 1,
        "providers": {"cloud": {"endpoint": "https://api.cloud.test/v1"}},
        "models": {name: {"provider": "cloud"} for name in names},
    }
    live = LiveModels()
    live.apply_policy(Policy.model_validate(policy), 0.0)
    for name in names:
        answer(live, name, "300000", 0.0)
    return live, names


def answer(live: LiveModels, model: str, ttft_us: str, now_seconds: float) -> None:
    record = request_record(request_entry(metadata=decision(chain=(("cloud", model, "x"),)), ttft_us=ttft_us))
    live.exchange(Exchange(record, (Attempt(Target("cloud", model), AttemptOutcome.OK),)), now_seconds)


def test_a_snapshot_renews_a_bounded_number_of_timings_and_gets_to_all_of_them() -> None:
    live, names = busy_models(RENEWED_AT_ONCE * 3)
    states = States()
    known = []
    for _ in range(3):
        made, _ = states.update(live, Elsewhere(), {}, 0.0)
        known.append(sum(made[name].ttft is not None for name in names))
    assert RENEWED_AT_ONCE <= known[0] <= RENEWED_AT_ONCE + FADED_AT_ONCE
    assert known[2] == len(names)


def test_a_model_that_changed_is_in_the_very_next_snapshot_when_few_did() -> None:
    live, names = busy_models(RENEWED_AT_ONCE)
    states = States()
    states.update(live, Elsewhere(), {}, 0.0)
    for name in names[:5]:
        for _ in range(3):
            answer(live, name, "900000", 1.0)
    made, _ = states.update(live, Elsewhere(), {}, 1.0)
    medians = {name: made[name].ttft.p50 for name in names}  # type: ignore[union-attr]
    assert all(medians[name] == pytest.approx(0.9, rel=0.02) for name in names[:5])
    assert all(medians[name] == pytest.approx(0.3, rel=0.02) for name in names[5:])


def test_samples_and_errors_fade_where_nothing_happens_any_more() -> None:
    live, names = busy_models(FADED_AT_ONCE * 3)
    live.exchange(Exchange(None, (Attempt(Target("cloud", names[0]), AttemptOutcome.SERVER_ERROR),)), 0.0)
    states = States()
    first, _ = states.update(live, Elsewhere(), {}, 0.0)
    assert first[names[0]].error_rate == 0.5
    for _ in range(6):  # each of them has had its turn at least once
        made, _ = states.update(live, Elsewhere(), {}, 1200.0)  # ten half-lives
    assert all(made[name].ttft.samples < 0.01 for name in names)  # type: ignore[union-attr]
    assert made[names[0]].error_rate == 0.0


def test_what_did_not_change_is_not_made_again() -> None:
    live, names = busy_models(3)
    states = States()
    states.update(live, Elsewhere(), {}, 0.0)
    before, _ = states.update(live, Elsewhere(), {}, 0.0)
    after, _ = states.update(live, Elsewhere(queue_depth={names[0]: 2.0}), {}, 0.0)
    assert [after[name] is before[name] for name in names] == [False, True, True]
    assert after[names[0]].queue_depth == 2.0


def test_what_is_written_is_what_the_leaders_were_chosen_from(
    bench: Bench, publisher: Publisher, tmp_path: Path
) -> None:
    bench.attempts(attempt_entry("cloud"))
    bench.requests(request_entry(metadata=decision(chain=DIRECT)))
    states, encoded = States().update(bench.collector.picture.models, Elsewhere(), {}, bench.now_seconds)
    assert publisher.publish(encoded)
    assert dict(written(tmp_path).models) == states
