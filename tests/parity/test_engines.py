"""From a checkpoint to a decision: exported by the command, opened by a policy's engine, the same answer as torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from signalbox.engines.base import Answer, Outcome, Question
from signalbox.engines.classifier import over_windows
from signalbox.engines.open import open_engine
from signalbox.features.extract import extract
from signalbox.policy.engines import Engine
from tests.parity import small
from tests.parity.test_export import exported, torch_outputs
from tests.parity.test_minilm import PROMPTS, ROUTES, vectors
from tests.parity.test_minilm import checkpoint as minilm  # noqa: F401  (a fixture, by another name)
from tests.unit.bundles.export.checkpoints import factorization_arrays, write_safetensors
from tests.unit.decide.cases import make_request

LONG_SECONDS = 600.0
CLOSE = 1e-4


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    import torch

    torch.manual_seed(17)


def asked(engine: Any, text: str) -> Answer:
    request = make_request({"model": "auto", "messages": [{"role": "user", "content": text}]})
    return engine.ask(Question(request, extract(request), (), time.monotonic() + LONG_SECONDS))


def opened(tiers: bool, **members: Any) -> Any:
    return open_engine(Engine(deadline_ms=10_000, **members), tiers=tiers)[0]


def tokens(source: Path, text: str, *, special: bool = True) -> Any:
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"))
    return np.array([theirs(text, add_special_tokens=special)["input_ids"]])


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_a_prompt_needs_the_strong_tier_as_far_as_torch_says(tmp_path: Path) -> None:
    source = small.xlm_roberta(tmp_path / "bert_gpt4_augmented")
    engine = opened(True, kind="classifier", bundle=str(exported(source, tmp_path / "b").path))
    for text in small.TEXTS:
        logits = torch_outputs(source, "AutoModelForSequenceClassification", tokens(source, text)).logits.numpy()
        strong = float(softmax(logits)[0, 0])
        answer = asked(engine, text)
        assert answer.outcome is Outcome.RESULT
        assert dict(answer.scores)["strong"] == pytest.approx(strong, abs=CLOSE)
        assert answer.route == ("strong" if strong >= 0.5 else "weak")


def test_a_guard_reads_a_text_of_many_windows_as_torch_reads_each(tmp_path: Path) -> None:
    source = small.modern_bert(tmp_path / "mmbert32k-pii-detector-merged", per_token=True)
    bundle = exported(source, tmp_path / "b")
    window = bundle.manifest.window
    assert window is not None
    engine = opened(False, kind="modality", bundle=str(bundle.path))
    text = "Explain the photosynthesis to a list of n. " * 60
    first, *plain, last = tokens(source, text)[0].tolist()
    room = window.tokens - 2
    assert len(plain) > 2 * room
    parts = []
    for start in range(0, len(plain), window.stride):
        ids = np.array([[first, *plain[start : start + room], last]])
        parts.append(softmax(torch_outputs(source, "AutoModelForTokenClassification", ids).logits.numpy()[0]))
        if start + room >= len(plain):
            break
    expected = over_windows(np.concatenate(parts))
    answer = asked(engine, text)
    assert answer.outcome is Outcome.RESULT
    found = dict(answer.scores)
    assert [found[label] for label in bundle.manifest.labels] == pytest.approx(expected.tolist(), abs=CLOSE)


def test_a_factorisation_over_a_local_encoder_decides_as_its_formula(tmp_path: Path) -> None:
    encoder = small.bert(tmp_path / "encoder")
    arrays = factorization_arrays(models=2, dims=32)
    folder = tmp_path / "own"
    folder.mkdir()
    write_safetensors(folder / "model.safetensors", **arrays)
    words = ["--kind", "matrix_factorization", "--labels", "big,small", "--embedding", "encoder"]
    engine = opened(
        True,
        kind="matrix_factorization",
        bundle=str(exported(folder, tmp_path / "mf", *words).path),
        strong_model="big",
        weak_model="small",
        embedding={"bundle": str(exported(encoder, tmp_path / "b").path)},
    )
    p, w, c = (arrays[name] for name in ("P__weight", "text_proj__0__weight", "classifier__0__weight"))
    unit = p / np.linalg.norm(p, axis=1, keepdims=True)
    for text in small.TEXTS:
        hidden = torch_outputs(encoder, "AutoModel", tokens(encoder, text)).last_hidden_state.numpy()[0]
        vector = hidden.mean(axis=0) / np.linalg.norm(hidden.mean(axis=0))
        big, little = (unit * (w @ vector)) @ c[0]
        strong = 1 / (1 + np.exp(little - big))
        answer = asked(engine, text)
        assert dict(answer.scores)["strong"] == pytest.approx(strong, abs=CLOSE)
        assert answer.route == ("strong" if strong >= 0.5 else "weak")


def test_the_real_minilm_tells_hard_prompts_from_easy_ones(minilm: Path, tmp_path: Path) -> None:  # noqa: F811
    encoder = exported(minilm, tmp_path / "minilm", "--dtype", "int8")
    code, cooking = vectors(encoder, [ROUTES["code"], ROUTES["cooking"]])
    folder = tmp_path / "own"
    folder.mkdir()
    write_safetensors(
        folder / "model.safetensors",
        P__weight=np.eye(2),
        text_proj__0__weight=20 * np.array([code, cooking]),
        classifier__0__weight=np.ones((1, 2)),
    )
    words = ["--kind", "matrix_factorization", "--labels", "coder,cook", "--embedding", "all-MiniLM-L6-v2"]
    engine = opened(
        True,
        kind="matrix_factorization",
        bundle=str(exported(folder, tmp_path / "mf", *words).path),
        strong_model="coder",
        weak_model="cook",
        embedding={"bundle": str(encoder.path)},
    )
    expected = {"code": "strong", "cooking": "weak"}
    answers = {prompt: asked(engine, prompt).route for prompt, about in PROMPTS.items() if about in expected}
    assert answers == {prompt: expected[PROMPTS[prompt]] for prompt in answers}
