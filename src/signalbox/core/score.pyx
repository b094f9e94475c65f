"""Scores from vectors: dot products, cosines, heads, the pair score of a matrix factorisation, top-k.

Vectors come alone, shape (dims,), or as a batch, shape (count, dims); a result has the same leading shape.
Every array is float32 and C-contiguous. csrc/sb_vector.h, sb_head.h and sb_topk.h give order and error bounds.
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport INT32_MAX, int32_t

from .c_score cimport sb_cosines_f32, sb_dots_f32, sb_normalize_f32, sb_sigmoid_f32, sb_softmax_f32, sb_topk_f32

import numpy as np

cdef Py_ssize_t NOGIL_VALUES = 32768  # some 3 us of work: below it, handing the GIL over may cost more than it frees


cdef class Floats:
    """A caller's float32 array, borrowed: one vector (rows is 1) or a matrix. Checked once, then plain pointers."""

    cdef Py_buffer buffer
    cdef const float *values
    cdef Py_ssize_t rows, dims
    cdef bint held, is_vector

    def __cinit__(self, array, str name, int most_dimensions):
        PyObject_GetBuffer(array, &self.buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        self.held = True
        found = (<bytes> self.buffer.format).decode() if self.buffer.format != NULL else "B"
        if found not in ("f", "<f"):
            raise ValueError(f"{name}: found items of format {found!r}, expected float32; convert it with astype")
        if not 1 <= self.buffer.ndim <= most_dimensions:
            raise ValueError(f"{name}: found {self.buffer.ndim} dimensions, expected 1 to {most_dimensions}")
        self.values = <const float *> self.buffer.buf
        self.is_vector = self.buffer.ndim == 1
        self.rows = 1 if self.is_vector else self.buffer.shape[0]
        self.dims = self.buffer.shape[self.buffer.ndim - 1]

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.buffer)


cdef Floats matrix_of(object array, str name):
    cdef Floats found = Floats(array, name, 2)
    if found.is_vector:
        raise ValueError(f"{name}: found one dimension, expected a matrix of two; put one row into brackets")
    return found


cdef int check_dims(Floats matrix, Floats vectors) except -1:
    if matrix.dims != vectors.dims:
        raise ValueError(f"vectors: found {vectors.dims} values each, expected {matrix.dims} as in a row of the matrix")
    return 0


def dots(matrix, vectors, bias=None):
    """Return `matrix @ vector + bias`: the dot product of each row with the vector, or a head's logits.

    matrix: (rows, dims). vectors: (dims,) or (count, dims). bias: (rows,) or None.
    Returns (rows,) or (count, rows). Raises ValueError for shapes and types that do not fit. Same contract as
    `reference.dots`.
    """
    cdef Floats m = matrix_of(matrix, "matrix")
    cdef Floats v = Floats(vectors, "vectors", 2)
    cdef Floats b = Floats(bias, "bias", 1) if bias is not None else None
    check_dims(m, v)
    if b is not None and b.dims != m.rows:
        raise ValueError(f"bias: found {b.dims} values, expected {m.rows}, one for each row of the matrix")
    out = np.empty(v.rows * m.rows, dtype=np.float32)
    cdef float[::1] to = out
    cdef const float *add = b.values if b is not None else NULL
    cdef Py_ssize_t i
    if to.shape[0] == 0:
        pass
    elif v.rows * m.rows * m.dims < NOGIL_VALUES:
        for i in range(v.rows):
            add_dots(m.values, m.rows, m.dims, v.values + i * v.dims, add, &to[i * m.rows])
    else:
        with nogil:
            for i in range(v.rows):
                add_dots(m.values, m.rows, m.dims, v.values + i * v.dims, add, &to[i * m.rows])
    return out if v.is_vector else out.reshape(v.rows, m.rows)


cdef void add_dots(const float *matrix, Py_ssize_t rows, Py_ssize_t dims, const float *vector, const float *bias,
                   float *out) noexcept nogil:
    cdef Py_ssize_t r
    sb_dots_f32(matrix, <size_t> rows, <size_t> dims, vector, out)
    if bias != NULL:
        for r in range(rows):
            out[r] += bias[r]


def cosines(matrix, vectors):
    """Return the cosine of each row with the vector, within [-1, 1]; 0 where either has no length.

    matrix: (rows, dims). vectors: (dims,) or (count, dims). Returns (rows,) or (count, rows). A row or vector with
    a NaN or an infinity has cosine NaN. Raises ValueError for shapes and types that do not fit. For a matrix that
    stays, `normalize` it once and take `dots`. Same contract as `reference.cosines`.
    """
    cdef Floats m = matrix_of(matrix, "matrix")
    cdef Floats v = Floats(vectors, "vectors", 2)
    check_dims(m, v)
    out = np.empty(v.rows * m.rows, dtype=np.float32)
    cdef float[::1] to = out
    cdef Py_ssize_t i
    if to.shape[0]:
        with nogil:
            for i in range(v.rows):
                sb_cosines_f32(m.values, <size_t> m.rows, <size_t> m.dims, v.values + i * v.dims, &to[i * m.rows])
    return out if v.is_vector else out.reshape(v.rows, m.rows)


def normalize(vectors):
    """Return the vectors divided by their L2 length; all 0 where there is none, all NaN where it is not finite.

    vectors: (dims,) or (count, dims). Returns a new array of that shape. Same contract as `reference.normalize`.
    """
    cdef Floats v = Floats(vectors, "vectors", 2)
    out = np.empty(v.rows * v.dims, dtype=np.float32)
    cdef float[::1] to = out
    cdef Py_ssize_t i
    if to.shape[0]:
        with nogil:
            for i in range(v.rows):
                sb_normalize_f32(v.values + i * v.dims, <size_t> v.dims, &to[i * v.dims])
    return out if v.is_vector else out.reshape(v.rows, v.dims)


def softmax(logits):
    """Return e^logit / sum e^logit along the last dimension, without overflow.

    logits: (classes,) or (count, classes). A NaN, +inf, or nothing but -inf makes all NaN: no distribution is meant.
    Same contract as `reference.softmax`.
    """
    cdef Floats v = Floats(logits, "logits", 2)
    out = np.empty(v.rows * v.dims, dtype=np.float32)
    cdef float[::1] to = out
    cdef Py_ssize_t i
    if to.shape[0]:
        with nogil:
            for i in range(v.rows):
                sb_softmax_f32(v.values + i * v.dims, <size_t> v.dims, &to[i * v.dims])
    return out if v.is_vector else out.reshape(v.rows, v.dims)


def sigmoid(logits):
    """Return 1 / (1 + e^-logit) of each value, without overflow; NaN for NaN.

    logits: (classes,) or (count, classes). Same contract as `reference.sigmoid`.
    """
    cdef Floats v = Floats(logits, "logits", 2)
    out = np.empty(v.rows * v.dims, dtype=np.float32)
    cdef float[::1] to = out
    if to.shape[0]:
        with nogil:
            sb_sigmoid_f32(v.values, <size_t> (v.rows * v.dims), &to[0])
    return out if v.is_vector else out.reshape(v.rows, v.dims)


def win_rate(direction, vector):
    """Return sigmoid(direction . vector): how often the strong model of a pair is preferred, as a float.

    direction: (dims,), from `Factorization.pair`. vector: (dims,), the request's embedding, not normalised. For a
    batch: `sigmoid(dots(direction[None], vectors))`. Raises ValueError if the sizes differ.
    Same contract as `reference.win_rate`. Source: RouteLLM, MFModel.pred_win_rate.
    """
    cdef Floats d = Floats(direction, "direction", 1)
    cdef Floats v = Floats(vector, "vector", 1)
    if d.dims != v.dims:
        raise ValueError(f"vector: found {v.dims} values, expected {d.dims} as in the direction")
    cdef float score
    sb_dots_f32(d.values, 1, <size_t> d.dims, v.values, &score)
    sb_sigmoid_f32(&score, 1, &score)
    return score


def topk(scores, Py_ssize_t k):
    """Return the indices of the k best scores, best first.

    scores: (n,) or (count, n), higher is better. k: how many are wanted, at least 1.
    Returns int32, (min(k, n),) or (count, min(k, n)). Ties go to the lower index; NaN ranks last.
    Raises ValueError if k < 1. Same contract as `reference.topk`.
    """
    if k < 1:
        raise ValueError(f"k: found {k}, expected at least 1")
    cdef Floats v = Floats(scores, "scores", 2)
    if v.dims > INT32_MAX:
        raise ValueError(f"scores: found {v.dims} values, expected at most {INT32_MAX}")
    cdef Py_ssize_t m = min(k, v.dims)
    out = np.empty(v.rows * m, dtype=np.int32)
    cdef int32_t[::1] to = out
    cdef Py_ssize_t i
    if to.shape[0]:
        with nogil:
            for i in range(v.rows):
                sb_topk_f32(v.values + i * v.dims, <size_t> v.dims, <size_t> m, &to[i * m])
    return out if v.is_vector else out.reshape(v.rows, m)
