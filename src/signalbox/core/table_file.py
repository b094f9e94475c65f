"""The file of an embedding table: 64 bytes of header, the rows, and a scale for each row if the header says so.

    offset  bytes
         0      8  magic, b"SBTABLE\\n"
         8      4  version, 1
        12      4  type of the values: 1 float32, 2 int8
        16      8  rows
        24      8  dims, values in a row
        32      8  where the scales start, 0 without: float32, one for each row
        40      8  size of the file
        48     16  zero

Numbers are little-endian and unsigned; the rows start at 64, the scales at the next multiple of 64 behind them. The
header decides the size of the file to the byte, so a file that was cut or mixed up is refused before it is used.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from signalbox.errors import Problem, SetupError

MAGIC = b"SBTABLE\n"
VERSION = 1
HEADER = struct.Struct("<8sIIQQQQ16x")
DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 2: np.dtype("i1")}
MAX_ROWS = 2**31 - 1  # token ids are int32
MAX_DIMS = 65536


class Header(NamedTuple):
    """What a table file says of itself; offsets are bytes, `scales_at` 0 without scales."""

    dtype: np.dtype[Any]
    rows: int
    dims: int
    scales_at: int


def refuse(path: Path, found: str, expected: str) -> SetupError:
    fix = "write the file again with signalbox.core.write_table, and replace it by a rename"
    return SetupError(str(Problem(str(path), None, "", found, expected, fix)))


def layout(dtype: np.dtype[Any], rows: int, dims: int, scaled: bool) -> tuple[int, int]:
    """Where the scales start (0 without), and the size of the file."""
    values_end = HEADER.size + rows * dims * dtype.itemsize
    scales_at = (values_end + 63) // 64 * 64 if scaled else 0
    return scales_at, scales_at + 4 * rows if scaled else values_end


def read_header(path: Path, head: bytes, size: int) -> Header:
    """Check the first bytes of a file of `size` bytes. Raises SetupError for anything but a whole table."""
    if len(head) < HEADER.size:
        raise refuse(path, f"{size} bytes", f"an embedding table, {HEADER.size} bytes at least")
    magic, version, code, rows, dims, scales_at, stated = HEADER.unpack(head[: HEADER.size])
    if magic != MAGIC:
        raise refuse(path, f"it starts with {magic!r}", f"an embedding table, which starts with {MAGIC!r}")
    if version != VERSION:
        raise refuse(path, f"version {version}", f"version {VERSION}")
    if code not in DTYPES:
        raise refuse(path, f"values of type {code}", "1 (float32) or 2 (int8)")
    if not (1 <= rows <= MAX_ROWS and 1 <= dims <= MAX_DIMS):
        raise refuse(path, f"{rows} rows of {dims} values", f"1 to {MAX_ROWS} rows of 1 to {MAX_DIMS} values")
    if any(head[48 : HEADER.size]):
        raise refuse(path, "something in the last 16 bytes of the header", "zeros")
    expected_scales, expected_size = layout(DTYPES[code], rows, dims, scales_at != 0)
    if scales_at != expected_scales:
        raise refuse(path, f"scales at byte {scales_at}", f"0 or {layout(DTYPES[code], rows, dims, True)[0]}")
    if stated != expected_size:
        raise refuse(path, f"a header for {stated} bytes", f"{expected_size}, by its rows, dims and scales")
    if size != expected_size:
        raise refuse(path, f"{size} bytes", f"{expected_size}, by its header; was it cut while it was copied?")
    return Header(DTYPES[code], rows, dims, scales_at)


def write_table(
    path: str | os.PathLike[str],
    values: NDArray[np.float32] | NDArray[np.int8],
    scales: NDArray[np.float32] | None = None,
) -> None:
    """Write an embedding table, whole or not at all: beside `path` first, then renamed over it.

    values: float32 or int8, (rows, dims). scales: float32, (rows,): what each row is multiplied with; None for 1.
    Raises ValueError for other types and shapes, and for values that are not finite.
    """
    codes: dict[np.dtype[Any], int] = {np.dtype(np.float32): 1, np.dtype(np.int8): 2}
    if values.dtype not in codes or values.ndim != 2 or not 0 < values.shape[0] <= MAX_ROWS:
        raise ValueError(
            f"values: found {values.dtype} of shape {values.shape}, expected float32 or int8, (rows, dims)"
        )
    rows, dims = values.shape
    if not 0 < dims <= MAX_DIMS:
        raise ValueError(f"values: found {dims} in a row, expected 1 to {MAX_DIMS}")
    if scales is not None and (scales.dtype != np.float32 or scales.shape != (rows,)):
        raise ValueError(f"scales: found {scales.dtype} of shape {scales.shape}, expected float32 of shape ({rows},)")
    for name, array in (("values", values), ("scales", scales)):
        if array is not None and not np.isfinite(array).all():
            raise ValueError(f"{name}: found a NaN or an infinity, expected finite numbers")
    code = codes[values.dtype]
    scales_at, size = layout(DTYPES[code], rows, dims, scales is not None)
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(HEADER.pack(MAGIC, VERSION, code, rows, dims, scales_at, size))
            file.write(np.ascontiguousarray(values, dtype=DTYPES[code]).data)
            if scales is not None:
                file.write(bytes(scales_at - file.tell()))
                file.write(np.ascontiguousarray(scales, dtype="<f4").data)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
