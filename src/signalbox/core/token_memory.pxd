# Memory that vocabularies and the texts of a body need, for any encoder to cimport
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .c_scan cimport sb_span
from .c_text cimport sb_text_unescape
from .c_tokens cimport sb_token_slot, sb_tokens
from .scan cimport Scan


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


cdef inline size_t longest_unescaped(Scan scan) noexcept:
    """Bytes of the longest text of a body that has escapes: what a buffer for one at a time needs."""
    cdef uint32_t i
    cdef size_t most = 0
    cdef sb_span *span
    for i in range(scan.found.span_count):
        span = &scan.spans_at[i]
        if span.text.text_bytes < span.text.end - span.text.start and span.text.text_bytes > most:
            most = span.text.text_bytes
    return most


cdef inline const uint8_t *plain_text(Scan scan, const sb_span *span, uint8_t *buffer) noexcept:
    """One text of a body, of span.text.text_bytes: where it lies, or without its escapes in the buffer."""
    cdef size_t raw = span.text.end - span.text.start
    cdef const uint8_t *at = scan.bytes_at() + span.text.start
    if span.text.text_bytes == raw:
        return at
    sb_text_unescape(at, raw, buffer)
    return buffer
