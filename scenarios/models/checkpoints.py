"""Make the checkpoints: `python -m scenarios.models.checkpoints FOLDER`, where the extra `export` is installed.

Folders are named as the hub names the published models, so that the exporter knows labels, prompts and lengths.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SEED = 3  # with which Arch-Router finds a route and Plano-Orchestrator none
POSITIONS = 4096  # a prompt with its routes is some thousand tokens of a vocabulary of three hundred
ENCODER_DIMS = 32


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint. name: what tables call it. folder: the published name."""

    name: str
    published: str
    folder: str


CHECKPOINTS = {
    "bert": Checkpoint("bert", "RouteLLM BERT", "bert_gpt4_augmented"),
    "mf": Checkpoint("mf", "RouteLLM MF", "mf_gpt4_augmented"),
    "arch-router": Checkpoint("arch-router", "Arch-Router", "Arch-Router-1.5B"),
    "orchestrator": Checkpoint("orchestrator", "Plano-Orchestrator", "Plano-Orchestrator-4B"),
    "router-r1": Checkpoint("router-r1", "Router-R1", "Router-R1-Qwen2.5-3B-Instruct"),
    "modality": Checkpoint("modality", "mmBERT-32K", "mmbert32k-modality-router-merged"),
    "encoder": Checkpoint("encoder", "MiniLM, for MF", "all-MiniLM-L6-v2"),
}


def make(folder: Path) -> None:
    """Write all of them into folders of their own."""
    import torch

    from tests.parity import small

    makers: dict[str, Callable[[Path], object]] = {
        "bert": small.xlm_roberta,
        "mf": _factorization,
        "arch-router": lambda place: small.qwen2(place, positions=POSITIONS),
        "orchestrator": lambda place: small.qwen3(place, positions=POSITIONS),
        "router-r1": lambda place: small.qwen2(place, positions=POSITIONS),
        "modality": small.modern_bert,
        "encoder": small.bert,
    }
    for name, write in makers.items():
        torch.manual_seed(SEED)
        write(folder / CHECKPOINTS[name].folder)


def _factorization(folder: Path) -> None:
    """RouteLLM's tensors, for vectors of the small encoder in place of text-embedding-3-small's 1,536."""
    from tests.unit.bundles.export.checkpoints import factorization_arrays, write_safetensors

    folder.mkdir()
    write_safetensors(folder / "model.safetensors", **factorization_arrays(hidden=128, dims=ENCODER_DIMS))


if __name__ == "__main__":
    with warnings.catch_warnings():  # what torch and transformers warn of is theirs
        warnings.simplefilter("ignore")
        make(Path(sys.argv[1]))
