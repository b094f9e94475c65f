from libc.stdint cimport uint8_t

from .c_scan cimport sb_scan, sb_span


cdef class Scan:
    cdef readonly bytes body
    cdef readonly str model
    cdef sb_scan found
    cdef sb_span *spans_at
    cdef dict members_cache
    cdef int run(self, Py_ssize_t max_depth) except -1
    cdef const uint8_t *bytes_at(self) noexcept
