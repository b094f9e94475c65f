"""What becomes of a checkpoint is decided by its config, what is published of it, and what the operator says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signalbox.bundles import Dtype, Kind, Pooling, Window
from signalbox.bundles.export.checkpoint import open_checkpoint
from signalbox.bundles.export.plan import Family, Plan, plan
from signalbox.bundles.export.request import Request
from signalbox.errors import BundleError
from tests.unit.bundles.export.checkpoints import BERT, checkpoint, write_checkpoint

QWEN = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 100,
    "max_position_embeddings": 32768,
    "rope_theta": 1e6,
}


def planned(folder: Path, config: dict[str, Any] | None, files: dict[str, Any] | None = None, **asked: Any) -> Plan:
    request = replace(Request(str(folder), folder / "out"), **asked)
    return plan(request, checkpoint(folder, config, **(files or {})))


def refused(folder: Path, config: dict[str, Any] | None, **asked: Any) -> str:
    with pytest.raises(BundleError) as caught:
        planned(folder, config, **asked)
    return str(caught.value)


def test_routellms_bert_gets_the_labels_that_its_config_does_not_name(tmp_path: Path) -> None:
    config = {**BERT, "architectures": ["XLMRobertaForSequenceClassification"], "model_type": "xlm-roberta"}
    config |= {"max_position_embeddings": 514, "pad_token_id": 1}
    found = planned(tmp_path / "bert_gpt4_augmented", config)
    assert found.family is Family.SEQUENCE
    assert found.manifest.kind is Kind.CLASSIFIER
    assert found.manifest.labels == ("strong", "tie", "weak")
    assert found.manifest.max_tokens == 512


@pytest.mark.parametrize(
    ("name", "config", "kind", "expected"),
    [
        ("mf_gpt4_augmented", None, Kind.MATRIX_FACTORIZATION, {"embedding": "text-embedding-3-small"}),
        ("Arch-Router-1.5B", QWEN, Kind.PREFERENCE, {"prompt": "arch-router/card", "max_tokens": 4096}),
        ("Plano-Orchestrator-4B", QWEN, Kind.PREFERENCE, {"prompt": "plano-orchestrator", "max_tokens": 12288}),
        ("Router-R1-Qwen2.5-3B-Instruct", QWEN, Kind.DELIBERATE, {"prompt": "router-r1"}),
        ("all-MiniLM-L6-v2", {**BERT, "architectures": ["BertModel"]}, Kind.ENCODER, {"pooling": Pooling.MEAN}),
        ("mmbert32k-jailbreak-detector-merged", BERT, Kind.MODALITY, {"window": Window(512, 384)}),
        ("mmbert32k-modality-router", BERT, Kind.MODALITY, {"max_tokens": 256, "window": None}),
    ],
)
def test_each_published_router_is_known_by_its_name(
    tmp_path: Path, name: str, config: dict[str, Any] | None, kind: Kind, expected: dict[str, Any]
) -> None:
    if config is None:
        (tmp_path / name).mkdir()
    manifest = planned(tmp_path / name, config).manifest
    assert manifest.kind is kind
    assert {member: getattr(manifest, member) for member in expected} == expected


def test_labels_of_the_config_go_before_what_is_published_and_the_operators_before_both(tmp_path: Path) -> None:
    named = {**BERT, "id2label": {"0": "easy", "1": "middling", "2": "hard"}}
    assert planned(tmp_path / "bert_gpt4_augmented", named).manifest.labels == ("easy", "middling", "hard")
    assert planned(tmp_path / "b", named, labels=("x", "y", "z")).manifest.labels == ("x", "y", "z")
    assert planned(tmp_path / "c", BERT).manifest.labels == ("LABEL_0", "LABEL_1", "LABEL_2")


def test_another_model_of_a_published_name_does_not_get_its_labels(tmp_path: Path) -> None:
    two = {**BERT, "num_labels": 2, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    assert planned(tmp_path / "bert", two).manifest.labels == ("LABEL_0", "LABEL_1")


def test_a_config_without_architecture_points_to_the_kind_that_has_none(tmp_path: Path) -> None:
    assert "say --kind matrix_factorization" in refused(tmp_path / "own", {"dim": 128, "num_models": 64})


def test_a_wrong_number_of_labels_is_refused(tmp_path: Path) -> None:
    assert "3 outputs, while there are 2 labels: x, y" in refused(tmp_path / "c", BERT, labels=("x", "y"))


def test_token_classifiers_label_tokens(tmp_path: Path) -> None:
    found = planned(tmp_path / "pii", {**BERT, "architectures": ["BertForTokenClassification"]}, kind=Kind.MODALITY)
    assert found.family is Family.TOKEN
    assert found.manifest.per_token


def test_a_sentence_encoder_pools_as_it_says(tmp_path: Path) -> None:
    encoder = {**BERT, "architectures": ["BertModel"]}
    stated = {"1_Pooling__config": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}}
    assert planned(tmp_path / "a", encoder, stated).manifest.pooling is Pooling.CLS
    assert planned(tmp_path / "b", encoder).manifest.pooling is Pooling.MEAN
    with pytest.raises(BundleError, match="pooling_mode_max_tokens"):
        planned(tmp_path / "c", encoder, {"1_Pooling__config": {"pooling_mode_max_tokens": True}})


def test_lengths_come_from_the_operator_then_the_checkpoint_and_never_pass_the_positions(tmp_path: Path) -> None:
    encoder = {**BERT, "architectures": ["BertModel"]}
    assert (
        planned(tmp_path / "a", encoder, {"sentence_bert_config": {"max_seq_length": 128}}).manifest.max_tokens == 128
    )
    assert planned(tmp_path / "b", BERT, max_tokens=64).manifest.max_tokens == 64
    assert planned(tmp_path / "c", {**BERT, "max_position_embeddings": 40}).manifest.max_tokens == 40
    assert "at most 512" in refused(tmp_path / "d", BERT, max_tokens=513)
    window = Window(300, 200)
    assert planned(tmp_path / "e", BERT, window=window, kind=Kind.MODALITY).manifest.window == window


def test_a_generating_model_that_nobody_knows_needs_its_prompt_named(tmp_path: Path) -> None:
    assert "--prompt NAME" in refused(tmp_path / "my-router", QWEN)
    assert planned(tmp_path / "own", QWEN, prompt="arch-router/plano").manifest.prompt == "arch-router/plano"


@pytest.mark.parametrize(
    ("config", "asked", "expected"),
    [
        ({**BERT, "architectures": ["BertForQuestionAnswering"]}, {}, "architectures: ['BertForQuestionAnswering']"),
        ({**BERT, "architectures": None}, {}, "architectures: None"),
        ({**BERT, "problem_type": "multi_label_classification"}, {}, "2 labels at least, of which one holds"),
        ({**BERT, "id2label": {"0": "score"}}, {}, "problem_type: None with 1 outputs"),
        (BERT, {"kind": Kind.ENCODER}, "leave --kind out"),
        (QWEN, {"kind": Kind.CLASSIFIER}, "leave --kind out"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    tmp_path: Path, config: dict[str, Any], asked: dict[str, Any], expected: str
) -> None:
    assert expected in refused(tmp_path / "c", config, **asked)


def test_tensors_are_never_quantised_and_say_whose_vectors_they_expect(tmp_path: Path) -> None:
    (tmp_path / "mf_gpt4_augmented").mkdir()
    assert "expected: float32" in refused(tmp_path / "mf_gpt4_augmented", None, dtype=Dtype.INT8)
    (tmp_path / "own").mkdir()
    labels = {"kind": Kind.MATRIX_FACTORIZATION, "labels": ("a", "b")}
    assert "--embedding NAME" in refused(tmp_path / "own", None, **labels)
    assert planned(tmp_path / "own", None, embedding="mine", **labels).manifest.embedding == "mine"


def test_a_folder_without_config_or_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "config.json: missing" in refused(tmp_path / "empty", None)
    folder = write_checkpoint(tmp_path / "c", BERT)
    (folder / "model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"model\.safetensors: missing"):
        plan(Request(str(folder), tmp_path / "out"), open_checkpoint(str(folder)))
