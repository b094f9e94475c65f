from libc.stdint cimport uint8_t, uint32_t

cdef extern from "sb_personal.h" nogil:
    enum:
        SB_PASSPORT
    size_t sb_personal_plain(const uint8_t *text, size_t size) noexcept
    size_t sb_personal_fold(const uint8_t *text, size_t size, uint8_t *out) noexcept
    uint32_t sb_personal_find(const uint8_t *text, size_t size, uint32_t wanted) noexcept
