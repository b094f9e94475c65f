"""What was measured reaches the circuits, shifts and rollouts, and what they do is published, counted and logged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from access_log_entries import attempt_entry, decision, request_entry, running_entry
from collector_bench import POLICY, Bench, LineList

from signalbox.collector.live.publish import Publisher
from signalbox.collector.metrics import Metrics
from signalbox.collector.receiver import Receiver
from signalbox.collector.state import Collector
from signalbox.policy.schema import Policy
from signalbox.world import CircuitState, Snapshot

FAST, SLOW = 100_000, 9_000_000  # time to first token, microseconds
EPOCH = 1_795_252_120.0  # about when the entries were made


class World(Bench):
    """A collector that publishes, with both clocks in the test's hands."""

    def __init__(self, directory: Path, **changes: Any) -> None:
        self.now_seconds = 1000.0
        self.log = LineList()
        self.path = directory / "world.json"
        self.collector = Collector(
            Metrics(),
            self.log,
            clock=lambda: self.now_seconds,
            wall=lambda: EPOCH + self.now_seconds - 1000.0,
            publisher=Publisher(directory, lambda: 0.0, lambda: self.now_seconds),
        )
        self.use(**changes)
        self.receiver = Receiver(self.collector)
        self._requests = 0

    def use(self, **changes: Any) -> None:
        self.collector.apply_policy(Policy.model_validate(POLICY | changes), "0" * 64)

    @property
    def snapshot(self) -> Snapshot:
        self.later(0.25)
        return msgspec.json.decode(self.path.read_bytes(), type=Snapshot)

    def request(self, status: int = 200, ttft_us: int = FAST, provider: str = "cloud", **record: Any) -> None:
        self._requests += 1
        request_id = f"{self._requests:08x}"
        self.attempts(attempt_entry(provider, status, request_id=request_id))
        chain = [("cloud", "gpt-large", "g")] if provider == "cloud" else [("local", "qwen", "q")]
        self.requests(
            request_entry(
                metadata=decision(chain=chain, **record),
                cluster=provider,
                attempts=1,
                status=status,
                ttft_us=str(ttft_us),
                request_id=request_id,
            )
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_model_that_fails_is_published_as_open_and_tried_again(world: World) -> None:
    for _ in range(5):
        world.request(503)
    assert world.snapshot.models["gpt-large"].circuit is CircuitState.OPEN
    assert world.value("signalbox_circuit_state", model="gpt-large", provider="cloud") == 2
    assert world.value("signalbox_circuit_transitions_total", model="gpt-large", provider="cloud", to="open") == 1
    (line,) = world.log.events("circuit")
    assert (line["model"], line["to"], line["cause"], line["rest_s"]) == ("gpt-large", "open", "errors", 10.0)

    world.later(10.0)
    state = world.snapshot.models["gpt-large"]
    assert (state.circuit, state.probe_share) == (CircuitState.HALF_OPEN, 0.1)
    assert world.snapshot.models["qwen"].circuit is CircuitState.CLOSED


def test_a_failed_attempt_opens_the_circuit_while_its_fallback_streams(tmp_path: Path) -> None:
    models = POLICY["models"] | {"gpt-other": {"provider": "cloud"}}  # so that the provider does not tell the model
    world = World(tmp_path, models=models, circuit={"min_requests": 2})
    for number in range(2):
        request_id = f"{number:08x}"
        world.attempts(attempt_entry("cloud", 503, request_id=request_id))
        assert world.snapshot.models["gpt-large"].circuit is CircuitState.CLOSED
        world.requests(running_entry(decision(), request_id=request_id))
    assert world.snapshot.models["gpt-large"].circuit is CircuitState.OPEN


def test_an_attempt_sent_before_the_circuit_was_half_open_is_no_probe(world: World) -> None:
    for _ in range(5):
        world.request(503)
    world.later(11.0)
    assert world.snapshot.models["gpt-large"].circuit is CircuitState.HALF_OPEN
    for _ in range(3):
        world.request(200)  # their entries say that they began at the epoch
    assert world.snapshot.models["gpt-large"].circuit is CircuitState.HALF_OPEN


ROUTER = {"models": ["gpt-large", "qwen"]}


def test_a_model_over_its_limit_loses_sessions_and_gets_them_back(tmp_path: Path) -> None:
    world = World(tmp_path, routers={"coding": ROUTER | {"slo": {"ttft_p95_ms": 1000}}})
    for _ in range(60):
        world.request(ttft_us=SLOW)
        world.later(1.0)
    share = world.snapshot.shifts["coding"]["gpt-large"]
    assert share > 0.3
    assert world.value("signalbox_shift_share", router="coding", model="gpt-large") == pytest.approx(share, abs=0.05)
    (line,) = world.log.events("shift")
    assert (line["router"], line["model"], line["limit"]) == ("coding", "gpt-large", "ttft_p95_ms")
    for _ in range(60):
        world.request(ttft_us=FAST)
        world.later(1.0)
    assert world.snapshot.shifts["coding"]["gpt-large"] < share


def test_bad_marks_move_sessions_away(tmp_path: Path) -> None:
    world = World(tmp_path, routers={"coding": ROUTER | {"slo": {"acceptance_rate": 0.9}}})
    for number in range(40):
        world.request(id=f"sb-{number}")
        world.collector.journal.mark(f"sb-{number}", 0.0, "")
        world.later(1.0)
    assert world.snapshot.shifts["coding"]["gpt-large"] > 0


ROLLOUT = {
    "percent": 10,
    "otherwise": "qwen",
    "rollback": {"error_rate": 0.05, "min_requests": 20},
}


def test_a_new_side_that_fails_is_rolled_back_and_the_snapshot_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, routers={"coding": ROUTER | {"rollout": ROLLOUT}}, circuit={"min_requests": 10_000})
    for _ in range(40):
        world.request(503, rollout="in")
        world.request(200, provider="local", rollout="out")
    (line,) = world.log.events("rollback")
    assert (line["router"], line["reason"], line["limit"]) == ("coding", "errors", 0.05)
    assert world.value("signalbox_rollbacks_total", router="coding", reason="errors") == 1


def test_a_reload_keeps_open_circuits_and_shows_no_others(world: World) -> None:
    for _ in range(5):
        world.request(503)
    models = {name: model for name, model in POLICY["models"].items() if name != "gpt-small"}
    world.use(models=models)
    assert world.snapshot.models["gpt-large"].circuit is CircuitState.OPEN
    shown = world.series("signalbox_circuit_state")
    assert [dict(labels)["model"] for labels in shown] == ["gpt-large"]


def test_before_there_is_a_policy_entries_are_only_counted(tmp_path: Path) -> None:
    collector = Collector(Metrics(), LineList())
    receiver = Receiver(collector)
    bench = Bench()
    bench.collector, bench.receiver = collector, receiver
    bench.attempts(attempt_entry("cloud", 503))
    bench.requests(request_entry(metadata=decision()), running_entry(decision()))
    collector.tick()
    assert bench.series("signalbox_circuit_transitions_total") == {}


def test_what_a_provider_will_still_take_is_shown_for_a_minute(world: World) -> None:
    left = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-remaining-tokens": "0"}
    world.attempts(attempt_entry("cloud", headers=left))
    world.requests(request_entry(metadata=decision(chain=[("cloud", "gpt-large", "g")])))
    world.later(1.0)
    by_unit = {dict(labels)["unit"]: value for labels, value in world.series("signalbox_allowance_remaining").items()}
    assert by_unit == {"requests": 59}  # a series of 0 is left out here
    assert world.value("signalbox_allowance_remaining", provider="cloud", model="gpt-large", unit="tokens") == 0
    world.later(61.0)
    assert world.value("signalbox_allowance_remaining", provider="cloud", model="gpt-large", unit="tokens") is None


def test_a_threshold_that_freezes_is_said_once_shown_and_said_again_when_it_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, routers={"coding": ROUTER})
    judged = {"router": "coding", "engine": "builtin", "score": 0.8, "threshold": 0.6}
    world.request(**judged, cut="following")
    for _ in range(3):
        world.request(**judged, cut="frozen")
    world.later(2.0)
    assert world.value("signalbox_threshold", router="coding") == 0.6
    assert world.value("signalbox_threshold_state", router="coding") == 3
    assert world.value("signalbox_strong_share", router="coding") == pytest.approx(1.0)
    assert [standing.state for standing in world.collector.thresholds.values()] == ["frozen"]
    world.later(61.0)
    assert world.value("signalbox_threshold_state", router="coding") == 1
    said = world.log.events("threshold")
    assert [(line["level"], line["state"], line["router"]) for line in said] == [
        ("warning", "frozen", "coding"),
        ("info", "following", "coding"),
    ]


def test_no_request_for_the_strong_tier_is_an_infinite_threshold(tmp_path: Path) -> None:
    world = World(tmp_path, routers={"coding": ROUTER})
    world.request(router="coding", engine="builtin", score=0.8, cut="following")
    world.later(2.0)
    assert world.value("signalbox_threshold", router="coding") == float("inf")
