# Memory that vocabularies need, for any encoder to cimport
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .c_tokens cimport sb_token_slot, sb_tokens


cdef inline int make_room(sb_tokens *tokens, size_t count, size_t long_bytes) except -1:
    """For `count` tokens, of which those of more than 8 bytes have `long_bytes` in all, with 2 for each."""
    cdef size_t slots = 512
    if long_bytes > <size_t> 2**32 - 16:
        raise ValueError(f"vocabulary: tokens of {long_bytes} bytes in all; expected less than 4 GiB")
    while slots < 2 * count:  # at most half full: probes stay short, and one ends each search
        slots *= 2
    tokens.slots = <sb_token_slot *> PyMem_Calloc(slots, sizeof(sb_token_slot))
    tokens.filter = <uint64_t *> PyMem_Calloc(slots // 16, sizeof(uint64_t))
    tokens.blob = <uint8_t *> PyMem_Malloc(long_bytes)
    if tokens.slots == NULL or tokens.filter == NULL or tokens.blob == NULL:
        raise MemoryError
    tokens.mask = slots - 1
    return 0


cdef inline void give_back(sb_tokens *tokens) noexcept:
    PyMem_Free(tokens.slots)
    PyMem_Free(tokens.filter)
    PyMem_Free(tokens.blob)
