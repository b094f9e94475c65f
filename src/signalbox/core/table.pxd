from libc.stdint cimport int32_t

from .c_score cimport sb_pool_result, sb_table


cdef class EmbeddingTable:
    cdef readonly Py_ssize_t rows, dims
    cdef readonly bint is_int8
    cdef sb_table table
    cdef object values, scales  # arrays over the map, which keep it open
    cdef sb_pool_result run(self, const int32_t *ids, const float *weights, Py_ssize_t n, float *out,
                            size_t *at) noexcept nogil
    cdef int complain(self, sb_pool_result result, const int32_t[::1] ids, const float[::1] weights,
                      Py_ssize_t at) except -1
