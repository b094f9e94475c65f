"""Envoy's message, read where it lies: the request's body is found in it, not copied out of it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t

from .c_envelope cimport sb_attribute, sb_envelope, sb_envelope_read

from .wrapper import KINDS, Envelope

cdef enum:
    ROOM_ATTRIBUTES = 64  # a policy asks for a handful


def read_envelope(bytes message not None, bytes group not None):
    """Return what a ProcessingRequest carries; the body as a view into the message.

    message: the bytes of the gRPC message, at most 2 GiB. group: name of the attributes to return, as in
    ProcessingRequest.attributes. Raises ValueError if the bytes are not a ProcessingRequest. Same contract as
    `reference_envelope.read_envelope`, which asks Envoy's generated class.
    """
    cdef sb_attribute room[ROOM_ATTRIBUTES]
    cdef sb_attribute *found = room
    cdef sb_envelope envelope
    cdef const uint8_t *at = <const uint8_t *> PyBytes_AS_STRING(message)
    cdef size_t size = <size_t> PyBytes_GET_SIZE(message)
    cdef uint32_t capacity = ROOM_ATTRIBUTES
    cdef uint32_t i
    cdef dict attributes = None
    try:
        while True:
            if not sb_envelope_read(at, size, group, <size_t> len(group), &envelope, found, capacity):
                raise ValueError("the message is not a ProcessingRequest")
            if envelope.attribute_count <= capacity:
                break
            capacity = envelope.attribute_count
            found = <sb_attribute *> PyMem_Malloc(capacity * sizeof(sb_attribute))
            if found == NULL:
                raise MemoryError
        if envelope.has_attributes:
            attributes = {}
            for i in range(envelope.attribute_count):
                attributes[text(at, found[i].name.start, found[i].name.end)] = text(
                    at, found[i].text.start, found[i].text.end
                )
    finally:
        if found != room:
            PyMem_Free(found)
    body = memoryview(message)[envelope.body.start : envelope.body.end]
    return Envelope(KINDS[envelope.kind], body, envelope.end_of_stream, attributes)


cdef inline str text(const uint8_t *at, uint32_t start, uint32_t end):
    return PyUnicode_DecodeUTF8(<const char *> at + start, end - start, NULL)
