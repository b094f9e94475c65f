"""Each architecture of the published routers: exported by the command, answers as torch does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from signalbox.bundles import Bundle, Kind, Pooling, open_bundle
from signalbox.bundles.export.quantise import token_ids
from signalbox.bundles.session import open_session, run
from signalbox.cli import main
from signalbox.errors import BundleError
from tests.parity import small

CLOSE = 1e-5
WRONG_BASE = "transformers 4 loads such a config with a wrong base; if it no longer does, our care is not needed"


@pytest.fixture(autouse=True)
def _same_weights_every_time() -> None:
    import torch

    torch.manual_seed(11)


def exported(source: Path, out: Path, *words: str) -> Bundle:
    assert main(["models", "export", str(source), "--out", str(out), "--quiet", *words]) == 0
    return open_bundle(out)


def torch_outputs(source: Path, auto: str, ids: Any) -> Any:
    """What the checkpoint says, loaded by transformers as anybody would."""
    import torch
    import transformers

    model = getattr(transformers, auto).from_pretrained(source).eval()
    tokens = torch.from_numpy(ids)
    with torch.inference_mode():
        return model(input_ids=tokens, attention_mask=torch.ones_like(tokens))


def same_ids(source: Path, bundle: Bundle, texts: tuple[str, ...] = small.TEXTS) -> list[Any]:
    """Encode texts with the bundle's tokenizer, and check that transformers' own gives the same tokens."""
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"))
    ours = token_ids(bundle.path, texts, bundle.manifest.max_tokens)
    for text, ids in zip(texts, ours, strict=True):
        assert ids[0].tolist() == theirs(text, truncation=True, max_length=bundle.manifest.max_tokens)["input_ids"]
    return ours


def test_xlm_roberta_scores_prompts_as_torch_does(tmp_path: Path) -> None:
    source = small.xlm_roberta(tmp_path / "bert_gpt4_augmented")
    bundle = exported(source, tmp_path / "b")
    assert bundle.manifest.labels == ("strong", "tie", "weak")
    assert bundle.manifest.max_tokens == 256
    session = open_session(bundle.model)
    for ids in same_ids(source, bundle):
        logits = torch_outputs(source, "AutoModelForSequenceClassification", ids).logits.numpy()
        found = run(session, ids)["logits"]
        assert np.abs(found - logits).max() < CLOSE
        assert found.argmax() == logits.argmax()


def test_a_sentence_encoder_gives_the_vectors_of_torch(tmp_path: Path) -> None:
    source = small.bert(tmp_path / "encoder")
    bundle = exported(source, tmp_path / "b")
    assert bundle.manifest.kind is Kind.ENCODER
    assert bundle.manifest.pooling is Pooling.MEAN
    session = open_session(bundle.model)
    for ids in same_ids(source, bundle):
        hidden = torch_outputs(source, "AutoModel", ids).last_hidden_state.numpy()
        assert np.abs(run(session, ids)["last_hidden_state"] - hidden).max() < CLOSE


@pytest.mark.parametrize("newer", [False, True], ids=["transformers 4", "transformers 5"])
@pytest.mark.parametrize("per_token", [False, True], ids=["text", "token"])
def test_modern_bert_answers_beyond_its_window_and_whoever_saved_it(
    tmp_path: Path, per_token: bool, newer: bool
) -> None:
    source = small.modern_bert(tmp_path / "mmbert32k-modality-router", per_token=per_token)
    auto = "AutoModelForTokenClassification" if per_token else "AutoModelForSequenceClassification"
    ids = np.random.default_rng(1).integers(4, small.VOCABULARY, (1, 200))
    logits = torch_outputs(source, auto, ids).logits.numpy()
    if newer:
        small.as_version_5(source)
        loaded = torch_outputs(source, auto, ids).logits.numpy()
        assert np.abs(loaded - logits).max() > 100 * CLOSE, WRONG_BASE
    bundle = exported(source, tmp_path / "b")
    assert bundle.manifest.per_token is per_token
    assert bundle.manifest.kind is Kind.MODALITY
    assert np.abs(run(open_session(bundle.model), ids)["logits"] - logits).max() < CLOSE


@pytest.mark.parametrize("newer", [False, True], ids=["transformers 4", "transformers 5"])
@pytest.mark.parametrize(
    ("make", "name"), [(small.qwen2, "Arch-Router-1.5B"), (small.qwen3, "Plano-Orchestrator-4B")], ids=["2", "3"]
)
def test_qwen_continues_from_any_past_as_torch_does(
    tmp_path: Path, make: Callable[[Path], Path], name: str, newer: bool
) -> None:
    source = make(tmp_path / name)
    ids = np.random.default_rng(2).integers(0, small.VOCABULARY, (1, 90))
    logits = torch_outputs(source, "AutoModelForCausalLM", ids).logits.numpy()
    if newer:
        small.as_version_5(source)
        loaded = torch_outputs(source, "AutoModelForCausalLM", ids).logits.numpy()
        assert np.abs(loaded - logits).max() > 100 * CLOSE, WRONG_BASE
    bundle = exported(source, tmp_path / "b")
    assert bundle.manifest.kind is Kind.PREFERENCE
    same_ids(source, bundle)
    session = open_session(bundle.model)
    whole = run(session, ids)
    assert whole["logits"].shape == (1, 1, small.VOCABULARY)
    assert np.abs(whole["logits"][:, 0] - logits[:, -1]).max() < CLOSE
    past = None
    for begin, end in ((0, 40), (40, 41), (41, 90)):
        past = run(session, ids[:, begin:end], past)
        assert np.abs(past["logits"][:, 0] - logits[:, end - 1]).max() < CLOSE
    assert past is not None
    assert past["present.0.key"].shape == (1, 2, 90, 8)


def test_a_vocabulary_of_sentencepiece_becomes_the_same_tokens(tmp_path: Path) -> None:
    import sentencepiece
    from transformers import XLMRobertaTokenizer

    source = small.xlm_roberta(tmp_path / "bert_gpt4_augmented")
    (source / "tokenizer.json").unlink()
    lines = tmp_path / "lines"
    lines.write_text("\n".join(line for text in small.TEXTS for line in text.splitlines() for _ in range(20)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(lines), model_prefix=str(source / "sentencepiece.bpe"), vocab_size=110, minloglevel=2
    )
    (source / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    theirs = XLMRobertaTokenizer(str(source / "sentencepiece.bpe.model"))
    bundle = exported(source, tmp_path / "b")
    for text, ids in zip(small.TEXTS, token_ids(bundle.path, small.TEXTS, 256), strict=True):
        assert ids[0].tolist() == theirs(text)["input_ids"]


def test_a_model_that_generates_is_measured_with_one_more_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = exported(small.qwen2(tmp_path / "Arch-Router-1.5B"), tmp_path / "b")
    capsys.readouterr()
    assert main(["models", "bench", str(bundle.path), "--lengths", "32", "--seconds", "0.05", "--quiet", "--json"]) == 0
    [point] = json.loads(capsys.readouterr().out)["latency"]["1"]
    assert point["next"]["p50_ms"] > 0


def test_router_r1_is_a_model_that_deliberates(tmp_path: Path) -> None:
    bundle = exported(small.qwen2(tmp_path / "Router-R1-Qwen2.5-3B-Instruct"), tmp_path / "b")
    assert (bundle.manifest.kind, bundle.manifest.prompt) == (Kind.DELIBERATE, "router-r1")


def test_int8_is_kept_where_it_agrees_and_refused_with_the_figure_where_it_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = small.xlm_roberta(tmp_path / "bert_gpt4_augmented")
    bundle = exported(source, tmp_path / "b", "--dtype", "int8", "--min-agreement", "0.5")
    agreement = bundle.manifest.agreement
    assert agreement is not None
    assert 0.5 <= agreement.share <= 1
    assert agreement.n > 80
    assert bundle.manifest.providers == ("CPUExecutionProvider",)
    texts = tmp_path / "texts"
    texts.write_text("\n".join(f"{text.split()[0]} {at}" for at in range(10) for text in small.TEXTS))
    words = ["models", "export", str(source), "--out", str(tmp_path / "c"), "--dtype", "int8", "--texts", str(texts)]
    _spoil(source)
    capsys.readouterr()
    assert main([*words, "--min-agreement", "1"]) == 1
    said = capsys.readouterr().err
    assert "int8 agrees with float32 on " in said
    assert "of 70 (same label)\n  expected: 100.0% at least" in said
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("make", [small.modern_bert, small.qwen2], ids=["modern bert", "qwen2"])
def test_float16_keeps_the_types_of_inputs_and_outputs_and_says_how_it_agrees(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    name = "Arch-Router-1.5B" if make is small.qwen2 else "mmbert32k-intent-classifier-merged"
    bundle = exported(make(tmp_path / name), tmp_path / "b", "--dtype", "float16", "--min-agreement", "0.8")
    assert bundle.manifest.dtype == "float16"
    assert bundle.manifest.providers == ("CUDAExecutionProvider",)
    assert bundle.manifest.agreement is not None
    assert bundle.graph is not None
    assert {port.dtype for port in bundle.graph.outputs} == {"float32"}
    assert not any(port.dtype == "float16" for port in bundle.graph.inputs)
    whole = exported(tmp_path / name, tmp_path / "c")
    assert bundle.manifest.sizes["model.onnx.data"] < 0.6 * whole.manifest.sizes["model.onnx.data"]


def _spoil(source: Path) -> None:
    """Give activations an outlier that one scale for all of them serves badly, and every text a narrow choice."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(source).eval()
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "LayerNorm.weight" in name:
                weight[0] *= 1000
        ids = [torch.tensor([tokenizer.encode(text).ids]) for text in small.TEXTS]
        logits = torch.cat([model(input_ids=each).logits for each in ids])
        model.classifier.out_proj.bias -= logits.mean(dim=0)
    model.save_pretrained(source)


def test_a_body_without_its_head_is_refused(tmp_path: Path) -> None:
    source = small.bert(tmp_path / "c")
    config = (source / "config.json").read_text().replace("BertModel", "BertForSequenceClassification")
    (source / "config.json").write_text(config)
    with pytest.raises(BundleError, match=r"4 weights are missing or of another shape"):
        _export(source, tmp_path / "b")


def test_weights_that_were_cut_are_refused(tmp_path: Path) -> None:
    source = small.bert(tmp_path / "c")
    weights = source / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(BundleError, match="transformers cannot load it"):
        _export(source, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    source = tmp_path / "mf_gpt4_augmented"
    source.mkdir()
    (source / "pytorch_model.bin").write_bytes(pickle.dumps({"P.weight": Evil()}))
    with pytest.raises(BundleError, match=r"pytorch_model\.bin"):
        _export(source, tmp_path / "b")
    assert not (tmp_path / "ran").exists()


def test_tensors_of_a_pickle_are_those_of_safetensors(tmp_path: Path) -> None:
    import torch

    from tests.unit.bundles.export.checkpoints import factorization_arrays

    source = tmp_path / "mf_gpt4_augmented"
    source.mkdir()
    arrays = {name.replace("__", "."): value for name, value in factorization_arrays().items()}
    torch.save({name: torch.from_numpy(value) for name, value in arrays.items()}, source / "pytorch_model.bin")
    assert np.array_equal(np.load(exported(source, tmp_path / "b").tensors)["models"], arrays["P.weight"])


def _export(source: Path, out: Path) -> None:
    from signalbox.bundles.export.request import Request
    from signalbox.bundles.export.run import export

    export(Request(str(source), out))
