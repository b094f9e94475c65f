from cpython cimport array as c_array

from .c_wordpiece cimport sb_special, sb_wordpiece, sb_wordpiece_run, sb_wordpiece_status


cdef class WordPiece:
    cdef sb_wordpiece table
    cdef sb_special *specials_at
    cdef object kept  # the bytes that specials_at points into
    cdef Py_ssize_t size
    cdef sb_wordpiece_status step(self, sb_wordpiece_run *run) noexcept
    cdef c_array.array write(self, bytes text, bint ends)
