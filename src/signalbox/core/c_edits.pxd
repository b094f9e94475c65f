# csrc/sb_edits.h as it is
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

from .c_scan cimport sb_scan


cdef extern from "sb_edits.h" nogil:
    enum:
        SB_EDIT_MODEL
        SB_EDIT_KIND_COUNT
        SB_MAX_EDITS

    ctypedef struct sb_edit:
        uint32_t at
        uint32_t length
        int kind

    size_t sb_edits(const sb_scan *scan, uint64_t drop, bint include_usage, sb_edit *out) noexcept
