"""Embedding tables, memory-mapped: the vector of a text from the ids of its tokens."""

import mmap
from pathlib import Path

from libc.stdint cimport int8_t, int32_t, int64_t

from .c_score cimport SB_POOL_EMPTY, SB_POOL_ID, SB_POOL_WEIGHT, sb_pool_f32, sb_pool_i8, sb_pool_result, sb_table

import numpy as np

from .table_file import HEADER, read_header, refuse


cdef class EmbeddingTable:
    """Rows of float32 or int8 values in a file, mapped read-only and shared by all processes. Immutable.

    rows, dims: its size. is_int8: the type of its values. Same contract as `reference.EmbeddingTable`;
    `signalbox.core.table_file` defines the file, csrc/sb_pool.h the sums.
    """

    def __init__(self):
        raise TypeError("an EmbeddingTable is opened by EmbeddingTable.open(path)")

    @staticmethod
    def open(path):
        """Map a table. Raises SetupError, naming the file, for one that is missing, cut or no table.

        Replace a file in use by a rename, as `write_table` does: cutting it under its readers kills them.
        """
        place = Path(path)
        try:
            with place.open("rb") as file:
                head = file.read(HEADER.size)
                size = file.seek(0, 2)
                header = read_header(place, head, size)
                mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as problem:  # ValueError: it shrank between the two looks at it
            raise refuse(place, getattr(problem, "strerror", None) or str(problem), "an embedding table that can be read") from problem
        mapped.madvise(mmap.MADV_WILLNEED)  # read ahead: the first requests should not wait for the disk
        cdef EmbeddingTable self = EmbeddingTable.__new__(EmbeddingTable)
        self.rows, self.dims = header.rows, header.dims
        self.is_int8 = header.dtype == np.int8
        self.values = np.frombuffer(mapped, header.dtype, self.rows * self.dims, HEADER.size)
        cdef const float[::1] floats
        cdef const int8_t[::1] bytes_
        if self.is_int8:
            bytes_ = self.values
            self.table.values = &bytes_[0]
        else:
            floats = self.values
            self.table.values = &floats[0]
        if header.scales_at:
            self.scales = np.frombuffer(mapped, np.float32, self.rows, header.scales_at)
            if not np.isfinite(self.scales).all():
                raise refuse(place, "a scale that is NaN or infinite", "finite scales")
            floats = self.scales
            self.table.scales = &floats[0]
        self.table.rows = <size_t> self.rows
        self.table.dims = <size_t> self.dims
        return self

    def pool(self, const int32_t[::1] ids not None, const float[::1] weights=None):
        """Return the mean of the rows of `ids`, weighted by `weights`, and whether it is empty.

        ids: int32, (n,), each in [0, rows). weights: float32, (n,), finite and not negative; None for 1 each.
        Returns (float32 (dims,), bool): all 0 and True if there are no ids, or all weights are 0.
        Raises ValueError naming the first id or weight that does not fit.
        """
        out = np.empty(self.dims, dtype=np.float32)
        cdef float[::1] to = out
        cdef Py_ssize_t n = ids.shape[0]
        if weights is not None and weights.shape[0] != n:
            raise ValueError(f"weights: found {weights.shape[0]}, expected {n}, one for each id")
        cdef const float *weigh = &weights[0] if weights is not None and n else NULL
        cdef const int32_t *first = &ids[0] if n else NULL
        cdef size_t at = 0
        cdef sb_pool_result result
        with nogil:  # however short: a page of the file may have to come from the disk
            result = self.run(first, weigh, n, &to[0], &at)
        if result in (SB_POOL_ID, SB_POOL_WEIGHT):
            self.complain(result, ids, weights, <Py_ssize_t> at)
        return out, result == SB_POOL_EMPTY

    def pool_batch(self, const int32_t[::1] ids not None, const int64_t[::1] starts not None,
                   const float[::1] weights=None):
        """Pool many texts at once: text i has the ids from starts[i] to starts[i + 1].

        starts: int64, (count + 1,), from 0 to n and never falling. Returns (float32 (count, dims), bool (count,)).
        Each row is what `pool` returns, to the bit. Raises ValueError as `pool` does.
        """
        cdef Py_ssize_t n = ids.shape[0], count = starts.shape[0] - 1, i
        if weights is not None and weights.shape[0] != n:
            raise ValueError(f"weights: found {weights.shape[0]}, expected {n}, one for each id")
        cdef int64_t[::1] bounds = np.array(starts)  # a copy: nobody can change it after the check
        if count < 0 or bounds[0] != 0 or bounds[count] != n or (np.diff(bounds) < 0).any():
            raise ValueError(f"starts: expected numbers from 0 to {n}, the number of ids, that never fall")
        out = np.empty((count, self.dims), dtype=np.float32)
        empty = np.zeros(count, dtype=np.uint8)
        cdef float[:, ::1] to = out
        cdef unsigned char[::1] flags = empty
        cdef const float *weigh = &weights[0] if weights is not None and n else NULL
        cdef const int32_t *first = &ids[0] if n else NULL
        cdef size_t at = 0
        cdef sb_pool_result result
        for i in range(count):
            with nogil:
                result = self.run(first + bounds[i] if n else NULL, weigh + bounds[i] if weigh != NULL else NULL,
                                  bounds[i + 1] - bounds[i], &to[i, 0], &at)
            if result in (SB_POOL_ID, SB_POOL_WEIGHT):
                self.complain(result, ids, weights, bounds[i] + <Py_ssize_t> at)
            flags[i] = result == SB_POOL_EMPTY
        return out, empty.view(np.bool_)

    cdef sb_pool_result run(self, const int32_t *ids, const float *weights, Py_ssize_t n, float *out,
                            size_t *at) noexcept nogil:
        if self.is_int8:
            return sb_pool_i8(&self.table, ids, weights, <size_t> n, out, at)
        return sb_pool_f32(&self.table, ids, weights, <size_t> n, out, at)

    cdef int complain(self, sb_pool_result result, const int32_t[::1] ids, const float[::1] weights,
                      Py_ssize_t at) except -1:
        if result == SB_POOL_ID:
            raise ValueError(
                f"ids[{at}]: found token id {ids[at]}, expected 0 to {self.rows - 1}, the rows of the table; "
                "is it the table of this tokenizer?"
            )
        raise ValueError(f"weights[{at}]: found {weights[at]}, expected a finite number that is not negative")
