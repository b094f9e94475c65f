"""Routers under evaluation: a policy's, the built-in models', and files of scores."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from signalbox.errors import DataError, SetupError
from signalbox.evaluation.builtin import BuiltinRouter
from signalbox.evaluation.routers import SURELY_STRONG, SURELY_WEAK, PolicyRouter, read_scores

COST = Path(__file__).parents[3] / "docs" / "examples" / "cost.yaml"

EASY = "What is the capital of France?"
HARD = (
    "Prove, without assuming the lemma unless it is derived first, that the algorithm's expectation is 3/4 if and only "
    "if the matrix has no eigenvalue below 2, and explain why 17, 19 and 23 do not satisfy x^2 + 5 = 30 otherwise."
)

RULES = """
version: 1
providers: {p: {endpoint: "https://example.com/v1"}}
models: {small: {provider: p, context_tokens: 2000}, large: {provider: p, context_tokens: 2000}}
routers:
  words:
    tasks:
      - {name: easy, description: small talk, models: [small]}
      - {name: hard, description: the rest, models: [large]}
    rules:
      - {name: proofs, when: {keywords: [prove]}, task: hard}
      - {name: talk, when: {keywords: [hello]}, task: easy}
    COMPLEXITY
    default_task: easy
"""


def policy(tmp_path: Path, complexity: str = "complexity: {threshold: 0.9, below: easy, above: hard}") -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(RULES.replace("COMPLEXITY", complexity))
    return file


def test_a_policys_router_decides_prompts_as_it_does_traffic() -> None:
    verdicts = PolicyRouter(COST, "cost").verdicts([EASY, HARD])
    assert verdicts.chosen is not None
    assert verdicts.chosen.tolist() == [False, True]
    assert verdicts.scores[0] < 0.3 <= verdicts.scores[1]
    assert verdicts.reasons == {"complexity": 2}
    assert verdicts.microseconds is not None
    assert (verdicts.microseconds > 0).all()
    assert not verdicts.is_chance


def test_what_a_rule_decides_ranks_before_and_after_what_a_threshold_does(tmp_path: Path) -> None:
    verdicts = PolicyRouter(policy(tmp_path), "words").verdicts(["hello you", "prove it", HARD[6:]])
    assert verdicts.scores[:2].tolist() == [SURELY_WEAK, SURELY_STRONG]
    assert 0.0 < verdicts.scores[2] < 1.0


def test_a_router_without_tiers_is_told_which_models_are_strong(tmp_path: Path) -> None:
    file = policy(tmp_path, "")
    with pytest.raises(SetupError, match="--strong-models"):
        PolicyRouter(file, "words")
    verdicts = PolicyRouter(file, "words", ["large"]).verdicts(["prove it", "well"])
    assert verdicts.chosen is not None
    assert verdicts.chosen.tolist() == [True, False]
    with pytest.raises(SetupError, match="'huge' is no model"):
        PolicyRouter(file, "words", ["huge"])


def test_a_router_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(SetupError, match=r"'costs' is not there\n  expected: one of cost"):
        PolicyRouter(COST, "costs")


def test_a_prompt_that_no_model_can_take_is_counted_and_not_the_end(tmp_path: Path) -> None:
    router = PolicyRouter(policy(tmp_path), "words")
    verdicts = router.verdicts(["hello", "word " * 4000])
    assert verdicts.reasons == {"rule": 1, "refused": 1}
    assert "1 prompts are refused" in verdicts.notes[0]
    with pytest.raises(SetupError, match="refuses every prompt"):
        router.verdicts(["word " * 4000])


class Lengths:
    """An encoder whose vectors say nothing but how long a text is."""

    def vector(self, text: bytes) -> np.ndarray:
        return np.array([len(text)], dtype=np.float32)


class Longer:
    """Heads that find long texts hard, and do not know what to say of empty ones."""

    def need(self, vector, features) -> SimpleNamespace:
        return SimpleNamespace(strong=float(vector[0]) / (10 + float(vector[0])), unsure=features.words == 0)


def test_the_built_in_heads_score_the_vector_and_the_features_of_the_prompt() -> None:
    verdicts = BuiltinRouter(Lengths(), Longer()).verdicts(["ten chars!", ""])
    assert verdicts.scores.tolist() == [0.5, 0.0]
    assert verdicts.unsure is not None
    assert verdicts.unsure.tolist() == [False, True]
    assert verdicts.is_chance
    assert verdicts.reasons == {"engine": 1, "engine_unsure": 1}


def test_built_in_scores_that_are_not_finite_are_a_defect_with_its_row() -> None:
    broken = SimpleNamespace(need=lambda vector, features: SimpleNamespace(strong=float("nan"), unsure=False))
    with pytest.raises(SetupError, match="prompt 1 is nan"):
        BuiltinRouter(Lengths(), broken).verdicts(["a"])


def test_a_router_with_the_built_in_engine_ranks_and_chooses_as_the_models_alone_do(tmp_path: Path) -> None:
    engine = "engine: {name: builtin, strong: hard, weak: easy, threshold: 0.4}"
    file = policy(tmp_path, engine)
    prompts = [EASY, HARD[6:], "", "Write a long poem about the sea.", "What is 17 * 23 - 4 if x is not 2?"]
    found = PolicyRouter(file, "words").verdicts(prompts)
    alone = BuiltinRouter.load().verdicts(prompts)
    assert alone.unsure is not None
    sure = ~alone.unsure
    assert sure.any()
    assert found.scores[sure].tolist() == pytest.approx(alone.scores[sure].tolist())
    assert found.chosen is not None
    assert found.chosen[sure].tolist() == (alone.scores[sure] >= 0.4).tolist()
    assert found.unsure is not None
    assert found.unsure.tolist() == alone.unsure.tolist()


def test_scores_of_something_else_are_read_one_for_each_row(tmp_path: Path) -> None:
    file = tmp_path / "s.npy"
    np.save(file, np.array([3, 1], dtype=np.int64))
    assert read_scores(file, 2).scores.tolist() == [3.0, 1.0]
    assert not read_scores(file, 2).is_chance


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        (np.array([0.5]), "expected: 2 numbers"),
        (np.array([[0.5, 0.1]]), r"shape \(1, 2\)"),
        (np.array([0.5, np.nan]), "row 2 is nan"),
        (np.array(["a", "b"]), "found <U1"),
        (np.array([None, 1], dtype=object), r"not a \.npy file of numbers"),
    ],
)
def test_scores_that_do_not_fit_are_refused(tmp_path: Path, scores: np.ndarray, told: str) -> None:
    file = tmp_path / "s.npy"
    np.save(file, scores, allow_pickle=True)
    with pytest.raises(DataError, match=told):
        read_scores(file, 2)


def test_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.npy"
    for content in (b"", b"0.5\n0.1\n"):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"not a \.npy file"):
            read_scores(file, 2)
