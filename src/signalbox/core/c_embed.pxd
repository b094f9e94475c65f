# csrc/sb_embed.h as it is
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t

from .c_score cimport sb_table
from .c_wordpiece cimport sb_wordpiece


cdef extern from "sb_embed.h" nogil:
    ctypedef enum sb_embed_result:
        SB_EMBED_OK
        SB_EMBED_EMPTY
        SB_EMBED_ID

    sb_embed_result sb_embed(const sb_wordpiece *wordpiece, const sb_table *table, bint is_int8, const uint8_t *text,
                             size_t size, float *out, int32_t *bad) noexcept
