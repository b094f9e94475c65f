"""Decisions, features and rankings as JSON-able data, for explanations."""

from __future__ import annotations

import math

from signalbox.decide.course import Course
from signalbox.decide.pools import Pool
from signalbox.decide.rank import Measures
from signalbox.decide.trace import Trace
from signalbox.types import Candidate, Decision, Features, ImageAsked, LocalBy


def describe(decision: Decision) -> Trace:
    """Return a decision as JSON-able data."""
    told: Trace = {
        "id": decision.id,
        "router": decision.router,
        "route": decision.route,
        "reason": decision.reason.value,
        "rule": decision.rule,
        "privacy": decision.privacy.value,
        "chain": [candidate.model for candidate in decision.chain],
        "removed": dict(decision.removed),
    }
    if decision.goal:
        told["goal"] = decision.goal
    if decision.pin is not None:
        told["pin"] = decision.pin.value
    if decision.rollout:
        told["rollout"] = decision.rollout
    if decision.shadow is not None:
        told["shadow"] = {"route": decision.shadow[0], "model": decision.shadow[1]}
    if decision.local_by is not LocalBy.NOTHING:
        told["local_only"] = {"by": decision.local_by.value, "kinds": [kind.value for kind in decision.personal]}
    if decision.image_asked is not ImageAsked.NO:
        told["image"] = {"asked": decision.image_asked.value, "served": decision.image_served}
    if decision.explored:
        told["explored"] = True
    judged = decision.judged
    if judged is not None:
        told["engine"] = {
            "name": judged.engine,
            "outcome": judged.outcome.value,
            "detail": judged.detail,
            "microseconds": judged.microseconds,
            "score": judged.score,
            "threshold": judged.threshold,
        }
    if decision.completion is not None:
        told["answered"] = [
            {"model": each.model, "input": each.input_tokens, "output": each.output_tokens}
            for each in decision.completion.spent
        ]
    if decision.holds:
        told["holds"] = [{"budget": hold.budget, "amount": hold.amount} for hold in decision.holds]
    return told


def describe_features(features: Features) -> Trace:
    """Return every feature as JSON-able data."""
    told = features._asdict()
    told["modalities"] = sorted(modality.value for modality in features.modalities)
    told["complexity"] = None if math.isnan(features.complexity) else features.complexity
    told["scripts"] = dict(features.scripts)
    return told


def describe_ranking(chain: tuple[Candidate, ...], pool: Pool, course: Course, measures: Measures) -> Trace:
    """Return the order with the figures behind it. Counts are taken to the end: whoever asks why wants them."""
    counts = measures.counts
    for candidate in chain:
        counts.settle(candidate)
    tokens = counts.of(chain)
    return {
        "prefer": pool.prefer,
        "candidates": [
            {
                "model": candidate.model,
                "provider": candidate.provider,
                "prompt_tokens": tokens[candidate.model].tokens,
                "estimated": tokens[candidate.model].estimated,
                "expected_output_tokens": round(measures.outputs[candidate.model]),
                "expected_usd": measures.usd(candidate),
                "expected_seconds": measures.seconds(candidate),
                "pinned": candidate is course.pinned,
                "fallback": candidate.model not in pool.names,
            }
            for candidate in chain
        ],
    }
