"""Counts on the surface of the last user turn, without making a Python string of it."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint8_t

from .c_surface cimport (
    SB_CLASS_HARD,
    SB_CLASS_NEGATION,
    SB_LEXICON_WORD_BYTES,
    sb_lexicon,
    sb_lexicon_add,
    sb_lexicon_slot,
    sb_surface,
    sb_surface_count,
)
from .c_text cimport sb_text_size, sb_text_write
from .scan cimport Scan

from .vocabulary import HARD, MAX_WORD_BYTES, NEGATION, Surface, check_words

cdef enum:
    ROOM_BYTES = 4096  # a usual question fits on the stack

cdef size_t NOGIL_BYTES = 8192  # below this, giving the GIL away and taking it back costs more than the count

if (HARD, NEGATION, MAX_WORD_BYTES) != (SB_CLASS_HARD, SB_CLASS_NEGATION, SB_LEXICON_WORD_BYTES):
    raise ImportError("signalbox.core: csrc and the Python around it are of different versions; rebuild both")


cdef class Lexicon:
    """Words and their classes, packed for `surface`. Immutable.

    words: lower-case ASCII word -> HARD, NEGATION or both. Raises ValueError for a word that could never match.
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

    All zero and False if there is no user turn. Same contract as `reference.surface`;
    csrc/sb_surface.h defines every count.
    """
    cdef uint8_t room[ROOM_BYTES]
    cdef uint8_t *text = room
    cdef sb_surface counts
    cdef size_t size = sb_text_size(&scan.found, scan.spans_at, True)
    if size > ROOM_BYTES:
        text = <uint8_t *> PyMem_RawMalloc(size)
        if text == NULL:
            raise MemoryError
    cdef const uint8_t *body = scan.bytes_at()
    if size < NOGIL_BYTES:
        sb_text_write(body, &scan.found, scan.spans_at, True, text)
        sb_surface_count(text, size, &lexicon.table, &counts)
    else:
        with nogil:
            sb_text_write(body, &scan.found, scan.spans_at, True, text)
            sb_surface_count(text, size, &lexicon.table, &counts)
    if text != room:
        PyMem_RawFree(text)
    return Surface(
        counts.words, counts.hard_keywords, counts.numbers, counts.negations, counts.code, counts.maths,
        counts.questions,
    )
