"""`signalbox route`: one decision for one body from a file, without a gateway."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from signalbox.core import scan
from signalbox.decide.asking import answer_at_once
from signalbox.decide.asks import NOBODY
from signalbox.decide.describe import describe
from signalbox.decide.pipeline import Pipeline
from signalbox.decide.trace import Trace
from signalbox.engines.base import Question
from signalbox.engines.heads import IMAGE_KEY
from signalbox.engines.open import answer_now, open_engines
from signalbox.errors import RouterError, SetupError
from signalbox.features.extract import extract
from signalbox.policy.load import load_policy
from signalbox.policy.schema import Policy
from signalbox.prices.resolve import resolve
from signalbox.trim import Trimmer, open_encoder
from signalbox.types import Case, Endpoint, ParsedRequest, Signals

DECISION_ID = "sb-offline"
AFFINITY_HEADER = "x-model-affinity"


def route_once(policy: Path, body: bytes, endpoint: str, headers: Mapping[str, str], *, explain: bool) -> Trace:
    """Return where the gateway would send this request; with `explain`, every step and any refusal.

    headers: names lower-case. A weighted alias splits by `x-model-affinity`, as in the gateway.
    Raises RequestError when the request is refused and no explanation was asked for, or cannot be parsed;
    SetupError for an unknown endpoint; PolicyError for a policy that cannot be used; BundleError or RouterError for an
    engine that has to be asked and cannot be opened.
    """
    if endpoint not in list(Endpoint):
        raise SetupError(f"unknown endpoint {endpoint!r}; expected one of {', '.join(Endpoint)}")
    loaded = load_policy(policy).policy
    pipeline = Pipeline.compile(loaded, resolve(loaded))
    request = ParsedRequest(Endpoint(endpoint), body, scan(body), headers)
    signals = Signals(DECISION_ID, time.time(), headers.get(AFFINITY_HEADER, DECISION_ID))
    case = pipeline.judge_privacy(Case(request, extract(request), signals))
    case = _judged(case, pipeline, loaded)
    return pipeline.explain(case) if explain else describe(pipeline.decide(case))


def _judged(case: Case, pipeline: Pipeline, policy: Policy) -> Case:
    """Ask the engines that have a say, if any do, as the gateway would. Raises as `open_engines` does."""
    asks = pipeline.asks(case) or (NOBODY if pipeline.tells_images else None)
    while asks is not None:
        wanted = (*asks.keys, IMAGE_KEY) if pipeline.tells_images else asks.keys
        engines = open_engines(policy, only=wanted, strict=True)
        assert engines is not None  # somebody is to be asked
        case, asks = answer_at_once(pipeline, engines, case)
        if asks is not None and set(asks.keys) <= engines.keys:
            answers = {**case.signals.answers}
            for key, routes in asks.questions:
                deadline = time.monotonic() + engines.deadline_seconds(key)
                answers[key] = answer_now(engines, key, Question(case.request, case.features, routes, deadline))
            case = replace(case, signals=replace(case.signals, answers=answers))
            asks = pipeline.asks(case)
        engines.close()
    return case


def router_prompt(body: bytes, tokenizer: Path, budget: int) -> Trace:
    """Return what a router model with this tokenizer.json would read of a request: how much of which turn, no text.

    budget: tokens. Raises RequestError for a body that cannot be parsed; SetupError for a tokenizer that cannot be
    read, a budget too small, or if the `tokenizers` library is missing and needed.
    """
    try:
        trimmer = Trimmer(open_encoder(tokenizer), budget)
    except RouterError as problem:
        raise SetupError(str(problem)) from problem
    trimmed = trimmer.trim(scan(body))
    return {
        "budget": budget,
        "tokens": trimmed.tokens,
        "dropped_messages": trimmed.dropped_messages,
        "kept": [
            {
                "turn": piece.turn,
                "role": piece.role.name.lower(),
                "bytes": len(piece.text),
                "cut_bytes": piece.cut_bytes,
                "harness_bytes": piece.harness_bytes,
            }
            for piece in trimmed.pieces
        ],
    }
