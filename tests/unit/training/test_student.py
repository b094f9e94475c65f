"""The student: what is linear is found again, the same each time, and int8 is near enough."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from signalbox.training import student

ROWS, DIMS = 30, 8
DICE = np.random.default_rng(4)
TRUTH = DICE.standard_normal((ROWS, DIMS), dtype=np.float32)
TEXTS = [DICE.integers(0, ROWS - 1, DICE.integers(1, 6)).tolist() for _ in range(1400)]  # the last row is in none
START = (DICE.standard_normal((ROWS, DIMS)) * 0.1).astype(np.float32)


def units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


FEATURES = student.counts(TEXTS, ROWS)
TARGETS = units(FEATURES @ TRUTH)


def fit(seed: int = 1) -> NDArray[np.float32]:
    return student.fit(FEATURES[:1024], TARGETS[:1024], START, epochs=150, rate=0.05, pairs=25.0, seed=seed)


FITTED = cache(fit)


def test_counts_are_shares_of_a_text() -> None:
    matrix = student.counts([[2, 0, 2, 1], [], [1]], 4).toarray()
    assert matrix.tolist() == [[0.25, 0.25, 0.5, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert student.counts([[]], 4).shape == (1, 4)


def test_texts_it_has_not_seen_point_where_the_teacher_points() -> None:
    unseen = slice(1024, 1400)
    before = np.sum(units(FEATURES[unseen] @ START) * TARGETS[unseen], axis=1).mean()
    after = np.sum(units(FEATURES[unseen] @ FITTED()) * TARGETS[unseen], axis=1).mean()
    assert before < 0.2
    assert after > 0.9


def test_a_fit_has_the_same_bytes_each_time_and_others_with_another_seed() -> None:
    assert fit().tobytes() == FITTED().tobytes()
    assert fit(seed=2).tobytes() != FITTED().tobytes()


def test_a_token_that_no_text_has_keeps_its_row() -> None:
    assert np.array_equal(FITTED()[-1], START[-1])


def test_a_rotation_keeps_dot_products_and_leaves_the_least_for_the_end() -> None:
    turned = student.rotated(TRUTH, TARGETS, DIMS)
    assert np.allclose(turned @ turned.T, TRUTH @ TRUTH.T, atol=1e-4)
    spread = np.square(FEATURES @ turned).sum(axis=0)
    assert spread[0] > spread[-1]
    assert student.rotated(TRUTH, TARGETS, 5).tobytes() == turned[:, :5].tobytes()


@pytest.mark.parametrize("factor", [1.0, 1e-4, 0.0])
def test_int8_rows_are_within_half_a_step_of_the_floats(factor: float) -> None:
    values, scales = student.quantised(TRUTH * np.float32(factor))
    assert values.dtype == np.int8
    assert scales.dtype == np.float32
    error = np.abs(values * scales[:, None] - TRUTH * np.float32(factor)).max(axis=1)
    assert (error <= scales * 0.5001).all()
