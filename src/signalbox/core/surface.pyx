"""Counts on the surface of the last user turn, without making a Python string of it."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint8_t

from .c_shares cimport SB_SCRIPT_COUNT, sb_shares, sb_shares_count
from .c_surface cimport (
    SB_CLASS_ASKING,
    SB_CLASS_HARD,
    SB_CLASS_INSTRUCTION,
    SB_CLASS_NEGATION,
    SB_LEXICON_WORD_BYTES,
    sb_lexicon,
    sb_lexicon_add,
    sb_lexicon_slot,
    sb_surface,
    sb_surface_count,
)
from .c_text cimport sb_text_in_place, sb_text_size, sb_text_write
from .scan cimport Scan

from .vocabulary import ASKED_BYTES, ASKING, HARD, INSTRUCTION, MAX_WORD_BYTES, NEGATION, SCRIPTS, Surface, check_words

cdef enum:
    ROOM_BYTES = 4096  # a usual question fits on the stack

cdef size_t NOGIL_BYTES = 8192  # below this, giving the GIL away and taking it back costs more than the count

cdef Py_ssize_t ENDS = ASKED_BYTES

if (HARD, NEGATION, INSTRUCTION, ASKING, MAX_WORD_BYTES, len(SCRIPTS)) != (
    SB_CLASS_HARD, SB_CLASS_NEGATION, SB_CLASS_INSTRUCTION, SB_CLASS_ASKING, SB_LEXICON_WORD_BYTES, SB_SCRIPT_COUNT
):
    raise ImportError("signalbox.core: csrc and the Python around it are of different versions; rebuild both")


cdef class Lexicon:
    """Words and their classes, packed for `surface`. Immutable.

    words: lower-case ASCII word -> HARD, NEGATION, INSTRUCTION, ASKING or several. Raises ValueError for a word that could never match.
    Same contract as `reference.Lexicon`.
    """

    cdef sb_lexicon table
    cdef Py_ssize_t count

    def __cinit__(self, words):
        check_words(words)
        cdef size_t slots = 8
        while slots < 2 * <size_t> len(words):  # at most half full: probes stay short, and one ends each search
            slots *= 2
        self.table.slots = <sb_lexicon_slot *> PyMem_Calloc(slots, sizeof(sb_lexicon_slot))
        if self.table.slots == NULL:
            raise MemoryError
        self.table.mask = slots - 1
        self.count = len(words)
        cdef bytes packed
        for word, classes in words.items():
            packed = word.encode("ascii")
            sb_lexicon_add(&self.table, packed, <size_t> len(packed), <uint8_t> <int> classes)

    def __dealloc__(self):
        PyMem_Free(self.table.slots)

    def __len__(self):
        return self.count


def surface(Scan scan not None, Lexicon lexicon not None):
    """Count words, keywords and shapes in the last user turn of a scanned body.

    All zero, False and empty if there is no user turn. Same contract as `reference.surface`;
    csrc/sb_surface.h and sb_shares.h define every count.
    """
    cdef uint8_t room[ROOM_BYTES]
    cdef uint8_t *made = NULL
    cdef sb_surface counts
    cdef sb_shares shares
    cdef size_t size = sb_text_size(&scan.found, scan.spans_at, True)
    cdef const uint8_t *body = scan.bytes_at()
    cdef const uint8_t *text = sb_text_in_place(body, &scan.found, scan.spans_at, True)
    if text == NULL:
        made = room
        if size > ROOM_BYTES:
            made = <uint8_t *> PyMem_RawMalloc(size)
            if made == NULL:
                raise MemoryError
        text = made
    try:
        if size < NOGIL_BYTES:
            count(scan, body, text, made, size, &lexicon.table, &counts, &shares)
        else:
            with nogil:
                count(scan, body, text, made, size, &lexicon.table, &counts, &shares)
        letters = tuple([shares.letters[i] for i in range(SB_SCRIPT_COUNT)]) if size > 0 else ()
        asked = ends(text, size) if counts.asking > 0 else b""
    finally:
        if made != room:
            PyMem_RawFree(made)
    return Surface(
        counts.words, counts.hard_keywords, counts.numbers, counts.negations, counts.code, counts.maths,
        counts.questions, counts.instructions, size, shares.code_bytes, shares.maths_bytes, letters, asked,
    )


cdef void count(Scan scan, const uint8_t *body, const uint8_t *text, uint8_t *made, size_t size,
                const sb_lexicon *lexicon, sb_surface *counts, sb_shares *shares) noexcept nogil:
    if made != NULL:
        sb_text_write(body, &scan.found, scan.spans_at, True, made)
    sb_surface_count(text, size, lexicon, counts)
    sb_shares_count(text, size, counts.code, counts.maths, shares)


cdef bytes ends(const uint8_t *text, size_t size):
    """See `vocabulary.ends_of`: only the ends become Python's, whatever the size."""
    if <Py_ssize_t> size <= 2 * ENDS:
        return text[:size]
    cdef Py_ssize_t head = ENDS, tail = <Py_ssize_t> size - ENDS
    while text[head] & 0xc0 == 0x80:
        head -= 1
    while tail < <Py_ssize_t> size and text[tail] & 0xc0 == 0x80:
        tail += 1
    return text[:head] + b"\n" + text[tail:size]
