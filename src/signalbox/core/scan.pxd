from libc.stdint cimport uint8_t

from .c_scan cimport sb_scan, sb_span


cdef class Scan:
    cdef readonly object body  # bytes, or a view of bytes
    cdef bytes owner  # whose memory the body is: immutable, so it stays where it is
    cdef const uint8_t *start
    cdef size_t size
    cdef readonly str model
    cdef sb_scan found
    cdef sb_span *spans_at
    cdef dict members_cache
    cdef int run(self, Py_ssize_t max_depth) except -1
    cdef const uint8_t *bytes_at(self) noexcept
    cdef void write_spans(self, const uint8_t *body, Py_ssize_t first, Py_ssize_t end, uint8_t *out) noexcept nogil
