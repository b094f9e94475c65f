"""What becomes of a checkpoint: the kind of bundle, its labels and limits, decided before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from signalbox.bundles.export.checkpoint import WEIGHTS, Checkpoint
from signalbox.bundles.export.published import Published, published
from signalbox.bundles.export.request import Request
from signalbox.bundles.manifest import Dtype, Kind, Manifest, Pooling
from signalbox.errors import BundleError


class Family(StrEnum):
    """How a checkpoint is exported: optimum's name of the task, but for tensors."""

    SEQUENCE = "text-classification"
    TOKEN = "token-classification"
    ENCODER = "feature-extraction"
    CAUSAL = "text-generation-with-past"
    TENSORS = "tensors"


_ENDINGS = {
    "ForSequenceClassification": Family.SEQUENCE,
    "ForTokenClassification": Family.TOKEN,
    "ForCausalLM": Family.CAUSAL,
    "Model": Family.ENCODER,
    "ForMaskedLM": Family.ENCODER,
}
_KINDS = {
    Family.SEQUENCE: (Kind.CLASSIFIER, Kind.MODALITY),
    Family.TOKEN: (Kind.MODALITY, Kind.CLASSIFIER),
    Family.ENCODER: (Kind.ENCODER,),
    Family.CAUSAL: (Kind.PREFERENCE, Kind.DELIBERATE),
    Family.TENSORS: (Kind.MATRIX_FACTORIZATION,),
}
_DEFAULT_MAX_TOKENS = {Family.CAUSAL: 4096}
_PROVIDERS = {
    Dtype.FLOAT32: ("CUDAExecutionProvider", "CPUExecutionProvider"),
    Dtype.INT8: ("CPUExecutionProvider",),
    Dtype.FLOAT16: ("CUDAExecutionProvider",),  # a CPU computes in float32 and converts at every step
}


@dataclass(frozen=True, slots=True)
class Plan:
    """family, and the manifest as far as it is known beforehand, without files."""

    family: Family
    manifest: Manifest


def plan(request: Request, checkpoint: Checkpoint) -> Plan:
    """Decide. Raises BundleError for what cannot be exported as asked, naming the option that would settle it."""
    family = _family(request, checkpoint)
    known = published(checkpoint.source)
    if known is not None and known.kind not in _KINDS[family]:
        known = None  # a folder that only happens to have this name
    kind = request.kind or (known.kind if known else _KINDS[family][0])
    if kind not in _KINDS[family]:
        raise checkpoint.refuse(
            f"architecture {checkpoint.architecture!r}", expected=f"one for kind {kind}", fix="leave --kind out"
        )
    if family is Family.TENSORS and request.dtype is not Dtype.FLOAT32:
        raise checkpoint.refuse(f"--dtype {request.dtype} for tensors", expected="float32", fix="leave --dtype out")
    max_tokens = 0 if family is Family.TENSORS else _max_tokens(request, checkpoint, family, known)
    window = request.window or (known.window if known and not request.max_tokens else None)
    prompt = request.prompt or (known.prompt if known else "")
    if kind in (Kind.PREFERENCE, Kind.DELIBERATE) and not prompt:
        raise checkpoint.refuse(
            "no published router of this name",
            expected="the prompt format that the model was trained with",
            fix="say which one: --prompt NAME; docs/models.md lists them",
        )
    manifest = Manifest(
        schema=1,
        kind=kind,
        architecture=checkpoint.architecture,
        labels=_labels(request, checkpoint, family, known),
        max_tokens=max_tokens,
        per_token=family is Family.TOKEN,
        prompt=prompt,
        dtype=request.dtype,
        pooling=_pooling(checkpoint, known) if family is Family.ENCODER else Pooling.NONE,
        embedding=_embedding(request, known) if family is Family.TENSORS else "",
        window=window if kind in (Kind.CLASSIFIER, Kind.MODALITY) else None,
        providers=() if family is Family.TENSORS else _PROVIDERS[request.dtype],
        source=checkpoint.source,
        revision=checkpoint.revision,
        licence=request.licence or checkpoint.licence,
        files={},
    )
    return Plan(family, manifest)


def _family(request: Request, checkpoint: Checkpoint) -> Family:
    known = published(checkpoint.source)
    wanted = request.kind or (known.kind if known else None)
    if wanted is Kind.MATRIX_FACTORIZATION and not checkpoint.architecture:
        return Family.TENSORS
    tensors = "for RouteLLM's matrix factorisation, say --kind matrix_factorization"
    if not checkpoint.config:
        raise checkpoint.refuse("missing", expected="the config of a transformers model", fix=tensors)
    for ending, family in _ENDINGS.items():
        if checkpoint.architecture.endswith(ending):
            if not any((checkpoint.folder / name).exists() for name in WEIGHTS):
                raise checkpoint.refuse("missing", expected=f"one of {', '.join(WEIGHTS)}", file=WEIGHTS[0])
            return family
    raise checkpoint.refuse(
        f"architectures: {checkpoint.config.get('architectures')!r}",
        expected=f"a name that ends in {', '.join(_ENDINGS)}",
        fix="" if checkpoint.architecture else tensors,
    )


def _labels(request: Request, checkpoint: Checkpoint, family: Family, known: Published | None) -> tuple[str, ...]:
    if family in (Family.ENCODER, Family.CAUSAL):
        return ()
    if family is Family.TENSORS:
        return request.labels or (known.labels if known else ())
    count = label_count(checkpoint.config)
    problem = checkpoint.config.get("problem_type")
    if problem in ("multi_label_classification", "regression") or count < 2:
        raise checkpoint.refuse(
            f"problem_type: {problem!r} with {count} outputs", expected="2 labels at least, of which one holds"
        )
    own = _own_labels(checkpoint.config, count)
    unnamed = [f"LABEL_{at}" for at in range(count)]
    published_ones = known.labels if known and len(known.labels) == count else ()  # else another model of this name
    labels: Sequence[str] = request.labels or own or published_ones or unnamed
    if len(labels) != count:
        raise checkpoint.refuse(
            f"{count} outputs, while there are {len(labels)} labels: {', '.join(labels)}",
            expected="a label for each output",
            fix="name them in the order of the outputs: --labels A,B,C",
        )
    return tuple(labels)


def label_count(config: dict[str, Any]) -> int:
    """Return how many outputs a head has. Version 4 of transformers has two where nothing is said."""
    names = config.get("id2label")
    return len(names) if isinstance(names, dict) else int(config.get("num_labels", 2))


def _own_labels(config: dict[str, Any], count: int) -> tuple[str, ...]:
    """Labels that the config names; empty if it has none, or only transformers' own LABEL_0, LABEL_1."""
    names = config.get("id2label")
    if not isinstance(names, dict):
        return ()
    ordered = [str(names.get(str(at), "")) for at in range(count)]
    return () if ordered == [f"LABEL_{at}" for at in range(count)] or "" in ordered else tuple(ordered)


def positions(config: dict[str, Any]) -> int:
    """Return how many tokens a model has positions for."""
    most = int(config.get("max_position_embeddings", 512))
    if config.get("model_type") in ("xlm-roberta", "roberta", "camembert"):
        most -= int(config.get("pad_token_id") or 0) + 1  # positions are counted from behind the padding's
    return most


def _max_tokens(request: Request, checkpoint: Checkpoint, family: Family, known: Published | None) -> int:
    most = positions(checkpoint.config)
    if request.max_tokens > most:
        raise checkpoint.refuse(
            f"--max-tokens {request.max_tokens}", expected=f"at most {most}, the positions that the model has"
        )
    trained = checkpoint.read_json("sentence_bert_config.json") if family is Family.ENCODER else None
    stated = trained.get("max_seq_length") if isinstance(trained, dict) else None
    wanted = request.max_tokens or (known.max_tokens if known else 0) or stated or _DEFAULT_MAX_TOKENS.get(family, 512)
    if request.window is not None:
        wanted = max(wanted, request.window.tokens)
    return min(int(wanted), most)


def _pooling(checkpoint: Checkpoint, known: Published | None) -> Pooling:
    """How a sentence encoder says it pools; the mean where it says nothing."""
    stated = checkpoint.read_json(str(Path("1_Pooling") / "config.json"))
    if not isinstance(stated, dict):
        return known.pooling if known else Pooling.MEAN
    modes = {
        "pooling_mode_mean_tokens": Pooling.MEAN,
        "pooling_mode_cls_token": Pooling.CLS,
        "pooling_mode_lasttoken": Pooling.LAST,
    }
    chosen = [name for name, value in stated.items() if name.startswith("pooling_mode_") and value is True]
    if len(chosen) != 1 or chosen[0] not in modes:
        raise checkpoint.refuse(
            f"{', '.join(chosen) or 'no pooling'}", expected=f"one of {', '.join(modes)}", file="1_Pooling/config.json"
        )
    return modes[chosen[0]]


def _embedding(request: Request, known: Published | None) -> str:
    embedding = request.embedding or (known.embedding if known else "")
    if not embedding:
        raise BundleError.single(
            request.source,
            "nothing says which model's vectors it expects",
            expected="the embedding model that it was trained on",
            fix="say --embedding NAME",
        )
    return embedding
