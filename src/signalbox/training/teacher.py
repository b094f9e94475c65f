"""Sentence vectors of all-MiniLM-L6-v2 in plain numpy: what the built-in encoder is fitted to.

Written here rather than run by a library so that the recipe needs nothing that is gigabytes large, and so that a
text's vector never depends on the texts beside it: texts of one length go together, nothing is padded.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LAYER_NORM_EPSILON = 1e-12
GELU_ROWS = 32  # rows of 1536 values: 200 KB stay in the second-level cache
BATCH_TOKENS = 1536  # activations of a batch stay in the second-level cache's reach

Progress = Callable[[int], None]


def read_safetensors(path: Path) -> dict[str, Floats]:
    """Return the float32 tensors of a file by name; those of other types are left out."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    start = 8 + size
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data, np.float32, (end - begin) // 4, start + begin)
            tensors[name] = values.reshape(entry["shape"])
    return tensors


class Teacher:
    """A BERT sentence encoder: mean of the last hidden states, unit length."""

    def __init__(self, folder: Path) -> None:
        """folder: holds config.json, model.safetensors and vocab.txt. Raises OSError, KeyError and ValueError."""
        tensors = read_safetensors(folder / "model.safetensors")
        heads = json.loads((folder / "config.json").read_bytes())["num_attention_heads"]
        self.vocabulary = (folder / "vocab.txt").read_bytes()
        self.sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        self._words = tensors["embeddings.word_embeddings.weight"]
        self._places = (
            tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _pair(tensors, "embeddings.LayerNorm")
        self._layers: list[_Layer] = []
        while (name := f"encoder.layer.{len(self._layers)}") + ".output.dense.weight" in tensors:
            self._layers.append(_Layer(tensors, name, heads))
        self.dims: int = self._words.shape[1]
        self.most_tokens: int = len(self._places)

    def vectors(self, texts: Sequence[Sequence[int]], progress: Progress | None = None) -> Floats:
        """Unit vectors (len(texts), dims) of token ids, with [CLS] and [SEP] among them, at most `most_tokens` each.

        progress is called with the number of texts done so far, batch by batch.
        """
        out = np.zeros((len(texts), self.dims), np.float32)
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
        at = 0
        while at < len(order):
            length = len(texts[order[at]])
            batch = [i for i in order[at : at + max(1, BATCH_TOKENS // length)] if len(texts[i]) == length]
            out[batch] = self._forward(np.array([texts[i] for i in batch]))
            at += len(batch)
            if progress is not None:
                progress(at)
        return out

    def _forward(self, ids: npt.NDArray[np.int64]) -> Floats:
        texts, length = ids.shape
        hidden: Floats = (self._words[ids] + self._places[:length]).reshape(texts * length, self.dims)
        hidden = _layer_norm(hidden, *self._norm)
        for layer in self._layers:
            hidden = layer(hidden, texts, length)
        mean = hidden.reshape(texts, length, self.dims).mean(axis=1)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)


class _Layer:
    def __init__(self, tensors: dict[str, Floats], name: str, heads: int) -> None:
        self._heads = heads
        parts = [_pair(tensors, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
        self._inward = np.ascontiguousarray(np.concatenate([weight for weight, _ in parts]).T)
        self._inward_bias = np.concatenate([bias for _, bias in parts])
        self._outward, self._outward_bias = _dense(tensors, f"{name}.attention.output.dense")
        self._norm = _pair(tensors, f"{name}.attention.output.LayerNorm")
        self._wide, self._wide_bias = _dense(tensors, f"{name}.intermediate.dense")
        self._narrow, self._narrow_bias = _dense(tensors, f"{name}.output.dense")
        self._last_norm = _pair(tensors, f"{name}.output.LayerNorm")

    def __call__(self, hidden: Floats, texts: int, length: int) -> Floats:
        dims = hidden.shape[1]
        size = dims // self._heads
        mixed = (hidden @ self._inward + self._inward_bias).reshape(texts, length, 3, self._heads, size)
        query, key, value = (mixed[:, :, part].transpose(0, 2, 1, 3) for part in range(3))
        weights: Floats = query @ key.transpose(0, 1, 3, 2)
        weights *= np.float32(size**-0.5)
        weights -= weights.max(axis=-1, keepdims=True)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=-1, keepdims=True)
        seen: Floats = (weights @ value).transpose(0, 2, 1, 3).reshape(texts * length, dims)
        hidden = _layer_norm(hidden + seen @ self._outward + self._outward_bias, *self._norm)
        wide = hidden @ self._wide + self._wide_bias
        _gelu(wide)
        return _layer_norm(hidden + wide @ self._narrow + self._narrow_bias, *self._last_norm)


def _gelu(values: Floats) -> None:
    """In place: x / 2 * (1 + erf(x / sqrt 2)), erf within 2e-7 (Abramowitz and Stegun, 7.1.26)."""
    for at in range(0, len(values), GELU_ROWS):
        x = values[at : at + GELU_ROWS]
        away = np.abs(x)
        near = np.float32(1) / (np.float32(0.3275911 * 2**-0.5) * away + np.float32(1))
        sum_ = near * np.float32(1.061405429)
        for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
            sum_ += np.float32(factor)
            sum_ *= near
        np.multiply(away, away, out=near)
        near *= np.float32(-0.5)
        np.exp(near, out=near)
        sum_ *= near  # 1 - erf(|x| / sqrt 2)
        # x / 2 * (1 + erf) is max(x, 0) - |x| / 2 * (1 - erf|.|), whatever the sign of x.
        sum_ *= away
        sum_ *= np.float32(0.5)
        np.maximum(x, np.float32(0), out=x)
        x -= sum_


def _pair(tensors: dict[str, Floats], name: str) -> tuple[Floats, Floats]:
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def _dense(tensors: dict[str, Floats], name: str) -> tuple[Floats, Floats]:
    weight, bias = _pair(tensors, name)
    return np.ascontiguousarray(weight.T), bias


def _layer_norm(values: npt.NDArray[np.floating], weight: Floats, bias: Floats) -> Floats:
    values = values - values.mean(axis=1, keepdims=True)
    variance = np.mean(values * values, axis=1, keepdims=True)
    return np.asarray(values / np.sqrt(variance + np.float32(LAYER_NORM_EPSILON)) * weight + bias, np.float32)
