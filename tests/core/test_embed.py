"""Texts to vectors in one go: the kernel against its reference, and against the kernels it is made of, bit by bit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from signalbox import core
from signalbox.core import EmbeddingTable, WordPiece, embed, reference
from tests.core.word_vocabulary import small_tokens, specials

ROWS, DIMS = len(small_tokens()), 21
DICE = np.random.default_rng(3)
FLOATS = DICE.standard_normal((ROWS, DIMS), dtype=np.float32)
BYTES = DICE.integers(-128, 128, (ROWS, DIMS), dtype=np.int8)
SCALES = DICE.random(ROWS, dtype=np.float32) / 100
KINDS = {"f32": (FLOATS, None), "i8 scaled": (BYTES, SCALES)}

words = st.sampled_from([*(token.decode() for token in small_tokens()), " ", "\n", "é", "☃", "a" * 101, "zz" * 40])
texts = st.lists(words, max_size=40).map(lambda parts: "".join(parts).encode()) | st.binary(max_size=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    for name, (values, scales) in KINDS.items():
        core.write_table(folder / name, values, scales)
    return folder


def tokenizer() -> WordPiece:
    return WordPiece(small_tokens(), specials=specials())


def in_steps(wordpiece: WordPiece, table: EmbeddingTable, text: bytes) -> NDArray[np.float32]:
    """The sum of the rows, by the kernels that give ids and vectors away."""
    ids = np.frombuffer(wordpiece.encode(text), np.int32)
    pooled, _ = table.pool(ids)
    return core.normalize(pooled * np.float32(2 ** np.ceil(np.log2(max(len(ids), 1)))))


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts, times=st.sampled_from([1, 3, 400]))
@example(text=b"", times=1)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_vector_agrees_with_the_reference(folder: Path, kind: str, text: bytes, times: int) -> None:
    table = EmbeddingTable.open(folder / kind)
    twin = reference.EmbeddingTable.open(folder / kind)
    found = embed(tokenizer(), table, text * times)
    expected = reference.embed(reference.WordPiece(small_tokens(), specials=specials()), twin, text * times)
    assert found.dtype == np.float32
    assert found.shape == (DIMS,)
    assert np.allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [0, 1, 3, 4, 5, 767, 768, 769, 1023, 1024, 1025, 3000])
def test_a_text_of_any_number_of_tokens_has_the_vector_of_its_steps(folder: Path, kind: str, tokens: int) -> None:
    """Around the places where the scratch of ids is full and what is left of four ids moves to its front."""
    table = EmbeddingTable.open(folder / kind)
    names = [token for token in small_tokens() if token.isalpha()]
    text = b" ".join(names[i * 7 % len(names)] for i in range(tokens))
    assert tokenizer().count(text) == tokens
    found = embed(tokenizer(), table, text)
    assert np.allclose(found, in_steps(tokenizer(), table, text), atol=2e-6)
    assert np.linalg.norm(found) == pytest.approx(1 if tokens else 0, abs=1e-6)


def test_a_token_without_a_row_is_named(tmp_path: Path) -> None:
    core.write_table(tmp_path / "short", FLOATS[:4])
    table, wanted = EmbeddingTable.open(tmp_path / "short"), small_tokens()[b"router"]
    with pytest.raises(ValueError, match=f"has the id {wanted}; expected 0 to 3, the rows of the table"):
        embed(tokenizer(), table, b"[PAD] router")


def test_rows_that_cancel_make_no_direction(tmp_path: Path) -> None:
    values = np.zeros((ROWS, 3), np.int8)
    values[small_tokens()[b"the"]] = 5
    values[small_tokens()[b"router"]] = -5
    core.write_table(tmp_path / "cancel", values)
    table = EmbeddingTable.open(tmp_path / "cancel")
    assert embed(tokenizer(), table, b"the router").tolist() == [0, 0, 0]
    assert embed(tokenizer(), table, b"router").tolist() == pytest.approx([-(3**-0.5)] * 3)


def test_many_threads_embed_with_one_table_to_the_same_bits(folder: Path) -> None:
    table, wordpiece = EmbeddingTable.open(folder / "i8 scaled"), tokenizer()
    text = b"the quick brown fox! " * 3000
    start = threading.Barrier(4)

    def use(_: int) -> bytes:
        start.wait()
        return embed(wordpiece, table, text).tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(use, range(4)))) == 1


def test_only_bytes_are_texts(folder: Path) -> None:
    with pytest.raises(TypeError):
        embed(tokenizer(), EmbeddingTable.open(folder / "f32"), "a string")  # type: ignore[arg-type]
