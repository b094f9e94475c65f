# csrc/sb_wordpiece.h as it is
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from .c_tokens cimport sb_tokens


cdef extern from "sb_wordpiece.h" nogil:
    const size_t SB_WORDPIECE_MAX_TEXT_BYTES
    const uint32_t SB_WORDPIECE_MAX_CHARS
    const uint32_t SB_WORDPIECE_STARTS

    ctypedef struct sb_wordpiece_set:
        sb_tokens tokens
        uint64_t *lengths
        uint32_t bytes[256]

    ctypedef struct sb_special:
        const uint8_t *bytes
        size_t length
        uint32_t id

    ctypedef struct sb_wordpiece:
        sb_wordpiece_set first
        sb_wordpiece_set rest
        const sb_special *specials
        size_t special_count
        uint32_t unknown
        uint32_t max_chars
        bint chinese
        bint strip
        bint lower

    ctypedef enum sb_wordpiece_status:
        SB_WORDPIECE_DONE
        SB_WORDPIECE_WANTS_ROOM

    ctypedef struct sb_wordpiece_run:
        const uint8_t *text
        size_t size
        size_t at
        size_t tokens
        int32_t *out
        int32_t *ends
        size_t room
        size_t wanted

    bint sb_wordpiece_add(sb_wordpiece_set *set, const uint8_t *token, size_t length, uint32_t id) noexcept
    void sb_wordpiece_ready(sb_wordpiece *wordpiece) noexcept
    sb_wordpiece_status sb_wordpiece_encode(const sb_wordpiece *wordpiece, sb_wordpiece_run *run) noexcept
