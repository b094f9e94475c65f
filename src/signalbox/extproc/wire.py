"""Protobuf written by hand: the few wire types a reply needs, and google.protobuf.Struct.

A reply is mostly a Struct. Built through generated classes it costs more than the decision it carries,
because every value is two messages; written as bytes, the parts that repeat can be kept as bytes.
Source: protobuf.dev/programming-guides/encoding and google/protobuf/struct.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache

_LEN = 2  # wire type of strings, bytes and messages
_DOUBLE_BYTES = 8
_double = struct.Struct("<d").pack


def varint(number: int) -> bytes:
    """Return a non-negative integer as a base-128 varint."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """Return a length-delimited field: a string, bytes or message. `number` is below 16."""
    size = len(payload)
    if size < 0x80:
        return bytes((number << 3 | _LEN, size)) + payload
    return bytes((number << 3 | _LEN,)) + varint(size) + payload


def heading(number: int, size: int) -> bytes:
    """Return what stands before a length-delimited payload of `size` bytes. `number` is below 16."""
    return bytes((number << 3 | _LEN,)) + varint(size)


def integer_field(number: int, value: int) -> bytes:
    """Return a bool, enum or unsigned integer field. `number` is below 16."""
    return bytes((number << 3,)) + varint(value)


def string_value(text: str) -> bytes:
    """Return Value{string_value}. Raises UnicodeEncodeError on lone surrogates."""
    return field(3, text.encode())


def text_value(text: bytes) -> bytes:
    """Return Value{string_value} of UTF-8."""
    return field(3, text)


def number_value(number: float) -> bytes:
    """Return Value{number_value}."""
    return b"\x11" + _double(number)


def struct_value(members: bytes) -> bytes:
    """Return Value{struct_value} around concatenated `member`s."""
    return field(5, members)


def list_value(values: Iterable[bytes]) -> bytes:
    """Return Value{list_value} of encoded Values."""
    return field(6, b"".join([field(1, value) for value in values]))


def member(key: str, value: bytes) -> bytes:
    """Return one entry of Struct.fields; concatenated entries are a Struct. Keys must not repeat."""
    return field(1, _key(key) + field(2, value))


@lru_cache(maxsize=256)
def _key(key: str) -> bytes:
    return field(1, key.encode())


def number_member(key: str, number: float) -> bytes:
    """Return `member(key, number_value(number))`, at a third of its cost: all but the last 8 bytes repeat."""
    return _number_member_head(key) + _double(number)


@lru_cache(maxsize=256)
def _number_member_head(key: str) -> bytes:
    return member(key, number_value(0.0))[:-_DOUBLE_BYTES]
