# csrc/sb_bpe.h as it is, and of csrc/sb_split.h what it needs
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from .c_tokens cimport sb_tokens


cdef extern from "sb_split.h" nogil:
    ctypedef enum sb_pattern:
        SB_PATTERN_COUNT


cdef extern from "sb_bpe.h" nogil:
    const uint32_t SB_BPE_NONE
    const size_t SB_BPE_MAX_TEXT_BYTES

    ctypedef struct sb_bpe:
        sb_tokens tokens
        uint32_t *pairs
        uint32_t bytes[256]
        uint32_t highest

    ctypedef enum sb_bpe_status:
        SB_BPE_DONE
        SB_BPE_WANTS_ROOM
        SB_BPE_WANTS_SCRATCH

    ctypedef struct sb_bpe_run:
        const uint8_t *text
        size_t size
        size_t at
        size_t tokens
        int32_t *out
        size_t room
        uint64_t *scratch
        size_t scratch_count
        size_t wanted

    bint sb_bpe_add(sb_bpe *bpe, const uint8_t *token, size_t length, uint32_t rank) noexcept
    uint32_t sb_bpe_find(const sb_bpe *bpe, const uint8_t *token, size_t length) noexcept
    sb_bpe_status sb_bpe_encode(const sb_bpe *bpe, sb_pattern pattern, sb_bpe_run *run) noexcept
