"""Byte-pair encoding of the tiktoken kind, counted or written out, with the GIL given away."""

from array import array

from cpython cimport array as c_array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from .c_bpe cimport (
    SB_BPE_DONE,
    SB_BPE_MAX_TEXT_BYTES,
    SB_BPE_NONE,
    SB_BPE_WANTS_ROOM,
    SB_PATTERN_COUNT,
    sb_bpe,
    sb_bpe_add,
    sb_bpe_encode,
    sb_bpe_find,
    sb_bpe_run,
    sb_bpe_status,
    sb_pattern,
)
from .c_tokens cimport SB_TOKENS_MAX_BYTES
from .token_memory cimport give_back, make_room

from .patterns import PATTERNS, pattern_number
from .ranks import MAX_TOKEN_BYTES, check_ranks, parse_ranks

cdef size_t NOGIL_BYTES = 512  # giving the GIL away costs as much as encoding some 50 bytes

if len(PATTERNS) != SB_PATTERN_COUNT or MAX_TOKEN_BYTES != SB_TOKENS_MAX_BYTES:
    raise ImportError("signalbox.core: csrc and the Python around it are of different versions; rebuild both")

cdef c_array.array INT32 = array("i")
if INT32.itemsize != 4:
    raise ImportError("signalbox.core: array('i') has no 32 bits on this machine")


cdef class Bpe:
    """A byte-pair encoder: a vocabulary and the pattern that splits texts. Immutable, and used by many threads at once.

    ranks: token -> rank, which is also its id; or the bytes of a .tiktoken file. pattern: a name in PATTERNS.
    Texts are UTF-8 bytes; a byte that is not is encoded by itself. Spellings of special tokens are text like any other,
    as in tiktoken's `encode_ordinary`, whose ids these are.
    Beside the ids a call takes 22 bytes of memory for each byte of the longest piece of a text: a run without a word
    boundary beyond 128 bytes. Its merges reach across it from end to end, so it cannot be done in parts.
    Raises ValueError for a vocabulary that cannot encode every text, or an unknown pattern.
    Same contract as `reference.Bpe`.
    """

    cdef sb_bpe table
    cdef sb_pattern number
    cdef Py_ssize_t size
    cdef readonly str pattern

    def __cinit__(self, ranks, *, str pattern not None):
        self.number = <sb_pattern> <int> pattern_number(pattern)
        self.pattern = pattern
        if isinstance(ranks, bytes):
            ranks = parse_ranks(ranks)
        check_ranks(ranks)
        self.size = len(ranks)
        make_room(&self.table.tokens, <size_t> self.size, sum([len(token) + 2 for token in ranks if len(token) > 8]))
        self.table.pairs = <uint32_t *> PyMem_Malloc(65536 * sizeof(uint32_t))
        if self.table.pairs == NULL:
            raise MemoryError
        memset(self.table.pairs, 0xff, 65536 * sizeof(uint32_t))
        memset(self.table.bytes, 0xff, sizeof(self.table.bytes))
        cdef bytes packed
        for token, rank in ranks.items():
            packed = token
            sb_bpe_add(&self.table, <const uint8_t *> PyBytes_AS_STRING(packed), <size_t> len(packed),
                       <uint32_t> rank)

    def __dealloc__(self):
        give_back(&self.table.tokens)
        PyMem_Free(self.table.pairs)

    def __len__(self):
        return self.size

    def __contains__(self, bytes token not None):
        if not 1 <= len(token) <= SB_TOKENS_MAX_BYTES:
            return False
        return sb_bpe_find(&self.table, <const uint8_t *> PyBytes_AS_STRING(token), <size_t> len(token)) != SB_BPE_NONE

    @property
    def longest_token_bytes(self):
        """Bytes of the longest token: no text has fewer tokens than its bytes divided by this."""
        return self.table.tokens.longest

    cdef int step(self, sb_bpe_run *run) except -1:
        """Encode until done or out of room; 1 if done. Scratch grows here; the caller frees it."""
        cdef sb_bpe_status status
        while True:
            if run.size - run.at < NOGIL_BYTES:
                status = sb_bpe_encode(&self.table, self.number, run)
            else:
                with nogil:
                    status = sb_bpe_encode(&self.table, self.number, run)
            if status == SB_BPE_DONE or status == SB_BPE_WANTS_ROOM:
                return status == SB_BPE_DONE
            PyMem_RawFree(run.scratch)
            run.scratch_count = 0
            run.scratch = <uint64_t *> PyMem_RawMalloc(run.wanted * sizeof(uint64_t))
            if run.scratch == NULL:
                raise MemoryError
            run.scratch_count = run.wanted

    def count(self, bytes text not None):
        """Number of tokens of a text, without making them. Raises ValueError beyond 2 GiB."""
        cdef sb_bpe_run run
        begin(&run, <const uint8_t *> PyBytes_AS_STRING(text), size_of(text))
        try:
            self.step(&run)
        finally:
            PyMem_RawFree(run.scratch)
        return run.tokens

    def encode(self, bytes text not None):
        """Token ids of a text, as array('i') of 32 bits. Raises ValueError beyond 2 GiB."""
        cdef sb_bpe_run run
        cdef c_array.array out
        begin(&run, <const uint8_t *> PyBytes_AS_STRING(text), size_of(text))
        run.room = run.size // 3 + 16  # prose has four bytes a token, Chinese three
        out = c_array.clone(INT32, <Py_ssize_t> run.room, False)
        run.out = <int32_t *> out.data.as_ints
        try:
            while not self.step(&run):
                # At most one token a byte, so this is room for all that is left; half of it will do for most.
                run.room = min(run.tokens + run.wanted + (run.size - run.at) // 2, run.tokens + run.size - run.at)
                c_array.resize(out, <Py_ssize_t> run.room)
                run.out = <int32_t *> out.data.as_ints
        finally:
            PyMem_RawFree(run.scratch)
        c_array.resize(out, <Py_ssize_t> run.tokens)
        return out


cdef void begin(sb_bpe_run *run, const uint8_t *text, size_t size) noexcept:
    memset(run, 0, sizeof(sb_bpe_run))
    run.text = text
    run.size = size


cdef size_t size_of(bytes text) except? 0:
    cdef size_t size = <size_t> PyBytes_GET_SIZE(text)
    if size > SB_BPE_MAX_TEXT_BYTES:
        raise ValueError(f"a text of {size} bytes; expected at most {SB_BPE_MAX_TEXT_BYTES}")
    return size
