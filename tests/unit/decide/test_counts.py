"""Decisions with exact counts: what fits, what is cheapest, and what is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signalbox.decide.counts import compile_counters
from signalbox.decide.pipeline import Pipeline
from signalbox.errors import PolicyError, RequestError
from signalbox.policy.load import load_text
from signalbox.tokens.counter import CountCache, Counter
from signalbox.tokens.tokenizer import Bounds
from signalbox.types import TokenCount
from tests.unit.decide.cases import MODELS, PROVIDERS, make_case, make_policy, names


class Pieces:
    """One token for each `size` bytes."""

    def __init__(self, size: int) -> None:
        self.bounds = Bounds(size, 1)
        self.size = size
        self.asked = 0

    def count(self, text: bytes) -> int:
        self.asked += 1
        return -(-len(text) // self.size)


def pipeline(tokenizers: dict[str, Pieces], **router: Any) -> Pipeline:
    policy = make_policy(
        models={name: {**MODELS[name], "context_tokens": 1000} for name in MODELS},
        routers={"r": {"models": ["acme-mini", "acme-large"], **router}},
        default_router="r",
    )
    caches = {id(pieces): CountCache(pieces) for pieces in tokenizers.values()}
    counters = {name: Counter(caches[id(pieces)], "openai", None) for name, pieces in tokenizers.items()}
    return replace(Pipeline.compile(policy), counters=counters)


def test_each_candidates_own_count_decides_whether_the_prompt_fits():
    fine, coarse = Pieces(1), Pieces(8)
    decision = pipeline({"acme-mini": fine, "acme-large": coarse}).decide(make_case(text="x" * 2400))
    assert names(decision) == ["acme-large"]
    assert decision.removed == {"acme-mini": "context"}


def test_what_is_exactly_too_long_is_refused_where_an_estimate_would_have_let_it_try():
    case = make_case(text="x" * 2400)
    assert names(pipeline({}).decide(case))
    with pytest.raises(RequestError, match="context"):
        pipeline({"acme-mini": Pieces(1), "acme-large": Pieces(2)}).decide(case)


def test_bounds_settle_what_is_far_from_the_limit_without_tokenizing():
    pieces = Pieces(4)
    decide = pipeline({"acme-mini": pieces, "acme-large": pieces}).decide
    decide(make_case(text="short"))
    with pytest.raises(RequestError):
        decide(make_case(text="x" * 100_000))
    assert pieces.asked == 0


def test_candidates_of_one_tokenizer_are_ordered_by_price_without_tokenizing():
    pieces = Pieces(4)
    decision = pipeline({"acme-mini": pieces, "acme-large": pieces}, prefer="cheapest").decide(make_case(text="hi"))
    assert names(decision) == ["acme-mini", "acme-large"]
    assert pieces.asked == 0


def test_a_coarser_tokenizer_can_make_the_dearer_price_the_cheaper_request():
    policy = make_policy(
        models={
            "acme-mini": {"provider": "acme", "price": {"input": 1, "output": 0}},
            "acme-large": {"provider": "acme", "price": {"input": 2, "output": 0}},
        },
        routers={"r": {"models": ["acme-mini", "acme-large"], "prefer": "cheapest"}},
        default_router="r",
    )
    case = make_case(text="x" * 400)
    assert names(Pipeline.compile(policy).decide(case)) == ["acme-mini", "acme-large"]
    counters = {
        "acme-mini": Counter(CountCache(Pieces(1)), "openai", None),
        "acme-large": Counter(CountCache(Pieces(8)), "openai", None),
    }
    decision = replace(Pipeline.compile(policy), counters=counters).decide(case)
    assert names(decision) == ["acme-large", "acme-mini"]
    assert decision.counts["acme-mini"] == TokenCount(400 + 4 + 6, estimated=False)


def test_an_explanation_counts_every_candidate_and_marks_estimates():
    case = make_case(text="x" * 400)
    shown = pipeline({"acme-mini": Pieces(1)}).explain(case)
    counts = {c["model"]: (c["prompt_tokens"], c["estimated"]) for c in shown["ranking"]["candidates"]}
    assert counts == {"acme-mini": (410, False), "acme-large": (case.features.prompt_tokens, True)}


def policy_text(file: Path) -> bytes:
    import yaml

    models = {"acme-mini": {**MODELS["acme-mini"], "tokenizer": "house"}}
    document = {
        "version": 1,
        "providers": PROVIDERS,
        "models": models,
        "tokenizers": {"house": {"file": str(file), "pattern": "o200k"}},
    }
    return yaml.safe_dump(document).encode()


def test_a_vocabulary_that_is_not_there_is_a_warning_and_counts_stay_estimates(tmp_path):
    loaded = load_text(policy_text(tmp_path / "nowhere"), "policy.yaml", check_files=True)
    assert [problem.path for problem in loaded.warnings] == ["tokenizers.house.file"]
    assert compile_counters(loaded.policy) == {}


def test_a_vocabulary_that_cannot_be_used_refuses_the_policy_and_says_why(tmp_path):
    file = tmp_path / "vocabulary"
    file.write_bytes(b"<html>not found</html>")
    with pytest.raises(PolicyError, match="no known vocabulary format"):
        load_text(policy_text(file), "policy.yaml", check_files=True)


def test_a_model_that_names_an_unknown_tokenizer_is_an_error_with_the_known_names(tmp_path):
    text = policy_text(tmp_path / "x").replace(b"tokenizer: house", b"tokenizer: hose")
    with pytest.raises(PolicyError, match='did you mean "house"'):
        load_text(text, "policy.yaml")
