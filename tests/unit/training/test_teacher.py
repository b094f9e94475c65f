"""The teacher in numpy: unit vectors in the order of the texts, whatever lies beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from signalbox.training.teacher import Teacher, read_safetensors
from tests.unit.training.small import write_safetensors, write_teacher

TEXTS = [[3, 8, 9, 4], [3, 10, 4], [3, *range(6, 40), 4], [3, 11, 12, 4], [3, 4], [3, 8, 9, 4]]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return Teacher(write_teacher(tmp_path_factory.mktemp("teacher")))


def test_each_text_has_the_vector_it_has_alone(teacher: Teacher) -> None:
    done: list[int] = []
    together = teacher.vectors(TEXTS, done.append)
    assert together.shape == (len(TEXTS), teacher.dims)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert np.array_equal(together[0], together[5])
    assert done[-1] == len(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert np.allclose(teacher.vectors([text])[0], vector, atol=1e-6)


def test_the_order_of_words_matters_to_it(teacher: Teacher) -> None:
    one, other = teacher.vectors([[3, 8, 9, 10, 4], [3, 10, 9, 8, 4]])
    assert not np.allclose(one, other, atol=1e-3)


def test_only_floats_are_read_from_a_file_of_tensors(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_safetensors(tmp_path / "t", {"ids": np.arange(3, dtype=np.int64), "floats": values})
    found = read_safetensors(tmp_path / "t")
    assert list(found) == ["floats"]
    assert np.array_equal(found["floats"], values)
