# csrc/sb_envelope.h as it is
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t


cdef extern from "sb_envelope.h" nogil:
    ctypedef struct sb_range:
        uint32_t start
        uint32_t end

    ctypedef struct sb_attribute:
        sb_range name
        sb_range text

    ctypedef struct sb_envelope:
        int kind
        bint end_of_stream
        sb_range body
        bint has_attributes
        uint32_t attribute_count

    bint sb_envelope_read(const uint8_t *message, size_t size, const char *group, size_t group_length,
                          sb_envelope *out, sb_attribute *attributes, uint32_t capacity) noexcept
