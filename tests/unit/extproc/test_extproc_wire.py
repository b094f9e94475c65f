from __future__ import annotations

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import UInt64Value
from hypothesis import given
from hypothesis import strategies as st

from signalbox.extproc import wire

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.floats(allow_nan=False, allow_infinity=False) | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


def encode(value: object) -> bytes:
    match value:
        case float():
            return wire.number_value(value)
        case str():
            return wire.text_value(value.encode())
        case list():
            return wire.list_value([encode(entry) for entry in value])
        case dict():
            return wire.struct_value(encode_members(value))
        case _:
            raise AssertionError(value)


def encode_members(values: dict[str, object]) -> bytes:
    return b"".join(wire.member(key, encode(value)) for key, value in values.items())


@given(st.dictionaries(texts, json_values, max_size=6))
def test_protobuf_reads_back_the_struct_that_was_written(values: dict[str, object]) -> None:
    assert MessageToDict(Struct.FromString(encode_members(values))) == values


@given(st.integers(0, 2**64 - 1))
def test_protobuf_reads_back_every_unsigned_integer(number: int) -> None:
    assert UInt64Value.FromString(wire.integer_field(1, number)).value == number


@given(texts, st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**40))
def test_a_number_member_is_a_member_with_a_number(key: str, number: float) -> None:
    assert wire.number_member(key, number) == wire.member(key, wire.number_value(number))
