"""Embedding tables: pooling within its bound, and files that are whole or refused."""

from __future__ import annotations

import os
import re
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from signalbox import core
from signalbox.core import EmbeddingTable, reference, table_file
from signalbox.errors import SetupError

ROWS, DIMS = 11, 21
DICE = np.random.default_rng(1)
FLOATS = DICE.standard_normal((ROWS, DIMS), dtype=np.float32)
BYTES = DICE.integers(-128, 128, (ROWS, DIMS), dtype=np.int8)
SCALES = DICE.random(ROWS, dtype=np.float32) / 100
KINDS = {"f32": (FLOATS, None), "f32 scaled": (FLOATS, SCALES), "i8": (BYTES, None), "i8 scaled": (BYTES, SCALES)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    for name, (values, scales) in KINDS.items():
        core.write_table(folder / name, values, scales)
    return folder


def int32(values: list[int]) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


weights = st.floats(0, 1000, width=32) | st.sampled_from([0.0, 1e-45, 3e-39])
weighted_ids = st.lists(st.tuples(st.integers(0, ROWS - 1), weights), max_size=60)


@pytest.mark.parametrize("kind", KINDS)
@given(items=weighted_ids, weighted=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pooling_agrees_with_the_reference_within_its_bound(
    folder: Path, kind: str, items: list[tuple[int, float]], weighted: bool
) -> None:
    ids = int32([token for token, _ in items])
    shares = np.array([share for _, share in items], dtype=np.float32) if weighted else None
    found, empty = EmbeddingTable.open(folder / kind).pool(ids, shares)
    expected, expected_empty = reference.EmbeddingTable.open(folder / kind).pool(ids, shares)
    assert empty == expected_empty == (not items or (weighted and not any(share for _, share in items)))
    total = float(np.sum(shares, dtype=np.float64)) if shares is not None else len(ids)
    underflow = len(ids) * 2.0**-149 * 128 / total if total else 0.0
    largest = float(np.abs(KINDS[kind][0].astype(np.float64)).max()) * (0.01 if KINDS[kind][1] is not None else 1.0)
    assert (np.abs(found - expected) <= (len(ids) / 4 + 6) * 2.0**-24 * largest + underflow).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_texts_one_by_one_to_the_bit(folder: Path, kind: str) -> None:
    ids = int32([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9])
    shares = np.linspace(0, 2, len(ids), dtype=np.float32)
    starts = np.array([0, 0, 1, 8, 15, 15], dtype=np.int64)
    table, twin = EmbeddingTable.open(folder / kind), reference.EmbeddingTable.open(folder / kind)
    for share in (None, shares):
        vectors, empty = table.pool_batch(ids, starts, share)
        one = [table.pool(ids[a:b], None if share is None else share[a:b]) for a, b in pairwise(starts)]
        assert vectors.tobytes() == b"".join(vector.tobytes() for vector, _ in one)
        assert empty.tolist() == [flag for _, flag in one] == twin.pool_batch(ids, starts, share)[1].tolist()


def test_no_ids_give_a_zero_vector_and_say_so(folder: Path) -> None:
    vector, empty = EmbeddingTable.open(folder / "f32").pool(int32([]))
    assert empty
    assert vector.tolist() == [0.0] * DIMS


def test_rows_without_any_weight_count_for_nothing_even_if_a_broken_table_holds_infinities(
    twin: ModuleType, folder: Path, tmp_path: Path
) -> None:
    data = bytearray((folder / "f32").read_bytes())
    struct.pack_into("<f", data, 64, float("inf"))
    (tmp_path / "table").write_bytes(data)
    vector, empty = twin.EmbeddingTable.open(tmp_path / "table").pool(int32([0, 1]), np.zeros(2, dtype=np.float32))
    assert empty
    assert vector.tolist() == [0.0] * DIMS


@pytest.mark.parametrize("core_or_twin", [core, reference], ids=["kernel", "reference"])
@pytest.mark.parametrize("bad", [-1, ROWS, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("place", range(6))
def test_a_token_id_outside_the_table_is_named(folder: Path, core_or_twin: ModuleType, bad: int, place: int) -> None:
    ids = [1, 2, 3, 4, 5, 6]
    ids[place] = bad
    for kind in KINDS:
        with pytest.raises(ValueError, match=rf"ids\[{place}\]: found token id {bad}, expected 0 to 10"):
            core_or_twin.EmbeddingTable.open(folder / kind).pool(int32(ids))


@pytest.mark.parametrize("core_or_twin", [core, reference], ids=["kernel", "reference"])
@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_weight_is_named(folder: Path, core_or_twin: ModuleType, bad: float) -> None:
    table = core_or_twin.EmbeddingTable.open(folder / "i8")
    with pytest.raises(ValueError, match=r"weights\[1\]: found .* expected a finite number"):
        table.pool(int32([0, 1]), np.array([1, bad], dtype=np.float32))
    with pytest.raises(ValueError, match="weights: found 1, expected 2, one for each id"):
        table.pool(int32([0, 1]), np.ones(1, dtype=np.float32))


def test_a_bad_id_in_a_batch_is_named_by_its_place_in_all_ids(folder: Path) -> None:
    table = EmbeddingTable.open(folder / "f32")
    with pytest.raises(ValueError, match=r"ids\[2\]: found token id 99"):
        table.pool_batch(int32([0, 1, 99]), np.array([0, 2, 3]))


@pytest.mark.parametrize("starts", [[], [0], [1, 3], [0, 2], [0, 4], [0, 2, 1, 3], [0, -1, 3]])
def test_texts_that_do_not_cover_the_ids_in_order_are_refused(folder: Path, starts: list[int]) -> None:
    with pytest.raises(ValueError, match="starts: expected numbers from 0 to 3"):
        EmbeddingTable.open(folder / "f32").pool_batch(int32([0, 1, 2]), np.array(starts, dtype=np.int64))


def test_many_threads_pool_one_table_to_the_same_bits(tmp_path: Path) -> None:
    values = np.random.default_rng(5).integers(-128, 128, (3000, 384), dtype=np.int8)
    core.write_table(tmp_path / "table", values, np.full(3000, 0.01, dtype=np.float32))
    table = EmbeddingTable.open(tmp_path / "table")
    ids = np.random.default_rng(6).integers(0, 3000, 5000, dtype=np.int32)
    start = threading.Barrier(4)

    def use(_: int) -> bytes:
        start.wait()
        return table.pool(ids)[0].tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(use, range(4)))) == 1


def test_vectors_and_tables_outlive_each_other_and_the_file(tmp_path: Path) -> None:
    core.write_table(tmp_path / "table", FLOATS)
    table = EmbeddingTable.open(tmp_path / "table")
    core.write_table(tmp_path / "table", -FLOATS)  # a rename: the open table keeps the old one
    assert np.array_equal(table.pool(int32([3]))[0], FLOATS[3])
    vector = EmbeddingTable.open(tmp_path / "table").pool(int32([3]))[0]
    os.unlink(tmp_path / "table")
    assert np.array_equal(vector, -FLOATS[3])
    with pytest.raises(TypeError, match=r"opened by EmbeddingTable\.open"):
        EmbeddingTable()


@pytest.mark.parametrize(
    ("at", "layout", "value", "message"),
    [
        (0, "8s", b"GGUF\3\0\0\0", "an embedding table, which starts with"),
        (8, "I", 2, "version 2\n  expected: version 1"),
        (12, "I", 3, "values of type 3"),
        (16, "Q", 0, "0 rows of 21 values"),
        (16, "Q", 2**63, "rows of 21 values"),
        (16, "Q", ROWS + 1, "scales at byte"),
        (24, "Q", 2**40, "values\n  expected: 1 to"),
        (32, "Q", 8, "scales at byte 8"),
        (40, "Q", 2**64 - 1, "a header for"),
        (56, "Q", 1, "last 16 bytes of the header"),
    ],
)
def test_a_header_that_does_not_add_up_is_refused(
    twin: ModuleType, folder: Path, tmp_path: Path, at: int, layout: str, value: int | bytes, message: str
) -> None:
    data = bytearray((folder / "f32 scaled").read_bytes())
    struct.pack_into(f"<{layout}", data, at, value)
    broken = tmp_path / "broken.table"
    broken.write_bytes(data)
    with pytest.raises(SetupError, match=message) as caught:
        twin.EmbeddingTable.open(broken)
    assert str(caught.value).startswith(f"{broken}: ")
    assert "fix: write the file again" in str(caught.value)


@pytest.mark.parametrize("cut", [0, 1, 63, 64, 65, -1])
def test_a_file_that_was_cut_is_refused(twin: ModuleType, folder: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "cut").write_bytes((folder / "i8 scaled").read_bytes()[:cut])
    with pytest.raises(SetupError, match="bytes"):
        twin.EmbeddingTable.open(tmp_path / "cut")


def test_a_scale_that_is_no_number_is_refused(twin: ModuleType, folder: Path, tmp_path: Path) -> None:
    data = (folder / "i8 scaled").read_bytes()
    (tmp_path / "nan").write_bytes(data[:-4] + struct.pack("<f", float("nan")))
    with pytest.raises(SetupError, match="a scale that is NaN or infinite"):
        twin.EmbeddingTable.open(tmp_path / "nan")


def test_a_missing_file_and_a_directory_are_refused_by_name(twin: ModuleType, tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SetupError, match=reason):
            twin.EmbeddingTable.open(path)


patches = st.lists(st.tuples(st.integers(0, 70), st.binary(min_size=1, max_size=9)), max_size=3)


@given(patches, st.integers(0, 400), st.sampled_from(sorted(KINDS)))
@example([], 400, "i8 scaled")
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_whole_table_or_refused_and_the_reference_agrees(
    folder: Path, mutations: list[tuple[int, bytes]], size: int, kind: str
) -> None:
    """Headers with any bytes in any place, over files of any length: what opens is safe to read to its last row."""
    whole = (folder / kind).read_bytes()
    data = bytearray(whole if size == 400 else whole[:size])
    for at, piece in mutations:
        data[at : at + len(piece)] = piece
    path = folder / "fuzzed"
    path.write_bytes(data)
    try:
        twin = reference.EmbeddingTable.open(path)
    except SetupError as problem:
        with pytest.raises(SetupError, match=re.escape(str(problem))):
            EmbeddingTable.open(path)
        return
    table = EmbeddingTable.open(path)
    assert len(data) == table_file.HEADER.unpack(data[:64])[6]
    assert (table.rows, table.dims, table.is_int8) == (twin.rows, twin.dims, twin.is_int8)
    table.pool(np.arange(table.rows, dtype=np.int32))


def test_only_tables_of_finite_numbers_are_written(tmp_path: Path) -> None:
    path = tmp_path / "table"
    for values, scales, message in (
        (FLOATS.astype(np.float64), None, "values: found float64"),
        (FLOATS[0], None, "values: found float32 of shape"),
        (FLOATS[:0], None, "values: found float32 of shape"),
        (FLOATS[:, :0], None, "values: found 0 in a row"),
        (FLOATS * np.float32("nan"), None, "values: found a NaN"),
        (BYTES, SCALES[1:], "scales: found float32 of shape"),
        (BYTES, SCALES * np.float32("inf"), "scales: found a NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            core.write_table(path, values, scales)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
