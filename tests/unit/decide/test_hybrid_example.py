"""docs/examples/hybrid.yaml does what each key of the hybrid template asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.decide.pipeline import Pipeline
from signalbox.policy.load import load_text
from signalbox.policy.schema import Policy
from signalbox.types import Case, Reason
from signalbox.world import RolloutState

from .cases import make_case, names
from .worlds import in_session, seeing

TEXT = (Path(__file__).parents[3] / "docs" / "examples" / "hybrid.yaml").read_text(encoding="utf-8")
LOCAL, CLOUD = "qwen3-8b", "gpt-5-mini"


def load(**changes: Any) -> Policy:
    document = yaml.safe_load(TEXT)
    document["routers"]["hybrid"].update(changes)
    return load_text(yaml.safe_dump(document).encode(), "hybrid.yaml").policy


def chain(case: Case, policy: Policy | None = None, percent: float = 100, **world: Any) -> list[str]:
    """Models of the chain, with the rollout at some step."""
    case = seeing(case, rollouts={"hybrid": RolloutState(percent / 100)}, **world)
    return names(Pipeline.compile(policy or load()).decide(case))


@pytest.mark.parametrize(
    ("case", "first"),
    [
        (make_case(text="What is the capital of France?"), LOCAL),
        (make_case(complexity=0.29), LOCAL),
        (make_case(complexity=0.3), CLOUD),
        (make_case(text="word " * 20_000, complexity=0.0), CLOUD),
        (make_case(max_tokens=2048), LOCAL),
        (make_case(max_tokens=2049), CLOUD),
    ],
    ids=["simple", "below the threshold", "at the threshold", "long prompt", "answer that fits", "answer too long"],
)
def test_local_takes_what_is_simple_and_fits_and_the_cloud_the_rest(case: Case, first: str) -> None:
    assert chain(case)[0] == first


def test_the_cloud_stands_behind_the_local_model_unless_fallback_is_left_out() -> None:
    assert chain(make_case()) == [LOCAL, CLOUD]
    assert chain(make_case(), load(fallback=[])) == [LOCAL]


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_a_step_of_the_rollout_is_a_share_of_the_sessions(percent: int) -> None:
    policy = load()
    assert percent in policy.routers["hybrid"].rollout.steps
    routed = sum(chain(in_session(number), policy, percent)[0] == LOCAL for number in range(2000))
    assert routed / 2000 == pytest.approx(percent / 100, abs=0.03)


def test_sessions_outside_the_rollout_go_to_the_cloud_for_that_reason() -> None:
    case = seeing(make_case(), rollouts={"hybrid": RolloutState(0.0)})
    decision = Pipeline.compile(load()).decide(case)
    assert (names(decision)[0], decision.reason) == (CLOUD, Reason.ROLLOUT)


def test_a_shift_of_its_slo_moves_that_share_of_the_sessions_to_the_cloud() -> None:
    policy, shifts = load(), {"hybrid": {LOCAL: 0.4}}
    moved = sum(chain(in_session(number), policy, shifts=shifts) == [CLOUD, LOCAL] for number in range(2000))
    assert moved / 2000 == pytest.approx(0.4, abs=0.03)


def test_what_is_no_decision_is_in_the_policy_as_the_template_asks() -> None:
    policy = load()
    slo, telemetry = policy.routers["hybrid"].slo, policy.telemetry
    assert slo is not None
    assert telemetry.push is not None
    assert (slo.latency_p95_ms, slo.acceptance_rate) == (4000, 0.9)
    assert (policy.gateway.first_byte_timeout_seconds, policy.gateway.max_attempts) == (8, 3)
    assert (telemetry.push.interval_seconds, telemetry.log_level) == (30, "info")
