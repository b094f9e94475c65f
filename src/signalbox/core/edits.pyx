"""Applying byte edits, for the modes where the sidecar returns the body itself."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy


def apply_edits(bytes body not None, edits, bytes model_json not None):
    """Return `body` with every edit applied, `model_json` standing in where an edit has no text.

    edits: `signalbox.types.Edit`, left to right and disjoint, as `Scan.edits` returns them.
    model_json: the model as JSON, quotes included. Raises ValueError if an edit reaches outside the body
    or overlaps the one before. Same contract as `reference.apply_edits`.
    """
    cdef Py_ssize_t at, length, reached = 0
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t result_size = size
    cdef bytes piece
    cdef list plan = []
    for edit in edits:
        at = edit.at
        length = edit.length
        if at < reached or length < 0 or at > size or length > size - at:
            raise ValueError(
                f"edit of {length} bytes at {at} does not fit: expected it between byte {reached}, where the one "
                f"before ends, and the end of the body at {size}"
            )
        piece = model_json if edit.text is None else edit.text.encode()
        plan.append((at, length, piece))
        result_size += PyBytes_GET_SIZE(piece) - length
        reached = at + length
    result = PyBytes_FromStringAndSize(NULL, result_size)
    cdef char *out = PyBytes_AS_STRING(result)
    cdef const char *source = PyBytes_AS_STRING(body)
    reached = 0
    for at, length, piece in plan:
        memcpy(out, source + reached, <size_t> (at - reached))
        out += at - reached
        memcpy(out, PyBytes_AS_STRING(piece), <size_t> PyBytes_GET_SIZE(piece))
        out += PyBytes_GET_SIZE(piece)
        reached = at + length
    memcpy(out, source + reached, <size_t> (size - reached))
    return result
