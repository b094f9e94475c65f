# csrc/sb_text.h as it is
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from .c_scan cimport sb_scan, sb_span


cdef extern from "sb_text.h" nogil:
    size_t sb_text_unescape(const uint8_t *raw, size_t size, uint8_t *out) noexcept
    size_t sb_text_size(const sb_scan *scan, const sb_span *spans, bint last_user) noexcept
    const uint8_t *sb_text_in_place(const uint8_t *body, const sb_scan *scan, const sb_span *spans,
                                    bint last_user) noexcept
    void sb_text_write(const uint8_t *body, const sb_scan *scan, const sb_span *spans, bint last_user,
                       uint8_t *out) noexcept
