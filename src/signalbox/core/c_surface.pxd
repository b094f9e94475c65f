# csrc/sb_surface.h as it is
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t


cdef extern from "sb_surface.h" nogil:
    enum:
        SB_CLASS_HARD
        SB_CLASS_NEGATION
        SB_CLASS_INSTRUCTION
        SB_CLASS_ASKING
        SB_LEXICON_WORD_BYTES

    ctypedef struct sb_lexicon_slot:
        uint8_t length
        uint8_t classes

    ctypedef struct sb_lexicon:
        sb_lexicon_slot *slots
        size_t mask

    ctypedef struct sb_surface:
        uint32_t words
        uint32_t hard_keywords
        uint32_t numbers
        uint32_t negations
        uint32_t instructions
        uint32_t asking
        uint32_t questions
        bint code
        bint maths

    void sb_lexicon_add(sb_lexicon *lexicon, const char *word, size_t length, uint8_t classes) noexcept
    void sb_surface_count(const uint8_t *text, size_t size, const sb_lexicon *lexicon, sb_surface *out) noexcept
