"""Configs of transformers 5 become configs of transformers 4 with the same rotary embedding, or are refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from signalbox.bundles.export.rope import check_bases, normalised
from signalbox.errors import BundleError
from tests.unit.bundles.export.checkpoints import BERT, checkpoint

QWEN = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 100,
    "transformers_version": "5.23.0",
    "dtype": "bfloat16",
    "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},
}
MODERN = {
    "architectures": ["ModernBertForSequenceClassification"],
    "model_type": "modernbert",
    "vocab_size": 100,
    "transformers_version": "5.23.0",
    "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
    "rope_parameters": {
        "full_attention": {"rope_theta": 160000.0, "rope_type": "default"},
        "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
    },
}
YARN = {"rope_theta": 160000.0, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192}


def translated(tmp_path: Path, config: dict[str, Any]) -> dict[str, Any]:
    return normalised(checkpoint(tmp_path / "c", config))


def refused(tmp_path: Path, config: dict[str, Any]) -> str:
    with pytest.raises(BundleError) as caught:
        translated(tmp_path, config)
    assert "config.json" in str(caught.value)
    return str(caught.value)


def test_one_base_for_all_layers_gets_its_old_name(tmp_path: Path) -> None:
    config = translated(tmp_path, QWEN)
    assert config["rope_theta"] == 1000000.0
    assert config["torch_dtype"] == "bfloat16"
    assert "rope_parameters" not in config
    assert "rope_scaling" not in config


def test_how_somebody_ran_the_model_is_forgotten(tmp_path: Path) -> None:
    config = translated(tmp_path, {**QWEN, "use_cache": False, "_attn_implementation": "flash_attention_2"})
    assert not {"use_cache", "_attn_implementation"} & set(config)


def test_a_base_for_each_kind_of_layer_gets_both_old_names(tmp_path: Path) -> None:
    config = translated(tmp_path, MODERN)
    assert (config["global_rope_theta"], config["local_rope_theta"]) == (160000.0, 10000.0)
    assert config["global_attn_every_n_layers"] == 3


def test_how_often_attention_is_full_is_read_off_the_layers(tmp_path: Path) -> None:
    layers = ["full_attention", "sliding_attention"] * 2
    assert translated(tmp_path, {**MODERN, "layer_types": layers})["global_attn_every_n_layers"] == 2


def test_scaling_is_kept_in_the_old_words(tmp_path: Path) -> None:
    scaled = {"full_attention": YARN, "sliding_attention": {**YARN, "rope_theta": 160000}}
    config = translated(tmp_path, {**MODERN, "rope_parameters": scaled})
    assert config["rope_scaling"] == {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192}
    assert translated(tmp_path / "q", {**QWEN, "rope_parameters": YARN})["rope_scaling"]["factor"] == 4.0


def test_a_config_of_version_4_stays_as_it_is(tmp_path: Path) -> None:
    old = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rope_theta": 5.0, "vocab_size": 9}
    assert translated(tmp_path, {**old, "transformers_version": "4.43.1"}) == {**old, "transformers_version": "4.43.1"}
    assert translated(tmp_path / "b", BERT) == BERT


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({**QWEN, "rope_parameters": None}, "no rope_parameters and no rope_theta"),
        ({**QWEN, "rope_parameters": {"rope_type": "default"}}, "a number as rope_theta"),
        ({**QWEN, "rope_parameters": {**QWEN["rope_parameters"], "novel": 1}}, "rope_parameters.novel: 1"),  # type: ignore[dict-item]
        ({**QWEN, "rope_parameters": {**QWEN["rope_parameters"], "factor": 2}}, "with rope_type 'default'"),  # type: ignore[dict-item]
        ({**QWEN, "rope_theta": 10000.0}, "rope_theta: 10000.0, while rope_parameters say 1e+06"),
        ({**MODERN, "rope_parameters": QWEN["rope_parameters"]}, "full_attention and sliding_attention"),
        ({**MODERN, "rope_parameters": None}, "no global_rope_theta"),
        ({**MODERN, "layer_types": ["sliding_attention", "full_attention"]}, "in the first layer"),
        ({**MODERN, "global_attn_every_n_layers": 4}, "expected: 3, by layer_types"),
        (
            {**MODERN, "rope_parameters": {**MODERN["rope_parameters"], "full_attention": YARN}},  # type: ignore[dict-item]
            "the same scaling for both",
        ),
        ({**QWEN, "model_type": "mamba"}, "model_type: 'mamba'"),
    ],
)
def test_what_cannot_be_said_in_the_old_words_is_refused(tmp_path: Path, config: dict[str, Any], expected: str) -> None:
    assert expected in refused(tmp_path, config)


def loaded(base: float, dims: int = 32, rope_type: str = "default") -> Any:
    angles = base ** (-np.arange(0, dims, 2) / dims)
    module = SimpleNamespace(inv_freq=angles, rope_type=rope_type)
    return SimpleNamespace(named_modules=lambda: [("", SimpleNamespace()), ("model.rotary_emb", module)])


def test_a_model_that_was_loaded_with_another_base_is_refused(tmp_path: Path) -> None:
    found = checkpoint(tmp_path / "c", QWEN)
    check_bases(found, normalised(found), loaded(1000000.0))
    with pytest.raises(BundleError, match=r"model\.rotary_emb was loaded with base 10000"):
        check_bases(found, normalised(found), loaded(10000.0))
    check_bases(found, normalised(found), loaded(123.0, rope_type="yarn"))
