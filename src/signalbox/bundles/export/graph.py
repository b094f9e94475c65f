"""Graphs written so that processes share their weights: a file of their own beside the graph, mapped into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from signalbox.bundles.manifest import MODEL

DATA = "model.onnx.data"
_EXTERNAL_BYTES = 1024  # smaller tensors stay in the graph, where shape inference can see them


def move(source: Path, out: Path, change: Callable[[Any], None] | None = None) -> None:
    """Write `source`, a model.onnx, as `out`/model.onnx, changed on the way.

    Weights that lie in one file beside the source are moved there and not written again.
    """
    import onnx

    graph = onnx.load(source, load_external_data=False)
    if change is not None:
        change(graph)
    places = [entry for tensor in _tensors(graph.graph) for entry in tensor.external_data if entry.key == "location"]
    files = {place.value for place in places}
    if len(files) == 1:
        (source.parent / files.pop()).rename(out / DATA)
        for place in places:
            place.value = DATA
        onnx.save_model(graph, out / MODEL)
    else:
        onnx.load_external_data_for_model(graph, str(source.parent))
        save(graph, out)


def save(graph: Any, out: Path) -> None:
    """Write a graph that is in memory whole."""
    import onnx

    onnx.save_model(
        graph,
        out / MODEL,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=DATA,
        size_threshold=_EXTERNAL_BYTES,
    )


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every tensor: initializers, and constants in attributes of nodes, in graphs in attributes too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
            for inner in attribute.graphs:
                yield from _tensors(inner)
