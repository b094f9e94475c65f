# csrc/sb_shares.h as it is
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t


cdef extern from "sb_shares.h" nogil:
    enum:
        SB_SCRIPT_COUNT

    ctypedef struct sb_shares:
        size_t code_bytes
        size_t maths_bytes
        uint32_t *letters

    void sb_shares_count(const uint8_t *text, size_t size, bint has_code, bint has_maths, sb_shares *out) noexcept
