from libc.stdint cimport int32_t, uint8_t

cdef extern from "sb_words.h" nogil:
    enum:
        SB_WORD_COLUMNS
        SB_WORD_FEATURES
        SB_WORD_BUCKETS
    size_t sb_words_count(const uint8_t *text, size_t size) noexcept
    void sb_words_features(const uint8_t *text, size_t size, int32_t *out) noexcept
