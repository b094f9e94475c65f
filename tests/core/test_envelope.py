"""Envoy's message: read where it lies, and never read otherwise than protobuf reads it."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signalbox import core
from signalbox.core import reference_envelope
from signalbox.core.wrapper import KINDS

GROUP = b"envoy.filters.http.ext_proc"


def outcome(read: Any, message: bytes) -> Any:
    try:
        return read(message, GROUP)
    except ValueError as problem:
        return str(problem)


def varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


texts = st.sampled_from(
    [b"", b"request.path", b"request.headers['x-a']", "né".encode(), GROUP, b"\xff", b"\xed\xa0\x80"]
)
scalars = st.one_of(
    st.builds(lambda number, value: varint(number << 3) + varint(value), st.integers(1, 12), st.integers(0, 2**64 - 1)),
    st.builds(lambda number: varint(number << 3 | 1) + b"12345678", st.integers(1, 12)),
    st.builds(lambda number: varint(number << 3 | 5) + b"1234", st.integers(1, 2**29 - 1)),
    st.builds(lambda a, b: varint(a << 3 | 3) + varint(b << 3 | 4), st.integers(1, 12), st.integers(1, 12)),
    st.builds(field, st.integers(1, 12), texts),
)


def message_of(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Fields one after another, some of them messages in turn: numbers are those any type we know has."""
    return st.lists(st.one_of(scalars, st.builds(field, st.integers(1, 11), inner)), max_size=4).map(b"".join)


anything = st.recursive(scalars, message_of, max_leaves=12)
entries = st.builds(
    lambda name, value, kind, rest: field(1, field(1, name) + field(2, field(kind, value)) + rest),
    texts, texts, st.sampled_from([3, 3, 3, 5, 6, 7]), st.sampled_from([b"", field(2, b""), field(2, b"\x20\x01")]),
)  # fmt: skip
groups = st.builds(
    lambda name, members, again: field(9, field(1, name) + b"".join([field(2, b"".join(m)) for m in members]) + again),
    st.sampled_from([GROUP, GROUP, b"other"]), st.lists(st.lists(entries, max_size=3), max_size=2),
    st.sampled_from([b"", field(1, GROUP)]),
)  # fmt: skip
kinds = st.builds(
    lambda number, body, eos, rest: field(number, field(1, body) + eos + rest),
    st.sampled_from([4, 4, 4, 2, 3, 5, 6, 7]), st.sampled_from([b"", b'{"model":"m"}', field(1, b"\x0a\x01x")]),
    st.sampled_from([b"", b"\x10\x01", b"\x18\x01", b"\x10\x00"]), st.just(b"") | anything,
)  # fmt: skip
envelopes = st.lists(
    st.one_of(kinds, groups, anything, st.builds(field, st.integers(8, 11), anything)), max_size=5
).map(b"".join)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    message = draw(envelopes)
    at = draw(st.integers(0, len(message)))
    cut = draw(st.integers(0, 3))
    return message[:at] + draw(st.binary(max_size=3)) + message[at + cut :]


NESTED = b""
for _ in range(97):
    NESTED = field(6, field(1, NESTED))


@given(envelopes | broken() | st.binary(max_size=12))
@example(b"")
@example(b"\x22\x00")  # a body message without a body
@example(field(9, varint(1 << 3 | 1) + b"12345678" + field(1, GROUP)))  # an entry of a map with more than key and value
@example(b"\x0b" * 100 + b"\x0c" * 100)  # groups as deep as they may be
@example(b"\x0b" * 101 + b"\x0c" * 101)
@example(b"\x80\x80\x80\x80\x00")  # field number 0, spelled long
@example(b"\x22\x80\x80\x80\x80\x00")  # a length spelled long
@example(b"\x22\xff\xff\xff\xff\x07")  # a length beyond everything
@example(b"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")  # the largest varint
@example(b"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")  # and one of more than 64 bits
@settings(max_examples=2000, deadline=None)
def test_read_envelope_agrees_with_the_reference_and_so_with_protobuf(message: bytes) -> None:
    assert outcome(core.read_envelope, message) == outcome(reference_envelope.read_envelope, message)


@pytest.mark.parametrize("depth", range(42, 54))
def test_nesting_ends_where_it_ends_for_protobuf(depth: int) -> None:
    value = b"\x08\x00"
    for _ in range(depth):
        value = field(6, field(1, value))
    message = field(9, field(1, GROUP) + field(2, field(1, field(1, b"deep") + field(2, value))))
    assert outcome(core.read_envelope, message) == outcome(reference_envelope.read_envelope, message)


def test_the_body_is_a_view_into_the_message_and_offsets_are_its_own() -> None:
    body = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
    message = pb.ProcessingRequest(request_body={"body": body}).SerializeToString()
    envelope = core.read_envelope(message, GROUP)
    assert envelope.body.obj is message
    found = core.scan(envelope.body)
    assert found.body is envelope.body
    assert (found.members, found.spans, found.edits()) == (
        core.scan(body).members, core.scan(body).spans, core.scan(body).edits(),
    )  # fmt: skip
    assert core.apply_edits(envelope.body, found.edits(), b'"m"') == body.replace(b'"auto"', b'"m"')


def test_many_attributes_are_all_there() -> None:
    request = pb.ProcessingRequest()
    fields = request.attributes[GROUP.decode()].fields
    for i in range(1000):
        fields[f"request.headers['x-{i}']"].string_value = str(i)
    assert core.read_envelope(request.SerializeToString(), GROUP).attributes == {
        f"request.headers['x-{i}']": str(i) for i in range(1000)
    }


def test_kinds_are_numbered_as_in_envoys_own_file() -> None:
    numbers = {one.number: one.name for one in pb.ProcessingRequest.DESCRIPTOR.oneofs_by_name["request"].fields}
    assert {0: "", **numbers} == KINDS


def test_every_field_protobuf_checks_is_known_to_the_kernel() -> None:
    """A newer Envoy may add strings and messages to its types; whoever updates the protos is told here."""
    seen: dict[str, set[int]] = {}

    def visit(kind: Any) -> None:
        if kind.full_name in seen:
            return
        checked = [one for one in kind.fields if one.type in (one.TYPE_STRING, one.TYPE_MESSAGE)]
        seen[kind.full_name] = {one.number for one in checked}
        for one in checked:
            if one.message_type is not None:
                visit(one.message_type)

    visit(pb.ProcessingRequest.DESCRIPTOR)
    assert {name.rpartition(".")[2]: numbers for name, numbers in seen.items()} == {
        "ProcessingRequest": {2, 3, 4, 5, 6, 7, 8, 9, 11},
        "HttpHeaders": {1, 2},
        "HeaderMap": {1},
        "HeaderValue": {1, 2},
        "AttributesEntry": {1, 2},
        "Struct": {1},
        "FieldsEntry": {1, 2},
        "Value": {3, 5, 6},
        "ListValue": {1},
        "HttpBody": set(),
        "HttpTrailers": {1},
        "Metadata": {1, 2},
        "FilterMetadataEntry": {1, 2},
        "TypedFilterMetadataEntry": {1, 2},
        "Any": {1},
        "ProtocolConfiguration": set(),
    }
