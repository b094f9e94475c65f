"""The compiled scanner: one pass over a request body, then cheap answers about it."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .c_edits cimport SB_EDIT_KIND_COUNT, SB_MAX_EDITS, sb_edit, sb_edits
from .c_scan cimport (
    SB_FAULT_COUNT,
    SB_KEY_COUNT,
    SB_KEY_MODEL,
    SB_MAX_DEPTH,
    SB_OK,
    sb_key_name,
    sb_scan,
    sb_scan_body,
    sb_span,
)
from .c_text cimport sb_text_size, sb_text_unescape, sb_text_write

from signalbox.types import Edit

from .faults import Fault, request_error
from .spans import Passage, Role, Span

cdef Py_ssize_t DEFAULT_MAX_DEPTH = 128
cdef enum:
    ROOM_SPANS = 512  # 10 KiB of stack: enough for all but the longest conversations

cdef Py_ssize_t NOGIL_BYTES = 8192  # below this, giving the GIL away and taking it back costs more than the scan

KNOWN_KEYS = tuple(sb_key_name(key).decode() for key in range(SB_KEY_COUNT))
cdef dict KEY_NUMBERS = {name: number for number, name in enumerate(KNOWN_KEYS)}

cdef tuple ROLES = tuple(Role)
cdef uint32_t USER = Role.USER
cdef uint32_t TOOL = Role.TOOL

# By sb_edit_kind; None stands for the model.
cdef tuple EDIT_TEXTS = (
    None,
    "",
    '"stream_options":{"include_usage":true},',
    '{"include_usage":true}',
    '"include_usage":true',
    '"include_usage":true,',
)

if len(EDIT_TEXTS) != SB_EDIT_KIND_COUNT or len(Fault) != SB_FAULT_COUNT:
    raise ImportError("signalbox.core: csrc and the Python around it are of different versions; rebuild both")


cdef class Scan:
    """What one body holds; made by `scan`. The contract is `signalbox.types.Scan`. Keeps the body alive."""

    def __dealloc__(self):
        PyMem_Free(self.spans_at)

    def __init__(self):
        if self.body is None:
            raise TypeError("Scan is made by signalbox.core.scan(body)")

    cdef const uint8_t *bytes_at(self) noexcept:
        return self.start

    cdef int run(self, Py_ssize_t max_depth) except -1:
        cdef const uint8_t *body = self.bytes_at()
        cdef size_t size = self.size
        cdef sb_span room[ROOM_SPANS]
        cdef sb_span *spans = room
        cdef uint32_t capacity = ROOM_SPANS
        while True:
            if <Py_ssize_t> size < NOGIL_BYTES:
                sb_scan_body(body, size, <uint32_t> max_depth, &self.found, spans, capacity)
            else:
                with nogil:
                    sb_scan_body(body, size, <uint32_t> max_depth, &self.found, spans, capacity)
            if self.found.fault != SB_OK:
                key = "" if self.found.fault_key == NULL else self.found.fault_key.decode()
                raise request_error(self.found.fault, self.found.fault_at, key=key, max_depth=max_depth)
            if self.spans_at == NULL:
                self.spans_at = <sb_span *> PyMem_Malloc(self.found.span_count * sizeof(sb_span))
                if self.spans_at == NULL:
                    raise MemoryError
            if self.found.span_count <= capacity:
                break
            # Rare. Their number is known now: a second pass is cheaper than growing an array in the first.
            spans = self.spans_at
            capacity = self.found.span_count
        if spans == room:
            memcpy(self.spans_at, room, self.found.span_count * sizeof(sb_span))
        cdef size_t length = self.found.model.text_bytes
        model = PyBytes_FromStringAndSize(NULL, <Py_ssize_t> length)
        sb_text_unescape(body + self.found.model.start, self.found.model.end - self.found.model.start,
                         <uint8_t *> PyBytes_AS_STRING(model))
        self.model = model.decode()
        return 0

    @property
    def stream(self):
        return self.found.stream

    @property
    def messages(self):
        return self.found.messages

    @property
    def turns(self):
        return self.found.turns

    @property
    def tools(self):
        return self.found.tools

    @property
    def tool_calls(self):
        return self.found.tool_calls

    @property
    def tool_results(self):
        return self.found.tool_results

    @property
    def tool_call_bytes(self):
        return self.found.tool_call_bytes

    @property
    def images(self):
        return self.found.images

    @property
    def audio(self):
        return self.found.audio

    @property
    def files(self):
        return self.found.files

    @property
    def image_bytes(self):
        return self.found.image_bytes

    @property
    def audio_bytes(self):
        return self.found.audio_bytes

    @property
    def file_bytes(self):
        return self.found.file_bytes

    @property
    def roles(self):
        cdef uint32_t *at = self.found.roles
        return (at[0], at[1], at[2], at[3], at[4])

    @property
    def token_ids(self):
        return self.found.token_ids

    @property
    def text_bytes(self):
        return self.found.text_bytes

    @property
    def depth(self):
        return self.found.depth

    @property
    def max_output_tokens(self):
        return None if self.found.max_output_tokens < 0 else self.found.max_output_tokens

    @property
    def json_schema(self):
        return self.found.json_schema

    @property
    def members(self):
        cdef int key
        if self.members_cache is None:
            self.members_cache = {
                KNOWN_KEYS[key]: (self.found.members[key].value_start, self.found.members[key].value_end)
                for key in range(SB_KEY_COUNT)
                if self.found.members[key].value_end != 0
            }
        return self.members_cache

    @property
    def spans(self):
        cdef sb_span *at = self.spans_at
        return tuple([
            Span(at[i].text.start, at[i].text.end, at[i].turn, ROLES[at[i].role])
            for i in range(self.found.span_count)
        ])

    @property
    def passages(self):
        cdef sb_span *at = self.spans_at
        cdef uint32_t first = 0, end
        cdef size_t size
        found = []
        while first < self.found.span_count:
            end = first
            size = 0
            while end < self.found.span_count and at[end].turn == at[first].turn and at[end].role == at[first].role:
                size += at[end].text.text_bytes + 1
                end += 1
            found.append(Passage(at[first].turn, ROLES[at[first].role], first, end, size - 1))
            first = end
        return tuple(found)

    @property
    def bound(self):
        return self.found.bound

    @property
    def ends_with_tool(self):
        cdef uint32_t at = self.found.span_count
        while at > 0 and self.spans_at[at - 1].turn == self.spans_at[self.found.span_count - 1].turn:
            at -= 1
            if self.spans_at[at].role == TOOL:
                return True
        return False

    def opening(self, Py_ssize_t most):
        cdef sb_span *spans = self.spans_at
        cdef uint32_t first = 0, end
        cdef Py_ssize_t size, left = most
        while first < self.found.span_count and spans[first].role != USER:
            first += 1
        if first == self.found.span_count or most < 0:
            return b""
        end = first
        while end < self.found.span_count and spans[end].turn == spans[first].turn:
            end += 1
        cdef uint32_t at
        found = []
        for at in range(end):
            size = min(left, <Py_ssize_t> (spans[at].text.end - spans[at].text.start))
            found.append(PyBytes_FromStringAndSize(<const char *> self.start + spans[at].text.start, size))
            left -= size
        return b"\n".join(found)

    def passage_text(self, Py_ssize_t first, Py_ssize_t end):
        if not 0 <= first < end <= <Py_ssize_t> self.found.span_count:
            raise ValueError(f"no passage [{first}, {end}): expected a part of the {self.found.span_count} spans found")
        cdef Py_ssize_t i, size = end - first - 1
        for i in range(first, end):
            size += self.spans_at[i].text.text_bytes
        out = PyBytes_FromStringAndSize(NULL, size)
        cdef uint8_t *at = <uint8_t *> PyBytes_AS_STRING(out)
        cdef const uint8_t *body = self.bytes_at()
        if size < NOGIL_BYTES:
            self.write_spans(body, first, end, at)
        else:
            with nogil:
                self.write_spans(body, first, end, at)
        return out

    cdef void write_spans(self, const uint8_t *body, Py_ssize_t first, Py_ssize_t end, uint8_t *out) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(first, end):
            if i > first:
                out[0] = 10  # a newline between two
                out += 1
            out += sb_text_unescape(body + self.spans_at[i].text.start,
                                    self.spans_at[i].text.end - self.spans_at[i].text.start, out)

    def text(self, *, bint last_user=False):
        cdef size_t size = sb_text_size(&self.found, self.spans_at, last_user)
        out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t> size)
        cdef uint8_t *at = <uint8_t *> PyBytes_AS_STRING(out)
        cdef const uint8_t *body = self.bytes_at()
        if <Py_ssize_t> size < NOGIL_BYTES:
            sb_text_write(body, &self.found, self.spans_at, last_user, at)
        else:
            with nogil:
                sb_text_write(body, &self.found, self.spans_at, last_user, at)
        return out

    def edits(self, *, drop=frozenset(), bint include_usage=False):
        cdef sb_edit found[SB_MAX_EDITS]
        cdef uint64_t bits = 0
        cdef size_t count, i
        for name in drop:
            number = KEY_NUMBERS.get(name)
            if number is None or number == SB_KEY_MODEL:
                raise ValueError(f"cannot drop {name!r}; expected some of {', '.join(KNOWN_KEYS[1:])}")
            bits |= (<uint64_t> 1) << <int> number
        count = sb_edits(&self.found, bits, include_usage, found)
        return tuple([Edit(found[i].at, found[i].length, EDIT_TEXTS[found[i].kind]) for i in range(count)])


def scan(body not None, *, Py_ssize_t max_depth=DEFAULT_MAX_DEPTH):
    """Read one request body of any supported dialect, without copying it.

    body: UTF-8 JSON, at most 256 MiB, as bytes or a view of bytes; offsets count from its first byte. max_depth: deepest nesting accepted, 1 to 256; the body is 1.
    Raises RequestError (400, or 413 beyond 256 MiB): code `invalid_json` for the first byte that is not
    JSON, else `invalid_request` for the first member that cannot be routed. ValueError if max_depth is
    out of range, TypeError for a
    body that is neither. Same contract as `reference.scan`.
    """
    if not 1 <= max_depth <= SB_MAX_DEPTH:
        raise ValueError(f"max_depth must be 1 to {SB_MAX_DEPTH}, got {max_depth}")
    if not isinstance(body, bytes) and not (isinstance(body, memoryview) and isinstance(body.obj, bytes)
                                            and body.c_contiguous and body.format == "B"):
        raise TypeError(f"body must be bytes or a view of bytes, got {type(body).__name__}: others could change "
                        "under the scan")
    cdef Scan result = Scan.__new__(Scan)
    result.body = body
    result.owner = body if isinstance(body, bytes) else body.obj
    # Not kept: a view with an open buffer cannot be cleared by the garbage collector. The owner is enough.
    cdef Py_buffer buffer
    PyObject_GetBuffer(body, &buffer, PyBUF_SIMPLE)
    result.start = <const uint8_t *> buffer.buf
    result.size = <size_t> buffer.len
    PyBuffer_Release(&buffer)
    result.run(max_depth)
    return result
