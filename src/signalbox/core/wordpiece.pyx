"""WordPiece of the BERT kind, counted, written out or with the place of each token, with the GIL given away."""

from array import array

from cpython cimport array as c_array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from .c_tokens cimport SB_TOKENS_MAX_BYTES
from .c_wordpiece cimport (
    SB_WORDPIECE_DONE,
    SB_WORDPIECE_MAX_CHARS,
    SB_WORDPIECE_MAX_TEXT_BYTES,
    SB_WORDPIECE_STARTS,
    sb_special,
    sb_wordpiece,
    sb_wordpiece_add,
    sb_wordpiece_encode,
    sb_wordpiece_ready,
    sb_wordpiece_run,
    sb_wordpiece_set,
    sb_wordpiece_status,
)
from .token_memory cimport give_back, make_room

from .word_tokens import MAX_CHARS, MAX_TOKEN_BYTES, check_tokens, parse_tokens

cdef size_t NOGIL_BYTES = 512  # giving the GIL away costs as much as encoding some 50 bytes

if MAX_CHARS != SB_WORDPIECE_MAX_CHARS or MAX_TOKEN_BYTES != SB_TOKENS_MAX_BYTES:
    raise ImportError("signalbox.core: csrc and the Python around it are of different versions; rebuild both")

cdef c_array.array INT32 = array("i")
if INT32.itemsize != 4:
    raise ImportError("signalbox.core: array('i') has no 32 bits on this machine")


cdef class WordPiece:
    """A WordPiece encoder: BERT's normalizer, its pre-tokenizer and a vocabulary. Immutable; threads may share it.

    vocabulary: token -> id, those that go on with a word with ## in front; or the bytes of a vocab.txt. specials:
    spelling -> id of the tokens that a text may spell out. unknown: the token of words that no others cover. The other
    options are those of BertNormalizer and WordPiece in the library `tokenizers`, whose ids these are.
    Texts are UTF-8 bytes; those that are not are left out, as the library leaves out the U+FFFD in their place.
    Raises ValueError for a vocabulary or an option that cannot be used. Same contract as `reference.WordPiece`.
    """

    def __cinit__(self, vocabulary, *, specials=None, bytes unknown not None=b"[UNK]", bint lowercase=True,
                  strip_accents=None, bint handle_chinese_chars=True, Py_ssize_t max_input_chars_per_word=100):
        if isinstance(vocabulary, bytes):
            vocabulary = parse_tokens(vocabulary)
        checked = check_tokens(vocabulary, {} if specials is None else specials, unknown, max_input_chars_per_word)
        self.size = len(vocabulary)
        self.table.unknown = <uint32_t> vocabulary[unknown]
        self.table.max_chars = <uint32_t> max_input_chars_per_word
        self.table.lower = lowercase
        self.table.strip = lowercase if strip_accents is None else bool(strip_accents)
        self.table.chinese = handle_chinese_chars
        fill(&self.table.first, checked.first)
        fill(&self.table.rest, checked.rest)
        self.kept = checked.specials
        self.specials_at = <sb_special *> PyMem_Calloc(len(checked.specials) + 1, sizeof(sb_special))
        if self.specials_at == NULL:
            raise MemoryError
        cdef bytes spelling
        for place, (spelling, number) in enumerate(checked.specials):
            self.specials_at[place].bytes = <const uint8_t *> PyBytes_AS_STRING(spelling)
            self.specials_at[place].length = <size_t> PyBytes_GET_SIZE(spelling)
            self.specials_at[place].id = <uint32_t> number
        self.table.specials = self.specials_at
        self.table.special_count = <size_t> len(checked.specials)
        sb_wordpiece_ready(&self.table)

    def __dealloc__(self):
        give_back(&self.table.first.tokens)
        give_back(&self.table.rest.tokens)
        PyMem_Free(self.table.first.lengths)
        PyMem_Free(self.table.rest.lengths)
        PyMem_Free(self.specials_at)

    def __len__(self):
        return self.size

    cdef sb_wordpiece_status step(self, sb_wordpiece_run *run) noexcept:
        """Encode until done or out of room."""
        cdef sb_wordpiece_status status
        if run.size - run.at < NOGIL_BYTES:
            return sb_wordpiece_encode(&self.table, run)
        with nogil:
            status = sb_wordpiece_encode(&self.table, run)
        return status

    cdef c_array.array write(self, bytes text, bint ends):
        """The ids of a text, or the ends of its tokens."""
        cdef sb_wordpiece_run run
        cdef c_array.array out
        begin(&run, text)
        run.room = run.size // 3 + 2 * SB_WORDPIECE_MAX_CHARS  # prose has four bytes a token
        out = c_array.clone(INT32, <Py_ssize_t> run.room, False)
        while True:
            if ends:
                run.ends = <int32_t *> out.data.as_ints
            else:
                run.out = <int32_t *> out.data.as_ints
            if self.step(&run) == SB_WORDPIECE_DONE:
                break
            # At most one token a byte: half of that will do for most of what is left.
            run.room = run.tokens + run.wanted + (run.size - run.at) // 2
            c_array.resize(out, <Py_ssize_t> run.room)
        c_array.resize(out, <Py_ssize_t> run.tokens)
        return out

    def count(self, bytes text not None):
        """Number of tokens of a text, without making them; at most its bytes. Raises ValueError beyond 2 GiB."""
        cdef sb_wordpiece_run run
        begin(&run, text)
        self.step(&run)
        return run.tokens

    def encode(self, bytes text not None):
        """Token ids of a text, as array('i') of 32 bits. Raises ValueError beyond 2 GiB."""
        return self.write(text, False)

    def ends(self, bytes text not None):
        """For each token, the byte of the text at which the last of its characters ends, as array('i').

        Never decreasing. Raises ValueError beyond 2 GiB.
        """
        return self.write(text, True)


cdef int fill(sb_wordpiece_set *one, tokens) except -1:
    cdef bytes token
    make_room(&one.tokens, <size_t> len(tokens), sum([len(token) + 2 for token in tokens if len(token) > 8]))
    one.lengths = <uint64_t *> PyMem_Calloc(SB_WORDPIECE_STARTS, sizeof(uint64_t))
    if one.lengths == NULL:
        raise MemoryError
    memset(one.bytes, 0xff, sizeof(one.bytes))
    for token, number in tokens.items():
        sb_wordpiece_add(one, <const uint8_t *> PyBytes_AS_STRING(token), <size_t> len(token), <uint32_t> number)
    return 0


cdef int begin(sb_wordpiece_run *run, bytes text) except -1:
    memset(run, 0, sizeof(sb_wordpiece_run))
    run.text = <const uint8_t *> PyBytes_AS_STRING(text)
    run.size = <size_t> PyBytes_GET_SIZE(text)
    if run.size > SB_WORDPIECE_MAX_TEXT_BYTES:
        raise ValueError(f"a text of {run.size} bytes; expected at most {SB_WORDPIECE_MAX_TEXT_BYTES}")
    return 0
