# csrc/sb_vector.h, sb_head.h, sb_topk.h and sb_pool.h as they are
from libc.stddef cimport size_t
from libc.stdint cimport int32_t


cdef extern from "sb_vector.h" nogil:
    void sb_dots_f32(const float *matrix, size_t rows, size_t dims, const float *vector, float *out) noexcept
    void sb_cosines_f32(const float *matrix, size_t rows, size_t dims, const float *vector, float *out) noexcept
    void sb_normalize_f32(const float *vector, size_t dims, float *out) noexcept

cdef extern from "sb_head.h" nogil:
    void sb_softmax_f32(const float *logits, size_t count, float *out) noexcept
    void sb_sigmoid_f32(const float *logits, size_t count, float *out) noexcept

cdef extern from "sb_topk.h" nogil:
    void sb_topk_f32(const float *scores, size_t n, size_t k, int32_t *out) noexcept

cdef extern from "sb_pool.h" nogil:
    ctypedef struct sb_table:
        const void *values
        const float *scales
        size_t rows
        size_t dims

    ctypedef enum sb_pool_result:
        SB_POOL_OK
        SB_POOL_EMPTY
        SB_POOL_ID
        SB_POOL_WEIGHT

    sb_pool_result sb_pool_f32(const sb_table *table, const int32_t *ids, const float *weights, size_t count,
                               float *out, size_t *at) noexcept
    sb_pool_result sb_pool_i8(const sb_table *table, const int32_t *ids, const float *weights, size_t count,
                              float *out, size_t *at) noexcept
