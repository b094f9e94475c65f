"""Smaller weights, and the gate before them: how often does the small model answer as its original does?

int8 is for processors, float16 for accelerators. For int8, weights are quantised per channel and activations while
the model runs. Per channel and not per tensor: on MiniLM the cosine with the original is 0.993 against 0.961. What a
smaller model is worth is measured on texts, for each model anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from signalbox.bundles.export.checkpoint import Checkpoint
from signalbox.bundles.export.graph import DATA, move, save
from signalbox.bundles.export.plan import Family
from signalbox.bundles.export.quiet import quiet
from signalbox.bundles.manifest import MODEL, TOKENIZER, Agreement, Manifest, Pooling
from signalbox.bundles.session import Array, open_session, run

ALIKE_COSINE = 0.98  # MiniLM's int8 vectors have 0.993 on average and 0.981 at worst

Tick = Callable[[int, int], None]


def token_ids(folder: Path, texts: Sequence[str], max_tokens: int) -> list[Array]:
    """Encode texts with the bundle's tokenizer, special tokens included; int64, (1, tokens), cut at max_tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.enable_truncation(max_tokens)
    encoded = tokenizer.encode_batch_fast(list(texts))
    return [np.array([each.ids], np.int64) for each in encoded if each.ids]


def answers(model: Path, ids: Sequence[Array], manifest: Manifest, family: Family, tick: Tick) -> list[Array]:
    """Run a graph on each text.

    Returns probabilities, (1, labels) or (tokens, labels) or (1, vocabulary), or unit vectors, (1, dims).
    """
    session = open_session(model)
    found = []
    for at, each in enumerate(ids):
        outputs = run(session, each)
        if family is Family.ENCODER:
            found.append(_pooled(outputs["last_hidden_state"][0], manifest.pooling)[None])
        else:
            found.append(_softmax(outputs["logits"].reshape(-1, outputs["logits"].shape[-1])))
        tick(at + 1, len(ids))
    return found


def quantise(source: Path, out: Path, *, keep_wide: bool) -> int:
    """Write `out`/model.onnx with int8 weights. Returns how many products kept float32.

    keep_wide: products that make a wide vector narrow, as the second of each feed-forward block, stay float32:
    their inputs have the outliers that one scale for a whole tensor serves badly.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    kept = list(_narrowing(onnx.load(source, load_external_data=False))) if keep_wide else []
    scratch = out / "int8"
    scratch.mkdir()
    with quiet():
        quantize_dynamic(
            source,
            scratch / MODEL,
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
            use_external_data_format=True,
            extra_options={"MatMulConstBOnly": True},
        )
    move(scratch / MODEL, out)
    shutil.rmtree(scratch)
    return len(kept)


def halve(source: Path, out: Path) -> None:
    """Write `out`/model.onnx with float16 weights; inputs and outputs stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    graph = onnx.load(source)
    with quiet():  # inferring shapes would serialise the weights, of which protobuf takes 2 GB at most
        save(convert_float_to_float16(graph, keep_io_types=True, disable_shape_infer=True), out)


def agreement(
    checkpoint: Checkpoint, family: Family, original: Sequence[Array], quantised: Sequence[Array], kept: int
) -> Agreement:
    """Compare two models' answers to the same texts. Raises BundleError if the quantised one answers with NaN."""
    alike = total = 0
    worst = 0.0
    for before, after in zip(original, quantised, strict=True):
        if not np.isfinite(after).all():
            raise checkpoint.refuse("the smaller model answers NaN", fix="export with --dtype float32", file="")
        if family is Family.ENCODER:
            distance = 1 - float(before[0] @ after[0])
            same = np.array([distance <= 1 - ALIKE_COSINE])
            worst = max(worst, distance)
        else:
            same = before.argmax(axis=-1) == after.argmax(axis=-1)
            worst = max(worst, float(np.abs(before - after).max()))
        alike += int(same.sum())
        total += len(same)
    words = {
        Family.ENCODER: f"cosine {ALIKE_COSINE} at least",
        Family.TOKEN: "same label of a token",
        Family.CAUSAL: "same next token",
    }
    return Agreement(round(alike / total, 4), total, words.get(family, "same label"), round(worst, 4), kept)


def says_one_thing(family: Family, original: Sequence[Array]) -> bool:
    """Whether a classifier answered all texts alike, so that agreeing with it shows little."""
    if family not in (Family.SEQUENCE, Family.TOKEN):
        return False
    return len({int(label) for each in original for label in each.argmax(axis=-1)}) == 1


def remove(folder: Path) -> None:
    """Remove a graph and its weights."""
    for name in (MODEL, DATA):
        (folder / name).unlink(missing_ok=True)


def _narrowing(graph: Any) -> Iterator[str]:
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.graph.initializer}
    for node in graph.graph.node:
        shape = shapes.get(node.input[1]) if node.op_type == "MatMul" else None
        if shape is not None and len(shape) == 2 and shape[0] > shape[1]:
            yield node.name


def _pooled(hidden: Array, pooling: Pooling) -> Array:
    vector = {Pooling.CLS: hidden[0], Pooling.LAST: hidden[-1]}.get(pooling, hidden.mean(axis=0))
    unit: Array = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares
