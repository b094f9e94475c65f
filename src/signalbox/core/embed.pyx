"""The vector of a text: its tokens go straight into the sum of their rows; no list of ids is ever made."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, uint8_t

from .c_embed cimport SB_EMBED_ID, sb_embed, sb_embed_result
from .c_wordpiece cimport SB_WORDPIECE_MAX_TEXT_BYTES
from .table cimport EmbeddingTable
from .wordpiece cimport WordPiece

import numpy as np

cdef Py_ssize_t NOGIL_BYTES = 4096  # some 20 us of work; below it, waiting for the GIL may cost more than it frees


def embed(WordPiece wordpiece not None, EmbeddingTable table not None, bytes text not None):
    """Return the sum of the table's rows of a text's tokens, divided by its length: float32, (dims,).

    text: UTF-8; bytes that are not are left out. All 0 for a text without tokens, or one whose rows cancel. The bits
    are the same on every machine, whatever its instruction set. Raises ValueError for a table that lacks the row of a
    token, and for a text beyond 2 GiB. Same contract as `reference.embed`.
    """
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    cdef const uint8_t *start = <const uint8_t *> PyBytes_AS_STRING(text)
    cdef sb_embed_result result
    cdef int32_t bad = 0
    if <size_t> size > SB_WORDPIECE_MAX_TEXT_BYTES:
        raise ValueError(f"a text of {size} bytes; expected at most {SB_WORDPIECE_MAX_TEXT_BYTES}")
    out = np.empty(table.dims, dtype=np.float32)
    cdef float[::1] to = out
    if size < NOGIL_BYTES:
        result = sb_embed(&wordpiece.table, &table.table, table.is_int8, start, <size_t> size, &to[0], &bad)
    else:
        with nogil:
            result = sb_embed(&wordpiece.table, &table.table, table.is_int8, start, <size_t> size, &to[0], &bad)
    if result == SB_EMBED_ID:
        raise ValueError(
            f"a token of the text has the id {bad}; expected 0 to {table.rows - 1}, the rows of the table; "
            "is it the table of this tokenizer?"
        )
    return out
