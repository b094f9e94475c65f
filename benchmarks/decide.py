"""What does one decision cost, and what of it are features?

    python -m benchmarks.decide [--seconds S]

Prints the median in microseconds for `extract` and `Pipeline.decide` apart, at 1 KB and 220 KB, next to
`json.loads` of the same body. The scan is not in it: benchmarks/scanner.py times that.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from benchmarks.environment import describe
from signalbox.core import scan
from signalbox.decide.pipeline import Pipeline
from signalbox.features.extract import extract
from signalbox.policy.schema import Policy
from signalbox.types import Case, Endpoint, ParsedRequest, Signals
from signalbox.world import ModelState, Pin, Snapshot, Timing

WORDS = ("the", "model", "reads", "requests", "and", "answers", "with", "one", "plan", "for", "each", "route")
TASKS = [
    {"name": "simple", "models": ["small", "medium", "large"], "prefer": "cheapest"},
    {"name": "hard", "models": ["large", "medium"]},
]
KEYWORD_RULES = [
    {"when": {"keywords": [f"incident {number}", f"outage{number}", f"ticket-{number}"]}, "task": "hard"}
    for number in range(10)
]
COMPLEXITY = {"threshold": 0.3, "below": "simple", "above": "hard"}
POLICY = Policy.model_validate(
    {
        "version": 1,
        "providers": {"acme": {"endpoint": "https://api.acme.test/v1"}},
        "models": {
            "small": {"provider": "acme", "price": {"input": 0.1, "output": 0.4}, "context_tokens": 400_000},
            "medium": {"provider": "acme", "price": {"input": 1, "output": 4}, "context_tokens": 400_000},
            "large": {"provider": "acme", "price": {"input": 3, "output": 15}, "context_tokens": 400_000},
        },
        "aliases": {"house": {"small": 90, "medium": 10}},
        "routers": {
            "plain": {"tasks": TASKS, "complexity": COMPLEXITY, "default_task": "simple", "fallback": ["large"]},
            "rules": {"tasks": TASKS, "rules": KEYWORD_RULES, "complexity": COMPLEXITY, "default_task": "simple"},
            "world": {
                "tasks": [
                    {**task, "prefer": prefer} for task, prefer in zip(TASKS, ("balanced", "fastest"), strict=True)
                ],
                "complexity": COMPLEXITY,
                "default_task": "simple",
                "fallback": ["large"],
                "affinity": {"mode": "budgeted"},
                "budget": {"usd_per_day": 50, "tokens_per_month": 1_000_000_000},
                "slo": {"ttft_p95_ms": 1500},
                "rollout": {"percent": 100, "otherwise": "large"},
            },
        },
        "privacy": {"local_only": {"headers": {"x-data-class": "restricted"}}},
    }
)
TIMING = Timing(p50=0.4, p95=1.2, samples=50)
STATE = ModelState(ttft=TIMING, per_token=Timing(p50=0.01, p95=0.02, samples=50), whole=TIMING)
WORLD = Snapshot(
    generation=7,
    models=dict.fromkeys(("small", "medium", "large", *(f"other-{number}" for number in range(197))), STATE),
    output_tokens={"simple": {"small": 200.0, "medium": 250.0, "large": 300.0}},
    leaders={"world/simple": "small"},
    shifts={"world": {"small": 0.1}},
)
KNOWN = {"world": WORLD, "dice": 0.5, "session_key": "0" * 32, "session": "0" * 32}
"""What a decision in front of the world knows: 200 models, a session and its pin."""

PIN = Pin("small", turns=3, input_tokens=1000, cached_tokens=900)

REQUESTS = {
    "known model": "small",
    "weighted alias": "house",
    "router, complexity": "router:plain",
    "router, 10 keyword rules": "router:rules",
    "router, everything on": "router:world",
    "the same, session kept": "router:world",
}


def make_body(model: str, size_bytes: int) -> bytes:
    """A chat of one system and one user turn; the user turn fills the body up to its size."""
    dice = random.Random(size_bytes)
    text = " ".join(dice.choice(WORDS) for _ in range(size_bytes // 4))
    user = {"role": "user", "content": ""}
    body = {
        "model": model,
        "messages": [{"role": "system", "content": "Be brief."}, user],
        "temperature": 0.2,
    }
    user["content"] = text[: size_bytes - len(json.dumps(body))]
    return json.dumps(body).encode()


def median_us(work: Callable[[], object], seconds: float) -> float:
    """Median over as many calls as fit, at least 20."""
    work()
    times: list[int] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 20:
        started = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - started)
    return statistics.median(times) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.3, help="per measurement")
    seconds = parser.parse_args().seconds

    print(describe("google-re2"))
    print(f"{'p50, microseconds':26} {'body':>8} {'features':>9} {'decide':>8} {'json.loads':>11}")
    pipeline = Pipeline.compile(POLICY)
    for size_bytes in (1_000, 220_000):
        for name, model in REQUESTS.items():
            body = make_body(model, size_bytes)
            request = ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, scan(body), {"x-data-class": "public"})
            signals = Signals("sb-1", 1e9, "session-1")
            if model == "router:world":
                signals = replace(signals, **KNOWN, pin=PIN if "kept" in name else None)
            case = Case(request, extract(request), signals)
            features_us = median_us(lambda request=request: extract(request), seconds)
            decide_us = median_us(lambda case=case: pipeline.decide(case), seconds)
            loads_us = median_us(lambda body=body: json.loads(body), seconds)
            print(f"{name:26} {len(body):8,} {features_us:9.1f} {decide_us:8.1f} {loads_us:11.1f}")


if __name__ == "__main__":
    main()
