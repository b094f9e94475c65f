"""A teacher of a few kilobytes and a data folder of a few lines, for recipes."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signalbox.training.corpus import CAPABILITY, INTENTS

SPOKEN = """
the a to i my is how what do you can please book table order card money account flight hotel music play song
cook dinner recipe write code loop python sum number plus print city tonight
"""
WORDS = SPOKEN.split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,?!+"
LABELS = ("eat", "pay", "undescribed")
DIMS, HEADS, LAYERS, WIDE, PLACES = 24, 4, 2, 48, 128


def vocabulary() -> bytes:
    tokens = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *LETTERS[1:8], "zz"]
    return "\n".join([*dict.fromkeys(tokens), *(f"##{letter}" for letter in LETTERS[:8])]).encode() + b"\n"


def write_teacher(folder: Path, seed: int = 1) -> Path:
    """A BERT of two layers with random weights, as sentence encoders are published."""
    dice = np.random.default_rng(seed)
    rows = len(vocabulary().splitlines())

    def normal(*shape: int) -> NDArray[np.float32]:
        return (dice.standard_normal(shape) * 0.3).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": normal(rows, DIMS),
        "embeddings.position_embeddings.weight": normal(PLACES, DIMS),
        "embeddings.token_type_embeddings.weight": normal(2, DIMS),
        "embeddings.LayerNorm.weight": 1 + normal(DIMS),
        "embeddings.LayerNorm.bias": normal(DIMS),
    }
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            tensors |= {f"{layer}.{part}.weight": normal(DIMS, DIMS), f"{layer}.{part}.bias": normal(DIMS)}
        tensors |= {f"{layer}.intermediate.dense.weight": normal(WIDE, DIMS)}
        tensors |= {f"{layer}.intermediate.dense.bias": normal(WIDE)}
        tensors |= {f"{layer}.output.dense.weight": normal(DIMS, WIDE), f"{layer}.output.dense.bias": normal(DIMS)}
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors |= {f"{layer}.{norm}.weight": 1 + normal(DIMS), f"{layer}.{norm}.bias": normal(DIMS)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_bytes(vocabulary())
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": DIMS,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "intermediate_size": WIDE,
        "max_position_embeddings": PLACES,
        "vocab_size": rows,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def write_safetensors(path: Path, tensors: dict[str, NDArray[Any]]) -> None:
    names = {np.dtype(np.float32): "F32", np.dtype(np.int64): "I64"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, values in tensors.items():
        end = len(data) + values.nbytes
        header[name] = {"dtype": names[values.dtype], "shape": values.shape, "data_offsets": [len(data), end]}
        data += values.tobytes()
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


def write_data(folder: Path, seed: int = 3) -> Path:
    """The files that recipes read the texts of, with texts of our own. seed: of what the valid split says."""
    dice = np.random.default_rng(2)

    def sentences(count: int, own: np.random.Generator = dice) -> list[str]:
        return [" ".join(own.choice(WORDS, own.integers(3, 9))) for _ in range(count)]

    def write(name: str, records: list[dict[str, Any]]) -> None:
        path = folder / f"{name}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(record) + "\n" for record in records)
        path.write_bytes(gzip.compress(lines.encode(), mtime=0))

    valid = sentences(20, np.random.default_rng(seed))
    for name in INTENTS:
        rows = [
            {"text": text, "label": LABELS[i % 3], "domain": LABELS[i % 3], "scenario": LABELS[i % 3], "split": split}
            for split, texts in (("train", sentences(60)), ("valid", valid))
            for i, text in enumerate(texts)
        ]
        write(f"intents/{name}", rows)
    described = {"eat": "cook dinner", "pay": "money and card"}
    sets = dict.fromkeys(("clinc150_domains", "clinc150", "banking77", "hwu64_scenarios"), described)
    (folder / "intents" / "descriptions.json").write_text(json.dumps(sets))
    turns = [{"r": "u", "t": text} if i % 2 else {"r": "a", "t": text} for i, text in enumerate(sentences(60))]
    dialogues = [{"turns": turns, "split": "train"}, {"turns": [{"r": "u", "t": valid[0]}], "split": "valid"}]
    write("intents/sgd_multiturn", dialogues)
    for name in CAPABILITY:
        rows = [{"prompt": text, "split": "train"} for text in sentences(40)]
        write(f"capability/{name}", [*rows, *({"prompt": text, "split": "valid"} for text in valid)])
    for name in ("modality/image_prompts", "privacy/presidio_synth"):
        write(name, [{"text": text, "split": "train"} for text in sentences(40)])
    return folder
