"""What does the built-in engine add to a decision, and what of it is the embedding?

    python -m benchmarks.brain [--seconds S]

Prints the median in microseconds of everything between a body and its decision (scan, features, engine, decision), for
routers over the same two models that ask the built-in engine more and more, in turn, so that whatever else the
machine does falls on all rows alike; and the parts of the row with two tiers, apart. `ratio` is to the router that
asks nobody. The text is English prose, since made-up words cost a tokenizer more.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.environment import describe
from signalbox.core import scan
from signalbox.decide.asking import answer_at_once
from signalbox.decide.pipeline import Pipeline
from signalbox.engines.builtin import HeadEngine
from signalbox.engines.open import Engines, open_engines
from signalbox.features.extract import extract
from signalbox.policy.schema import Policy
from signalbox.types import Case, Decision, Endpoint, EngineOutcome, ParsedRequest, Signals

TARGET_US = {1_000: 60.0, 220_000: 1_000.0}
BLOCK = 25  # decisions of one row at a time
PROSE = (
    "The committee met again on Tuesday to go through the figures for the last quarter, and nobody could say why the "
    "returns from the northern warehouses had doubled since the spring. Please look at the table below, explain which "
    "of the suppliers might be responsible, and suggest what we should ask them before the next delivery arrives. If "
    "two of them share a carrier, say so; otherwise compare the dates on which their contracts began. "
)
TASKS = [
    {"name": "simple", "description": "Small talk, greetings and everyday questions", "models": ["small"]},
    {"name": "hard", "description": "Questions that need careful reasoning over figures", "models": ["large"]},
    {"name": "code", "description": "Writing, explaining and repairing programs", "models": ["large"]},
    {"name": "translation", "description": "Translating text from one language to another", "models": ["small"]},
]
TIERS = {"name": "builtin", "strong": "hard", "weak": "simple"}
IMAGE_RULE = {"when": {"engine": {"name": "builtin", "labels": ["image_out"]}}, "models": ["large"]}
ROUTERS: dict[str, dict[str, Any]] = {
    "asks nobody": {},
    "surface complexity": {"complexity": {"threshold": 0.3, "below": "simple", "above": "hard"}},
    "two tiers": {"engine": TIERS},
    "two tiers, target share": {"engine": TIERS | {"target_share": 0.3}},
    "two tiers, and images": {"engine": TIERS, "rules": [IMAGE_RULE]},
    "four described tasks": {"engine": "builtin"},
}


def make_policy(router: dict[str, Any]) -> Policy:
    return Policy.model_validate(
        {
            "version": 1,
            "providers": {"acme": {"endpoint": "https://api.acme.test/v1"}},
            "models": {
                "small": {"provider": "acme", "price": {"input": 0.1, "output": 0.4}},
                "large": {"provider": "acme", "price": {"input": 3, "output": 15}},
            },
            "routers": {"r": {"tasks": TASKS, "default_task": "simple", **router}},
            "default_router": "r",
        }
    )


def make_body(size_bytes: int) -> bytes:
    """A chat whose user turn is prose that fills the body up to its size."""
    user = {"role": "user", "content": ""}
    body = {"model": "auto", "messages": [{"role": "system", "content": "Be brief."}, user]}
    room = size_bytes - len(json.dumps(body))
    user["content"] = (PROSE * (room // len(PROSE) + 1))[:room]
    return json.dumps(body).encode()


def decide_once(pipeline: Pipeline, engines: Engines | None, body: bytes) -> Decision:
    request = ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, scan(body), {})
    case = Case(request, extract(request), Signals("sb-1", 1e9, "session-1"))
    if engines is not None:
        case, _ = answer_at_once(pipeline, engines, case)
    return pipeline.decide(case)


def medians_us(works: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Median of each, in turn, over as many rounds as fit."""
    times: dict[str, list[int]] = {name: [] for name in works}
    end = time.perf_counter() + seconds * len(works)
    while time.perf_counter() < end or not times[next(reversed(times))]:
        for name, work in works.items():
            work()
            for _ in range(BLOCK):
                began = time.perf_counter_ns()
                work()
                times[name].append(time.perf_counter_ns() - began)
    return {name: statistics.median(found) / 1000 for name, found in times.items()}


def parts(body: bytes) -> dict[str, Callable[[], object]]:
    """The steps of a decision with two tiers, each with what the ones before it found."""
    policy = make_policy(ROUTERS["two tiers"])
    pipeline, engines = Pipeline.compile(policy), open_engines(policy)
    assert engines is not None
    [head] = engines.heads.values()
    request = ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, scan(body), {})
    features = extract(request)
    case = Case(request, features, Signals("sb-1", 1e9, "session-1"))
    answered, _ = answer_at_once(pipeline, engines, case)
    return {
        "scan": lambda: scan(body),
        "features": lambda: extract(request),
        "who is to be asked": lambda: pipeline.asks(case),
        "embedding": lambda: _embedding(head, request, features),
        "embedding and head": lambda: head.answer(head.sight(request, features)),
        "decision": lambda: pipeline.decide(answered),
    }


def _embedding(head: HeadEngine, request: ParsedRequest, features: Any) -> object:
    return head.sight(request, features).vector


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="per measurement")
    seconds = parser.parse_args().seconds
    made = {name: make_policy(router) for name, router in ROUTERS.items()}
    routers = {name: (Pipeline.compile(policy), open_engines(policy)) for name, policy in made.items()}
    gc.collect()
    gc.freeze()
    print(describe("numpy"))
    for size_bytes, target_us in TARGET_US.items():
        body = make_body(size_bytes)
        works: dict[str, Callable[[], object]] = {
            name: lambda pipeline=pipeline, engines=engines, body=body: decide_once(pipeline, engines, body)
            for name, (pipeline, engines) in routers.items()
        }
        found = medians_us(works, seconds)
        none = found["asks nobody"]
        for name, (pipeline, engines) in routers.items():
            judged = decide_once(pipeline, engines, body).judged
            if engines is not None and (judged is None or judged.outcome is EngineOutcome.FAILED):
                raise SystemExit(f"{name}: the built-in engine did not answer: {judged}")
        print(f"\n{len(body):,} bytes; p50 in microseconds, target {target_us:g}")
        for name, us in found.items():
            print(f"  {name:28} {us:8.1f}   ratio {us / none:5.2f}")
        for name, us in medians_us(parts(body), seconds).items():
            print(f"    {name:26} {us:8.1f}")


if __name__ == "__main__":
    main()
