"""Hashed features of each word of a text, for linear models over words."""

import numpy as np
from libc.stdint cimport int32_t, uint8_t

from .c_words cimport SB_WORD_BUCKETS, SB_WORD_COLUMNS, SB_WORD_FEATURES, sb_words_count, sb_words_features

from .word_buckets import WORD_BUCKETS, WORD_COLUMNS, WORD_FEATURES

if (WORD_FEATURES, WORD_COLUMNS, WORD_BUCKETS) != (SB_WORD_FEATURES, SB_WORD_COLUMNS, SB_WORD_BUCKETS):
    raise ImportError("signalbox.core: csrc and the Python around it are of different versions; rebuild both")


def word_features(bytes text not None):
    """Return the features of each token of a text: int32, (tokens, WORD_COLUMNS).

    The first WORD_FEATURES of a row are below WORD_BUCKETS; then come the word's whole hash and its shape.

    text: any bytes; UTF-8 is what its tokens are defined for. csrc/sb_words.h defines tokens and features. Same
    contract as `reference.word_features`.
    """
    cdef const uint8_t *at = <const uint8_t *> <const char *> text
    cdef size_t size = <size_t> len(text)
    cdef size_t count
    with nogil:
        count = sb_words_count(at, size)
    out = np.empty((count, WORD_COLUMNS), dtype=np.int32)
    cdef int32_t[:, ::1] view = out
    if count:
        with nogil:
            sb_words_features(at, size, &view[0, 0])
    return out
