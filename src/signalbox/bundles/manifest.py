"""router.json: what a bundle says of itself. docs/models.md has every member.

The manifest is written last when a model is exported and read first when it is opened; what it does not say of
a model, an engine does not assume.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from signalbox.errors import BundleError, Problem

MANIFEST = "router.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
TENSORS = "tensors.npz"
SCHEMA = 1
MAX_MANIFEST_BYTES = 1 << 20

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_EXPORT_AGAIN = "export the model again with `signalbox models export`"


class Kind(StrEnum):
    """What a model decides, and so which engine runs it."""

    CLASSIFIER = "classifier"  # a label for a prompt, as RouteLLM's BERT
    MATRIX_FACTORIZATION = "matrix_factorization"  # a score per model from an embedding; tensors, no graph
    PREFERENCE = "preference"  # one of described routes, as Arch-Router
    DELIBERATE = "deliberate"  # reasons and asks models itself, as Router-R1
    MODALITY = "modality"  # what is asked for or what to guard, as mmBERT's heads
    ENCODER = "encoder"  # a vector for a text, as MiniLM


class Dtype(StrEnum):
    """Of the weights."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"  # dynamic: weights per channel, activations per run; never batch or pad such a model


class Pooling(StrEnum):
    """How the vector of a text comes from the vectors of its tokens."""

    NONE = ""
    CLS = "cls"
    MEAN = "mean"
    LAST = "last"


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a text longer than `tokens` is read: in windows of that size, each `stride` tokens after the last."""

    tokens: int
    stride: int


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an int8 or float16 model kept of its float32 original on `n` calibration texts.

    share: of texts answered alike, 0 to 1. alike: what that means. worst: the largest difference seen, of a
    probability or of a cosine. kept_float32: products that were not quantised.
    """

    share: float
    n: int
    alike: str = ""
    worst: float | None = None
    kept_float32: int = 0


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """router.json.

    labels: of the output, in its order; for `matrix_factorization`, the models in the order of their rows.
    max_tokens: most that one run takes, special tokens included. per_token: a label for each token, not for the text.
    prompt: name and version of the prompt format, empty where the text is the prompt. embedding: the model whose
    vectors a `matrix_factorization` expects. providers: ONNX Runtime's names, best first; hints.
    files: name -> SHA-256 in hex, of every file but router.json. sizes: name -> bytes, where they were recorded.
    parity: largest absolute difference of the float32 graph from the checkpoint's own framework.
    """

    schema: int
    kind: Kind
    architecture: str
    labels: tuple[str, ...] = ()
    max_tokens: int = 0
    per_token: bool = False
    prompt: str = ""
    dtype: Dtype = Dtype.FLOAT32
    pooling: Pooling = Pooling.NONE
    embedding: str = ""
    window: Window | None = None
    providers: tuple[str, ...] = ()
    source: str = ""
    revision: str = ""
    licence: str = ""
    files: dict[str, str]
    sizes: dict[str, int] = {}
    made_with: dict[str, str] = {}
    parity: float | None = None
    agreement: Agreement | None = None

    def as_json(self) -> str:
        """Return the text of the file, members in the order above."""
        return json.dumps(msgspec.to_builtins(self), indent=2, ensure_ascii=False) + "\n"


def required_files(kind: Kind) -> tuple[str, ...]:
    """Files that a bundle of this kind cannot do without."""
    return (TENSORS,) if kind is Kind.MATRIX_FACTORIZATION else (MODEL, TOKENIZER)


def read_manifest(folder: Path) -> Manifest:
    """Read and check router.json. Raises BundleError with everything that is wrong with it."""
    file = str(folder / MANIFEST)
    try:
        with (folder / MANIFEST).open("rb") as opened:
            content = opened.read(MAX_MANIFEST_BYTES + 1)
    except OSError as problem:
        raise BundleError.single(
            file, f"cannot be read: {problem.strerror}", expected="a folder with a router.json", fix=_EXPORT_AGAIN
        ) from problem
    if len(content) > MAX_MANIFEST_BYTES:
        raise BundleError.single(
            file, f"more than {MAX_MANIFEST_BYTES} bytes", expected="a router.json", fix=_EXPORT_AGAIN
        )
    try:
        found = json.loads(content)
        version = found.get("schema") if isinstance(found, dict) else None
        if isinstance(found, dict) and version != SCHEMA:
            raise BundleError.single(
                file,
                f"version {version!r}",
                path="schema",
                expected=f"version {SCHEMA}",
                fix=f"run the Signalbox that wrote it, or {_EXPORT_AGAIN}",
            )
        manifest = msgspec.convert(found, Manifest)
    except (ValueError, RecursionError) as problem:  # msgspec's ValidationError is a ValueError
        raise BundleError.single(
            file, str(problem), expected="members as in docs/models.md", fix=_EXPORT_AGAIN
        ) from None
    problems = [
        Problem(file, None, path, what, expected, _EXPORT_AGAIN) for path, what, expected in _disagreements(manifest)
    ]
    if problems:
        raise BundleError(problems)
    return manifest


def _disagreements(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield (path, found, expected) of members that no model can have, or not together."""
    kind = manifest.kind
    yield from _file_problems(manifest)
    if len(set(manifest.labels)) < len(manifest.labels) or "" in manifest.labels:
        yield "labels", f"{list(manifest.labels)}", "names, each once"
    if kind in (Kind.CLASSIFIER, Kind.MODALITY, Kind.MATRIX_FACTORIZATION) and len(manifest.labels) < 2:
        yield "labels", f"{len(manifest.labels)}", f"2 at least for kind {kind}"
    if kind is Kind.MATRIX_FACTORIZATION:
        if not manifest.embedding:
            yield "embedding", "nothing", "the name of the model whose vectors the tensors were trained on"
    elif manifest.max_tokens < 8:
        yield "max_tokens", f"{manifest.max_tokens}", "8 at least"
    if kind in (Kind.PREFERENCE, Kind.DELIBERATE) and not manifest.prompt:
        yield "prompt", "nothing", f"the prompt format that a model of kind {kind} was trained with"
    if (kind is Kind.ENCODER) != (manifest.pooling is not Pooling.NONE):
        yield "pooling", repr(str(manifest.pooling)), "cls, mean or last for kind encoder, and nothing for others"
    window = manifest.window
    if window is not None and not 0 < window.stride <= window.tokens <= manifest.max_tokens:
        yield (
            "window",
            f"{window.tokens} tokens, stride {window.stride}",
            f"a stride of 1 to `tokens`, and at most {manifest.max_tokens} tokens",
        )
    if manifest.dtype is Dtype.INT8 and manifest.agreement is None:
        yield "agreement", "nothing", "how far the int8 model agrees with its float32 original"
    if manifest.agreement is not None and not (0 <= manifest.agreement.share <= 1 and manifest.agreement.n > 0):
        yield "agreement", f"share {manifest.agreement.share} of {manifest.agreement.n}", "0 to 1, of 1 text or more"


def _file_problems(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    for name, digest in manifest.files.items():
        if not _FILE_NAME.fullmatch(name) or name == MANIFEST:
            yield "files", repr(name), "a file's name in this folder: letters, digits, `.`, `_` and `-`, no path"
        if not _SHA256.fullmatch(digest):
            yield f"files.{name}", repr(digest), "a SHA-256 in 64 lower-case hex digits"
    for name in required_files(manifest.kind):
        if name not in manifest.files:
            yield "files", f"no {name}", f"{' and '.join(required_files(manifest.kind))} for kind {manifest.kind}"
    for name in manifest.sizes.keys() - manifest.files.keys():
        yield "sizes", repr(name), "names that `files` has"
