"""Tensors out of a .safetensors file: eight bytes of length, a JSON header, and the values. Nothing in it can run.

Read here and not with the library of that name, which has no numpy type for bfloat16.
Source: huggingface/safetensors, README, "Format".
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAX_HEADER_BYTES = 100_000_000  # the library's own limit
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_tensors(file: Path) -> dict[str, NDArray[np.float32]]:
    """Return every tensor as float32, by name. Raises ValueError for a damaged file or other types; OSError."""
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(_MAX_HEADER_BYTES, len(content) - 8):
        raise ValueError(f"a header of {size} bytes in a file of {len(content)}; was it cut while it was copied?")
    header = json.loads(content[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("a header that is no object")
    values = memoryview(content)[8 + size :]
    return {name: _tensor(name, entry, values) for name, entry in header.items() if name != "__metadata__"}


def _tensor(name: str, entry: Any, values: memoryview) -> NDArray[np.float32]:
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        dtype = np.dtype(_TYPES[kind])
        fits = 0 <= begin <= end <= len(values) and end - begin == dtype.itemsize * prod(shape)
    except (KeyError, TypeError, ValueError) as problem:
        raise ValueError(f"tensor {name!r}: {entry!r}, expected floats with a shape and offsets") from problem
    if not fits:
        raise ValueError(f"tensor {name!r}: bytes {begin} to {end} of {len(values)} for shape {shape}")
    array = np.frombuffer(values[begin:end], dtype).reshape(shape)
    if kind == "BF16":  # the upper half of a float32
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)
