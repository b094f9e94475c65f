# csrc/sb_tokens.h as it is
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "sb_tokens.h" nogil:
    const uint32_t SB_TOKENS_NONE
    const uint32_t SB_TOKENS_MAX_BYTES

    ctypedef struct sb_token_slot:
        uint64_t key
        uint32_t id
        uint32_t where

    ctypedef struct sb_tokens:
        sb_token_slot *slots
        size_t mask
        uint64_t *filter
        uint8_t *blob
        uint32_t blob_size
        uint32_t longest

    bint sb_tokens_add(sb_tokens *tokens, const uint8_t *token, size_t length, uint32_t id) noexcept
    uint32_t sb_tokens_find(const sb_tokens *tokens, const uint8_t *token, size_t length) noexcept
