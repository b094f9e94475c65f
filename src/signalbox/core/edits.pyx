"""Applying byte edits, for the modes where the sidecar returns the body itself."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy


def apply_edits(const uint8_t[::1] body not None, edits, bytes model_json not None, *, bytes before not None=b"",
                bytes after not None=b""):
    """Return `before`, then `body` with every edit applied, then `after`: one allocation, and each byte copied once.

    model_json stands in where an edit has no text. before, after: what an edited body is wrapped in.

    edits: `signalbox.types.Edit`, left to right and disjoint, as `Scan.edits` returns them.
    model_json: the model as JSON, quotes included. Raises ValueError if an edit reaches outside the body
    or overlaps the one before. Same contract as `reference.apply_edits`.
    """
    cdef Py_ssize_t at, length, reached = 0
    cdef Py_ssize_t size = body.shape[0]
    cdef Py_ssize_t result_size = size + PyBytes_GET_SIZE(before) + PyBytes_GET_SIZE(after)
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
    cdef const char *source = <const char *> &body[0] if size > 0 else NULL
    memcpy(out, PyBytes_AS_STRING(before), <size_t> PyBytes_GET_SIZE(before))
    out += PyBytes_GET_SIZE(before)
    reached = 0
    for at, length, piece in plan:
        if at > reached:
            memcpy(out, source + reached, <size_t> (at - reached))
        out += at - reached
        memcpy(out, PyBytes_AS_STRING(piece), <size_t> PyBytes_GET_SIZE(piece))
        out += PyBytes_GET_SIZE(piece)
        reached = at + length
    if size > 0:
        memcpy(out, source + reached, <size_t> (size - reached))
    out += size - reached
    memcpy(out, PyBytes_AS_STRING(after), <size_t> PyBytes_GET_SIZE(after))
    return result
