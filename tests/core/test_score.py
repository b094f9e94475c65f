"""Scoring kernels stay within their stated bounds of exact arithmetic, whatever the floats."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from signalbox import core
from signalbox.core import reference

Floats = NDArray[np.float32]
EPSILON = 2.0**-24
TINY = 2.0**-149  # the smallest float: what underflow may take from each product
HUGE = 1e37

hostile = st.floats(width=32, allow_nan=True, allow_infinity=True)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
tame = st.floats(-1e3, 1e3, width=32) | st.sampled_from([0.0, -0.0, 1e-40, -1e-45, 1e-20])
sizes = st.integers(0, 70)  # around the 16 lanes, several times


@st.composite
def matrices(draw: st.DrawFn, values: st.SearchStrategy[float], *, vectors: int = 1) -> tuple[Floats, Floats]:
    """A matrix and some vectors as long as its rows."""
    rows, dims = draw(st.integers(1, 5)), draw(sizes)
    count = (rows + vectors) * dims
    flat = draw(st.lists(values, min_size=count, max_size=count))
    both = np.array(flat, dtype=np.float32).reshape(rows + vectors, dims)
    return both[:rows], both[rows:]


def same(found: NDArray[Any], expected: NDArray[Any], allowed: NDArray[Any] | float) -> bool:
    """Equal within `allowed`; NaN only where NaN is expected."""
    if found.shape != expected.shape or (np.isnan(found) != np.isnan(expected)).any():
        return False
    with np.errstate(invalid="ignore"):
        return bool(((np.abs(found - expected) <= allowed) | (found == expected) | np.isnan(expected)).all())


@given(matrices(tame, vectors=3), st.booleans())
@settings(max_examples=150, deadline=None)
def test_dots_agree_with_the_reference_within_their_bound(both: tuple[Floats, Floats], biased: bool) -> None:
    matrix, vectors = both
    bias = np.linspace(-1, 1, len(matrix), dtype=np.float32) if biased else None
    terms = np.abs(vectors.astype(np.float64)) @ np.abs(matrix.astype(np.float64)).T + biased
    allowed = (matrix.shape[1] / 16 + 7) * EPSILON * terms + (matrix.shape[1] + 1) * TINY
    assert same(core.dots(matrix, vectors, bias), reference.dots(matrix, vectors, bias), allowed)


@given(matrices(hostile))
@settings(max_examples=150, deadline=None)
def test_dots_of_hostile_floats_agree_with_the_reference_on_what_is_no_number(both: tuple[Floats, Floats]) -> None:
    matrix, vectors = both
    bad = ~np.isfinite(matrix).all(axis=1) | ~np.isfinite(vectors).all()
    found, expected = core.dots(matrix, vectors[0]), reference.dots(matrix, vectors[0])
    small = (np.abs(matrix) < 1e15).all(axis=1) & (np.abs(vectors) < 1e15).all()
    assert np.isfinite(found[small & ~bad]).all()
    for row, value, exact in zip(matrix, found, expected, strict=True):
        with np.errstate(all="ignore"):
            overflows = (np.abs(row.astype(np.float64) * vectors[0]) > HUGE / 100).any()
        if not overflows and np.isfinite(row).all() and np.isfinite(vectors).all():
            assert np.isfinite(value)
        elif np.isnan(exact):
            assert np.isnan(value)


@given(matrices(finite | tame, vectors=2))
@settings(max_examples=150, deadline=None)
def test_cosines_agree_with_the_reference_even_for_huge_and_tiny_vectors(both: tuple[Floats, Floats]) -> None:
    found = core.cosines(*both)
    assert same(found, reference.cosines(*both), 2.0**-23)
    assert (np.abs(found) <= 1).all()


@given(matrices(hostile, vectors=2))
@settings(max_examples=200, deadline=None)
def test_cosines_and_lengths_of_hostile_floats_are_nan_where_the_reference_says_so(
    both: tuple[Floats, Floats],
) -> None:
    assert same(core.cosines(*both), reference.cosines(*both), 2.0**-23)
    assert same(core.normalize(both[0]), reference.normalize(both[0]), 2.0**-23)


@given(matrices(finite | tame))
@settings(max_examples=150, deadline=None)
def test_normalize_agrees_with_the_reference_and_gives_length_one_or_zero(both: tuple[Floats, Floats]) -> None:
    vectors = both[0]
    found = core.normalize(vectors)
    assert same(found, reference.normalize(vectors), 2.0**-23)
    lengths = np.linalg.norm(found.astype(np.float64), axis=1)
    assert (np.abs(lengths - vectors.any(axis=1)) < 1e-5).all()


def allowed_for_softmax(logits: Floats, expected: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(invalid="ignore"):
        below = logits.max(initial=-np.inf) - logits.astype(np.float64)
    below = np.where(np.isfinite(below), np.minimum(below, 200), 200)
    return (below + len(logits) / 16 + 12) * 2.0**-23 * expected + 2 * TINY


@given(st.lists(st.floats(-200, 200, width=32) | hostile, max_size=70))
@settings(max_examples=400, deadline=None)
def test_softmax_agrees_with_the_reference(values: list[float]) -> None:
    logits = np.array(values, dtype=np.float32)
    expected = reference.softmax(logits)
    assert same(core.softmax(logits), expected, allowed_for_softmax(logits, expected))


@given(st.lists(st.floats(-110, 110, width=32) | hostile, max_size=70))
@settings(max_examples=400, deadline=None)
def test_sigmoid_agrees_with_the_reference(values: list[float]) -> None:
    logits = np.array(values, dtype=np.float32)
    expected = reference.sigmoid(logits)
    assert same(core.sigmoid(logits), expected, 6 * 2.0**-23 * np.abs(expected) + 2 * TINY)


@given(matrices(st.floats(-2, 2, width=32)))
@settings(max_examples=200, deadline=None)
def test_win_rate_agrees_with_the_reference(both: tuple[Floats, Floats]) -> None:
    direction, vector = both[0][0], both[1][0]
    assert core.win_rate(direction, vector) == pytest.approx(reference.win_rate(direction, vector), rel=1e-4)
    assert core.win_rate(direction, vector) == core.sigmoid(core.dots(direction[None], vector))[0]


@given(st.lists(hostile | st.sampled_from([0.0, -0.0, 1.0]), max_size=60), st.integers(1, 70))
@settings(max_examples=300, deadline=None)
def test_topk_agrees_with_the_reference(values: list[float], k: int) -> None:
    scores = np.array(values, dtype=np.float32)
    assert core.topk(scores, k).tolist() == reference.topk(scores, k).tolist()


@given(matrices(hostile, vectors=3), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_a_batch_is_its_vectors_one_by_one_to_the_bit(both: tuple[Floats, Floats], k: int) -> None:
    matrix, vectors = both
    for batch, one in (
        (core.dots(matrix, vectors), [core.dots(matrix, vector) for vector in vectors]),
        (core.cosines(matrix, vectors), [core.cosines(matrix, vector) for vector in vectors]),
        (core.normalize(vectors), [core.normalize(vector) for vector in vectors]),
        (core.softmax(vectors), [core.softmax(vector) for vector in vectors]),
        (core.sigmoid(vectors), [core.sigmoid(vector) for vector in vectors]),
        (core.topk(vectors, k), [core.topk(vector, k) for vector in vectors]),
    ):
        assert np.array_equal(batch, np.array(one), equal_nan=batch.dtype == np.float32)


def test_a_row_scores_the_same_wherever_it_stands_in_a_matrix() -> None:
    dice = np.random.default_rng(1)
    matrix, vector = dice.standard_normal((7, 101), dtype=np.float32), dice.standard_normal(101, dtype=np.float32)
    alone = [core.dots(row[None], vector)[0] for row in matrix]
    assert core.dots(matrix, vector).tolist() == alone
    assert core.dots(matrix[::-1].copy(), vector).tolist() == alone[::-1]


def test_scores_have_the_same_bits_on_every_machine() -> None:
    """Written down once. A compiler that fuses, reorders or rounds otherwise shows here."""
    x = (np.arange(1, 101, dtype=np.float32) / np.float32(7.0)).astype(np.float32)
    matrix = np.stack([x, np.float32(1.0) / x, np.sqrt(x)])
    found = [
        core.dots(matrix, x),
        core.cosines(matrix, x),
        core.softmax(np.float32(-0.1) * x)[:3],
        core.sigmoid(x - np.float32(7))[:3],
        core.normalize(x)[:3],
    ]
    assert [value.hex() for scores in found for value in scores.tolist()] == BITS


BITS = [
    "0x1.af91a20000000p+12",
    "0x1.9000000000000p+6",
    "0x1.115b8a0000000p+11",
    "0x1.0000000000000p+0",
    "0x1.135a6c0000000p-3",
    "0x1.f5a8ec0000000p-1",
    "0x1.31a3e60000000p-6",
    "0x1.2d4e140000000p-6",
    "0x1.2907fe0000000p-6",
    "0x1.1376a40000000p-10",
    "0x1.3db6b60000000p-10",
    "0x1.6e6f6a0000000p-10",
    "0x1.c2ab0a0000000p-10",
    "0x1.c2ab0a0000000p-9",
    "0x1.5200480000000p-8",
]


@pytest.mark.parametrize("dims", [0, 1, 15, 16, 17, 4096])
def test_sizes_around_the_lanes_count_every_value_once(dims: int) -> None:
    ones = np.ones((3, dims), dtype=np.float32)
    assert core.dots(ones, ones[0]).tolist() == [dims] * 3
    assert core.cosines(ones, ones[0]).tolist() == [1.0 if dims else 0.0] * 3


def test_nothing_in_gives_nothing_out() -> None:
    none, no_rows = np.empty(0, dtype=np.float32), np.empty((0, 4), dtype=np.float32)
    assert core.dots(no_rows, np.ones(4, dtype=np.float32)).shape == (0,)
    assert core.dots(no_rows, no_rows).shape == (0, 0)
    assert core.softmax(none).shape == core.sigmoid(none).shape == core.normalize(none).shape == (0,)
    assert core.topk(none, 3).shape == (0,)
    assert core.topk(no_rows, 3).shape == (0, 3)


def test_what_does_not_fit_is_refused_by_name() -> None:
    one, two = np.ones(3, dtype=np.float32), np.ones((2, 4), dtype=np.float32)
    for call, message in (
        (lambda: core.dots(two, one), "vectors: found 3 values each, expected 4"),
        (lambda: core.dots(two, two, one), "bias: found 3 values, expected 2"),
        (lambda: core.dots(one, one), "matrix: found one dimension"),
        (lambda: core.dots(two, two.astype(np.float64)), "vectors: found items of format 'd', expected float32"),
        (lambda: core.normalize(two[None]), "vectors: found 3 dimensions, expected 1 to 2"),
        (lambda: core.win_rate(one, two[0]), "vector: found 4 values, expected 3"),
        (lambda: core.topk(one, 0), "k: found 0, expected at least 1"),
        (lambda: core.dots(two.T, one[:2]), "not C-contiguous"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError):
        core.softmax([1.0])  # type: ignore[arg-type]


def test_many_threads_get_the_bits_one_thread_gets() -> None:
    dice = np.random.default_rng(2)
    matrix, vectors = (dice.standard_normal((n, 384), dtype=np.float32) for n in (64, 40))
    start = threading.Barrier(4)

    def use(_: int) -> list[bytes]:
        start.wait()
        logits = core.dots(matrix, vectors)
        made = (logits, core.cosines(matrix, vectors), core.normalize(vectors), core.softmax(logits))
        return [array.tobytes() for array in (*made, core.sigmoid(logits), core.topk(logits, 9))]

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(use, range(4)))
    assert all(other == seen[0] for other in seen)


def test_a_folded_factorisation_scores_as_the_unfolded_one() -> None:
    dice = np.random.default_rng(3)
    p, w, c = dice.normal(size=(6, 8)) * 5, dice.normal(size=(8, 20)), dice.normal(size=(1, 8))
    e = dice.normal(size=20).astype(np.float32)
    folded = core.Factorization.fold(p, w, c)
    expected = [float((c[0] * (row / np.linalg.norm(row))) @ (w @ e)) for row in p]
    assert core.dots(folded.directions, e) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    rate = core.win_rate(folded.pair(1, 4), e)
    assert rate == pytest.approx(1 / (1 + np.exp(expected[4] - expected[1])), rel=1e-4)
    assert core.win_rate(folded.pair(2, 2), e) == 0.5
    assert core.Factorization.fold(p * 0, w, c[0]).directions.any() == np.False_


def test_a_factorisation_that_does_not_fit_is_refused() -> None:
    p, w, c = np.ones((6, 8)), np.ones((8, 20)), np.ones(8)
    with pytest.raises(ValueError, match=r"projection \(7, 20\)"):
        core.Factorization.fold(p, w[:7], c)
    with pytest.raises(ValueError, match="head: found a NaN"):
        core.Factorization.fold(p, w, c * np.nan)
    with pytest.raises(IndexError, match="model 6: expected 0 to 5"):
        core.Factorization.fold(p, w, c).pair(0, 6)
