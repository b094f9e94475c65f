"""What an ONNX file says of itself, without running or even loading it: opset, inputs, outputs, external data.

A reader for the few fields of onnx.proto that a check needs; it steps over the weights in a mapped file, so that a
model of a gigabyte costs milliseconds and no memory. Source: onnx/onnx.proto3, IR version 3 and later.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

# Numbers of the fields, by message.
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_FUNCTIONS = 7, 8, 25
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_SPARSE = 1, 5, 11, 12, 15
_NODE_ATTRIBUTE, _FUNCTION_NODE = 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_SPARSE_VALUES, _SPARSE_INDICES = 1, 2
_TENSOR_NAME, _TENSOR_EXTERNAL = 8, 13
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR, _TENSOR_ELEMENT, _TENSOR_SHAPE = 1, 2, 1, 1, 2
_SHAPE_DIM, _DIM_VALUE, _DIM_PARAM = 1, 1, 2

_ELEMENTS = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
_ELEMENTS |= {8: "string", 16: "bfloat16"}
_MAX_DEPTH = 16  # graphs in attributes of nodes in graphs; a merged decoder has two


class Port(NamedTuple):
    """An input or output. shape: a length, or the name of one that changes from run to run; "" if it has none."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class External(NamedTuple):
    """Where a tensor lies outside the file. size: bytes; None if the model does not say."""

    tensor: str
    location: str
    offset: int
    size: int | None


@dataclass(slots=True)
class Graph:
    """What was found in a file. opsets: domain -> version; ONNX's own domain is ""."""

    opsets: dict[str, int] = field(default_factory=dict)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    externals: list[External] = field(default_factory=list)
    nodes: int = 0


def read_graph(path: Path) -> Graph:
    """Read a model. Raises ValueError, naming the byte, if the file is not one or was cut; OSError if unreadable."""
    with path.open("rb") as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as problem:
            raise ValueError("it is empty") from problem
    return _model(memoryview(mapped))  # unmapped with its last view, which a traceback may hold for a while


def _model(data: memoryview) -> Graph:
    found = Graph()
    graphs = 0
    for number, value in _fields(data):
        if number == _MODEL_OPSETS:
            domain, version = "", 0
            for inner, part in _fields(_message(value)):
                if inner == _OPSET_DOMAIN:
                    domain = _text(part)
                elif inner == _OPSET_VERSION:
                    version = _integer(part)
            found.opsets["" if domain == "ai.onnx" else domain] = version
        elif number == _MODEL_GRAPH:
            graphs += 1
            _graph(_message(value), found, 0)
        elif number == _MODEL_FUNCTIONS:
            for inner, part in _fields(_message(value)):
                if inner == _FUNCTION_NODE:
                    _node(_message(part), found, 1)
    if graphs != 1 or not found.opsets:
        raise ValueError("no ONNX model: it has no graph or no opset")
    return found


def _graph(data: memoryview, found: Graph, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError(f"graphs within graphs, deeper than {_MAX_DEPTH}")
    for number, value in _fields(data):
        if number == _GRAPH_NODE:
            _node(_message(value), found, depth)
        elif number == _GRAPH_INITIALIZER:
            _tensor(_message(value), found)
        elif number == _GRAPH_SPARSE:
            _sparse(_message(value), found)
        elif depth == 0 and number == _GRAPH_INPUT:
            found.inputs.append(_port(_message(value)))
        elif depth == 0 and number == _GRAPH_OUTPUT:
            found.outputs.append(_port(_message(value)))


def _node(data: memoryview, found: Graph, depth: int) -> None:
    found.nodes += 1
    for number, value in _fields(data):
        if number != _NODE_ATTRIBUTE:
            continue
        for inner, part in _fields(_message(value)):
            if inner in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                _tensor(_message(part), found)
            elif inner in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                _graph(_message(part), found, depth + 1)


def _sparse(data: memoryview, found: Graph) -> None:
    for number, value in _fields(data):
        if number in (_SPARSE_VALUES, _SPARSE_INDICES):
            _tensor(_message(value), found)


def _tensor(data: memoryview, found: Graph) -> None:
    name, entries = "", {}
    for number, value in _fields(data):
        if number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_EXTERNAL:
            key = content = ""
            for inner, part in _fields(_message(value)):
                if inner == 1:
                    key = _text(part)
                elif inner == 2:
                    content = _text(part)
            entries[key] = content
    if entries:
        offset, size = entries.get("offset", "0"), entries.get("length")
        if not offset.isdecimal() or (size is not None and not size.isdecimal()):
            raise ValueError(f"tensor {name!r}: external data at offset {offset!r}, length {size!r}")
        found.externals.append(
            External(name, entries.get("location", ""), int(offset), None if size is None else int(size))
        )


def _port(data: memoryview) -> Port:
    name, dtype, shape = "", "", []
    for number, value in _fields(data):
        if number == _VALUE_NAME:
            name = _text(value)
        elif number == _VALUE_TYPE:
            for inner, part in _fields(_message(value)):
                if inner != _TYPE_TENSOR:
                    continue
                for field_number, content in _fields(_message(part)):
                    if field_number == _TENSOR_ELEMENT:
                        dtype = _ELEMENTS.get(_integer(content), f"type {content}")
                    elif field_number == _TENSOR_SHAPE:
                        shape = [_dim(_message(d)) for n, d in _fields(_message(content)) if n == _SHAPE_DIM]
    return Port(name, dtype, tuple(shape))


def _dim(data: memoryview) -> int | str:
    for number, value in _fields(data):
        if number == _DIM_VALUE:
            return _integer(value)
        if number == _DIM_PARAM:
            return _text(value)
    return ""


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of a message's fields: an integer, or the bytes of anything longer."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"byte {at}: wire type {wire}, so it is no ONNX model, or it was damaged")
        if number == 0:
            raise ValueError(f"byte {at}: field 0, so it is no ONNX model, or it was damaged")
        if size > end - at:
            raise ValueError(f"byte {at}: a field of {size} bytes where {end - at} are left, so it was cut or damaged")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"byte {at}: a number that does not end, so it was cut or damaged")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs, so it is no ONNX model, or it was damaged")
    return value


def _integer(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("a message where a number belongs, so it is no ONNX model, or it was damaged")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode()  # UnicodeDecodeError is a ValueError
