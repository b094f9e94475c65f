"""Opening a bundle: a folder with a router model, everything an engine needs to run it, and what it claims to be.

A bundle is checked before it is used: every file is there, has its size and its hash, lies inside the folder, and the
graph has the inputs, outputs and labels that the manifest says. Whoever opens one can rely on that.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from signalbox.bundles.manifest import (
    MODEL,
    TENSORS,
    TOKENIZER,
    Kind,
    Manifest,
    read_manifest,
)
from signalbox.bundles.onnx_file import Graph, Port, read_graph
from signalbox.errors import BundleError, Problem

OLDEST_OPSET, NEWEST_OPSET = 14, 23  # of ONNX's own domain; 18 is what exports have
DOMAINS = {"", "ai.onnx.ml", "com.microsoft"}  # others need a library of their own, which would be code in a model

_COPY_AGAIN = "copy the folder again from where it was exported, or export the model again"
_EXPORT_AGAIN = "export the model again with `signalbox models export`"
_CLASSES = {Kind.CLASSIFIER, Kind.MODALITY}
_GENERATORS = {Kind.PREFERENCE, Kind.DELIBERATE}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files are what its manifest says. graph: None for one without a model.onnx."""

    manifest: Manifest
    path: Path
    graph: Graph | None

    @property
    def model(self) -> Path:
        """The graph, to be opened by ONNX Runtime from here: its external data lies beside it."""
        return self.path / MODEL

    @property
    def tokenizer(self) -> Path:
        return self.path / TOKENIZER

    @property
    def tensors(self) -> Path:
        """Arrays of a `matrix_factorization`: models (models, hidden), projection (hidden, dims), head (hidden,)."""
        return self.path / TENSORS


def open_bundle(path: str | os.PathLike[str], *, hashes: bool = True) -> Bundle:
    """Open a bundle and check it whole. Raises BundleError with every problem found.

    hashes: False leaves out reading every byte, which takes about a second per gigabyte: for a process whose parent
    has just done so. Sizes and the graph are checked all the same.
    """
    folder = Path(os.path.abspath(path))
    manifest = read_manifest(folder)
    problems = list(_file_problems(folder, manifest, hashes))
    graph = None
    if not problems:
        graph, found = _content(folder, manifest)
        problems = list(found)
    if problems:
        raise BundleError(problems)
    return Bundle(manifest, folder, graph)


def digest(file: Path) -> str:
    """Return a file's SHA-256 in hex. Raises OSError."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _file_problems(folder: Path, manifest: Manifest, hashes: bool) -> Iterator[Problem]:
    names = {value: name for name, value in manifest.files.items()}
    inside = Path(os.path.realpath(folder))
    for name, expected in manifest.files.items():
        file = folder / name
        if not Path(os.path.realpath(file)).is_relative_to(inside):
            # A mounted volume links within itself; a link out of it can be pointed at something else later.
            yield Problem(
                str(file), None, "", "a link out of the folder", "a file in it", "copy the file to this place"
            )
            continue
        try:
            size = file.stat().st_size
            if not file.is_file():
                yield Problem(str(file), None, "", "not a file", "the file that router.json lists", _COPY_AGAIN)
                continue
            stated = manifest.sizes.get(name, size)
            if size != stated:
                what = f"{size} bytes; {_why_of_that_size(size, stated)}"
                if hashes and size in manifest.sizes.values() and (other := names.get(digest(file))):
                    what = _mixed_up(other)
                yield Problem(str(file), None, "", what, f"{stated} bytes", _COPY_AGAIN)
                continue
            found = digest(file) if hashes else expected
        except FileNotFoundError:
            yield Problem(str(file), None, "", "missing", "the file that router.json lists", _COPY_AGAIN)
            continue
        except OSError as problem:
            yield Problem(str(file), None, "", f"cannot be read: {problem.strerror}", "a readable file", "")
            continue
        if found != expected:
            other = names.get(found)
            what = _mixed_up(other) if other else f"SHA-256 {found}"
            yield Problem(str(file), None, "", what, f"SHA-256 {expected}, by router.json", _COPY_AGAIN)


def _why_of_that_size(size: int, stated: int) -> str:
    return "was it cut while it was copied, or is it another model's?" if size < stated else "is it another model's?"


def _mixed_up(other: str) -> str:
    return f"the content of {other}; are the two mixed up?"


def _content(folder: Path, manifest: Manifest) -> tuple[Graph | None, list[Problem]]:
    if manifest.kind is Kind.MATRIX_FACTORIZATION:
        return None, list(_tensor_problems(folder / TENSORS, manifest))
    problems = list(_tokenizer_problems(folder / TOKENIZER))
    file = folder / MODEL
    try:
        graph = read_graph(file)
    except (ValueError, OSError) as problem:
        return None, [*problems, Problem(str(file), None, "", str(problem), "an ONNX model", _EXPORT_AGAIN)]
    for what, expected in _graph_problems(folder, manifest, graph):
        problems.append(Problem(str(file), None, "", what, expected, _EXPORT_AGAIN))
    return graph, problems


def _tokenizer_problems(file: Path) -> Iterator[Problem]:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError, OSError) as problem:
        yield Problem(str(file), None, "", f"not JSON: {problem}", "a tokenizer.json", _EXPORT_AGAIN)
        return
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        yield Problem(str(file), None, "", "no `model`", "a tokenizer.json of the `tokenizers` library", _EXPORT_AGAIN)


def _tensor_problems(file: Path, manifest: Manifest) -> Iterator[Problem]:
    try:
        shapes = tensor_shapes(file)
    except (ValueError, OSError, zipfile.BadZipFile) as problem:
        yield Problem(str(file), None, "", str(problem), "arrays in a .npz", _EXPORT_AGAIN)
        return
    models, projection, head = (shapes.get(name) for name in ("models", "projection", "head"))
    if (
        not (models and projection and head and len(models) == len(projection) == 2)
        or models[1] != projection[0]
        or head not in ((projection[0],), (1, projection[0]))
    ):
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
        wanted = "models (models, hidden), projection (hidden, dims) and head (hidden,) or (1, hidden)"
        yield Problem(str(file), None, "", found, wanted, _EXPORT_AGAIN)
    elif models[0] != len(manifest.labels):
        yield Problem(
            str(file),
            None,
            "",
            f"rows for {models[0]} models",
            f"{len(manifest.labels)}, the labels of router.json",
            _EXPORT_AGAIN,
        )


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return name and shape of each array of a .npz by its headers alone.

    Raises ValueError for arrays that are not of floats, pickled ones among them; BadZipFile, OSError.
    """
    from numpy.lib import format as npy  # a command that reads no tensors should not wait for numpy

    shapes = {}
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                if npy.read_magic(member) != (1, 0):
                    raise ValueError(f"{name}: another version of numpy's format, expected 1.0")
                shape, _, dtype = npy.read_array_header_1_0(member)
                if dtype.kind != "f":
                    raise ValueError(f"{name}: values of type {dtype}, expected floats")
                shapes[name.removesuffix(".npy")] = tuple(shape)
    return shapes


def _graph_problems(folder: Path, manifest: Manifest, graph: Graph) -> Iterator[tuple[str, str]]:
    opset = graph.opsets.get("", 0)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        yield f"opset {opset}", f"opset {OLDEST_OPSET} to {NEWEST_OPSET}"
    for domain in sorted(graph.opsets.keys() - DOMAINS):
        yield f"operators of domain {domain!r}", "those of ONNX and ONNX Runtime alone"
    yield from _external_problems(folder, manifest, graph)

    inputs = {port.name: port for port in graph.inputs}
    if "input_ids" not in inputs:
        yield f"inputs {', '.join(inputs) or 'none'}", "input_ids among them"
    outputs = {port.name: port for port in graph.outputs}
    name = "last_hidden_state" if manifest.kind is Kind.ENCODER else "logits"
    output = outputs.get(name)
    if output is None:
        yield f"outputs {', '.join(outputs) or 'none'}", f"{name} for kind {manifest.kind}"
    elif manifest.kind in _CLASSES:
        yield from _label_problems(manifest, output)
    if manifest.kind in _GENERATORS:
        past = sum(name.startswith("past_key_values.") for name in inputs)
        present = sum(name.startswith("present.") for name in outputs)
        if not past or past != present:
            yield f"{past} inputs past_key_values.* and {present} outputs present.*", "as many of each, 1 at least"


def _label_problems(manifest: Manifest, output: Port) -> Iterator[tuple[str, str]]:
    rank = 3 if manifest.per_token else 2
    if len(output.shape) != rank:
        each = "each token" if manifest.per_token else "the text"
        yield f"logits of shape {list(output.shape)}", f"{rank} dimensions: labels for {each}"
    elif isinstance(output.shape[-1], int) and output.shape[-1] != len(manifest.labels):
        yield f"logits for {output.shape[-1]} labels", f"{len(manifest.labels)}, the labels of router.json"


def _external_problems(folder: Path, manifest: Manifest, graph: Graph) -> Iterator[tuple[str, str]]:
    unlisted = {external.location for external in graph.externals} - manifest.files.keys()
    for location in sorted(unlisted):
        yield f"weights in {location!r}", "weights in files beside it that router.json lists"
    sizes = {name: (folder / name).stat().st_size for name in manifest.files}
    for external in graph.externals:
        held = sizes.get(external.location)
        end = external.offset + (external.size or 0)
        if held is not None and end > held:
            yield (
                f"tensor {external.tensor!r} at bytes {external.offset} to {end} of {external.location}",
                f"it within the file's {held} bytes",
            )
            return  # one says it; a file cut short would be named by thousands
