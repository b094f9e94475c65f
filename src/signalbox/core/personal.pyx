"""Personal data that has a form, found in the bytes of a request wherever it stands."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint8_t, uint32_t

from .c_personal cimport SB_PASSPORT, sb_personal_find, sb_personal_fold, sb_personal_plain

from .personal_kinds import PERSONAL_KINDS

cdef size_t NOGIL_BYTES = 8192

cdef uint32_t EVERY = (1 << len(PERSONAL_KINDS)) - 1

if 1 << PERSONAL_KINDS.index("passport") != SB_PASSPORT:
    raise ImportError("signalbox.core: csrc and the Python around it are of different versions; rebuild both")


def find_personal(text not None, uint32_t wanted):
    """Return which kinds of personal data a text holds, as bits in the order of `PERSONAL_KINDS`.

    text: bytes or a view of bytes: a request's body as it is, or any UTF-8; JSON's escapes are resolved on the way.
    wanted: bits of the kinds to look for. Every byte is looked at, in time linear in their number. Raises ValueError for
    a bit that stands for nothing, MemoryError if there is no room for a copy of the text. Same contract as
    `reference.find_personal`; csrc/sb_personal.h defines each kind.
    """
    if wanted & ~EVERY:
        raise ValueError(f"wanted has bits of no kind: expected at most {EVERY:#x}, got {wanted:#x}")
    cdef Py_buffer buffer
    cdef uint32_t found
    cdef bint is_short
    PyObject_GetBuffer(text, &buffer, PyBUF_SIMPLE)
    try:
        is_short = <size_t> buffer.len < NOGIL_BYTES
        if is_short:
            found = find(<const uint8_t *> buffer.buf, <size_t> buffer.len, wanted)
        else:
            with nogil:
                found = find(<const uint8_t *> buffer.buf, <size_t> buffer.len, wanted)
    finally:
        PyBuffer_Release(&buffer)
    if found > EVERY:
        raise MemoryError("no room to fold the text")
    return found


cdef uint32_t find(const uint8_t *text, size_t size, uint32_t wanted) noexcept nogil:
    """Kinds found, or all bits if there is no memory."""
    cdef uint8_t *folded
    cdef uint32_t found
    if sb_personal_plain(text, size) == size:
        return sb_personal_find(text, size, wanted)
    folded = <uint8_t *> PyMem_RawMalloc(size)
    if folded == NULL:
        return <uint32_t> -1
    found = sb_personal_find(folded, sb_personal_fold(text, size, folded), wanted)
    PyMem_RawFree(folded)
    return found
