"""The figures of an encoder: by hand, on a few texts."""

from __future__ import annotations

import numpy as np
import pytest

from signalbox.training.encoder_exam import Exam, Labelled, agrees, by_centroid, compared, marks, of_rows

ROWS = np.eye(4, dtype=np.float32)


def test_rows_become_unit_vectors_of_texts_and_none_becomes_zero() -> None:
    found = of_rows(ROWS)([[0, 0, 1], [], [3]])
    assert found.tolist() == [pytest.approx([2 / 5**0.5, 1 / 5**0.5, 0, 0]), [0, 0, 0, 0], [0, 0, 0, 1]]


def test_agreement_is_one_for_the_same_order_of_pairs_and_less_for_noise() -> None:
    vectors = np.random.default_rng(1).standard_normal((50, 8)).astype(np.float32)
    assert agrees(vectors, vectors * 3) == pytest.approx(1)
    assert abs(agrees(vectors, np.random.default_rng(2).standard_normal((50, 8)).astype(np.float32))) < 0.2


def test_every_second_text_is_held_against_the_means_of_the_others() -> None:
    labels = np.array([0, 0, 1, 1, 0, 1, -1, -1, 0, 2])
    texts = ROWS[[0, 0, 1, 1, 0, 0, 2, 2, 0, 3]]
    # Asked are texts 1, 3, 5 and 9: the last one's label has no mean, and text 7 has no label.
    assert by_centroid(texts, labels).tolist() == [True, True, False]


def test_the_interval_of_a_difference_that_is_always_there_is_itself() -> None:
    hits, misses = np.ones(50, bool), np.zeros(50, bool)
    assert compared(hits, misses) == {"own": 1.0, "teacher": 0.0, "gain": [1.0, 1.0]}
    mixed = compared(np.arange(50) % 2 == 0, np.arange(50) % 2 == 1)
    assert mixed["gain"][0] < 0 < mixed["gain"][1]


def test_marks_count_described_texts_only() -> None:
    texts = [[0], [1], [2], [0], [1], [0]]
    labels = np.array([0, 1, -1, 1, 1, 0])
    labelled = Labelled("any", labels, [[0], [1]], ROWS[[1, 0]])
    found = marks(Exam({"any": texts}, {"any": of_rows(ROWS)(texts)}, {"set": labelled}), of_rows(ROWS))
    assert found["agreement_with_teacher"] == {"any": pytest.approx(1)}
    assert found["zero_shot"]["set"]["own"] == pytest.approx(0.8)
    assert found["zero_shot"]["set"]["teacher"] == pytest.approx(0.2)
