"""Label scores are those of the whole model on the whole text, with as little of it run as can be."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from signalbox.engines.preference.decoder import Decoder, Memory
from signalbox.engines.preference.labels import Node, label_tree
from signalbox.engines.preference.scoring import MIN_MASS, PIECE_TOKENS, LateError, NotFiniteError, Walk
from signalbox.engines.runtime import Gauge, Pace, open_network
from signalbox.errors import RouterError
from tests.unit.engines.preference.tiny_decoder import Weights, open_decoder, reference_logits, weights, write_decoder

VOCABULARY = 50


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Decoder, Weights]:
    path = tmp_path_factory.mktemp("decoder") / "model.onnx"
    found = weights(VOCABULARY)
    write_decoder(path, found)
    return open_decoder(path), found


class Counting:
    """A decoder that knows how often it was run and for how many tokens."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.empty = decoder.empty
        self.runs: list[int] = []

    def run(self, ids: Sequence[int], memory: Memory, *, remember: bool = True) -> tuple[NDArray[np.float32], Memory]:
        self.runs.append(len(ids))
        return self._decoder.run(ids, memory, remember=remember)


def walk(decoder: Any, seconds: float = 60, pace: Pace | None = None) -> Walk:
    return Walk(decoder, time.monotonic() + seconds, Gauge(pace or Pace()))


def log_softmax(row: NDArray[np.float64]) -> NDArray[np.float64]:
    row = row - row.max()
    return row - np.log(np.exp(row).sum())


def slow_choices(found: Weights, text: Sequence[int], answers: Sequence[Sequence[int]]) -> list[float]:
    """The product of every choice among the tokens that lead to some answer, each from the text as a whole."""
    shares = []
    for answer in answers:
        total = 0.0
        for at, token in enumerate(answer):
            open_answers = [other for other in answers if list(other[:at]) == list(answer[:at])]
            tokens = sorted({other[at] for other in open_answers})
            row = log_softmax(reference_logits(found, [*text, *answer[:at]])[tokens])
            total += row[tokens.index(token)]
        shares.append(math.exp(total))
    return shares


def slow_likelihood(found: Weights, text: Sequence[int], answers: Sequence[Sequence[int]]) -> list[float]:
    return [
        float(np.mean([log_softmax(reference_logits(found, [*text, *a[:at]]))[token] for at, token in enumerate(a)]))
        for a in answers
    ]


tokens = st.integers(0, VOCABULARY - 2)
answers = st.lists(st.lists(st.integers(0, 4), max_size=5), min_size=2, max_size=8, unique_by=tuple).map(
    lambda found: [[*answer, VOCABULARY - 1] for answer in found]  # as answers end: none is another's beginning
)


@given(st.lists(tokens, min_size=1, max_size=30), answers)
@settings(max_examples=60, deadline=None)
def test_choices_are_those_of_the_whole_model(
    model: tuple[Decoder, Weights], text: list[int], answers: list[list[int]]
) -> None:
    decoder, found = model
    tree = label_tree(answers)
    scores = walk(decoder).choices(tree, *walk(decoder).read([*text, *tree.tokens], decoder.empty))
    assert sum(scores) == pytest.approx(1)
    expected = slow_choices(found, text, answers)
    assert scores == pytest.approx(expected, abs=MIN_MASS)
    if min(expected) > MIN_MASS:  # nothing was left out
        assert scores == pytest.approx(expected, rel=1e-3)


@given(st.lists(tokens, min_size=1, max_size=30), answers)
@settings(max_examples=40, deadline=None)
def test_likelihoods_are_those_of_the_whole_model(
    model: tuple[Decoder, Weights], text: list[int], answers: list[list[int]]
) -> None:
    decoder, found = model
    tree = label_tree(answers, every_token=True)
    scores = walk(decoder).likelihood(tree, *walk(decoder).read([*text, *tree.tokens], decoder.empty))
    start = len(tree.tokens)
    expected = slow_likelihood(found, [*text, *tree.tokens], [answer[start:] for answer in answers])
    assert scores == pytest.approx(expected, abs=1e-3)


@given(st.lists(tokens, min_size=1, max_size=20), st.lists(tokens, min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_a_text_in_two_pieces_is_the_text(model: tuple[Decoder, Weights], first: list[int], second: list[int]) -> None:
    decoder, found = model
    _, memory = decoder.run(first, decoder.empty)
    row, longer = decoder.run(second, memory)
    assert row == pytest.approx(reference_logits(found, [*first, *second]), rel=1e-3, abs=1e-3)
    assert (memory.tokens, longer.tokens) == (len(first), len(first) + len(second))
    again, same = decoder.run(second, memory, remember=False)
    assert (again == row).all()
    assert same is memory


def test_a_run_is_needed_only_where_names_part(model: tuple[Decoder, Weights]) -> None:
    decoder = Counting(model[0])
    end = VOCABULARY - 1
    tree = label_tree([[1, 2, number, 5, 6, 7, 8, end] for number in range(10, 30)])
    assert tree.tokens == (1, 2)
    state = walk(decoder).read([3, 4, *tree.tokens], decoder.empty)
    scores = walk(decoder).choices(tree, *state)
    assert decoder.runs == [4]
    assert sum(scores) == pytest.approx(1)


def test_a_branch_that_is_out_of_the_question_is_not_looked_into() -> None:
    def row(**logits: float) -> NDArray[np.float32]:
        found = np.full(VOCABULARY, -30, dtype=np.float32)
        for name, logit in logits.items():
            found[int(name[1:])] = logit
        return found

    class Scripted:
        empty = Memory(0, ())
        ran: list[tuple[int, ...]] = []  # noqa: RUF012  one test's

        def run(self, ids: Sequence[int], memory: Memory, *, remember: bool = True) -> Any:
            self.ran.append(tuple(ids))
            return row(_3=0, _4=0), memory

    tree = label_tree([[1, 3], [1, 4], [2, 3], [2, 4], [2, 5]])
    scores = walk(Scripted()).choices(tree, row(_1=0, _2=-8), Scripted.empty)
    rare = math.exp(-8) / (1 + math.exp(-8))
    assert rare < MIN_MASS
    assert scores == pytest.approx([(1 - rare) / 2] * 2 + [rare / 3] * 3)
    assert Scripted.ran == [(1,)]


def test_a_long_prompt_is_read_in_pieces_with_the_clock_in_sight(model: tuple[Decoder, Weights]) -> None:
    decoder = Counting(model[0])
    text = [number % 40 for number in range(2 * PIECE_TOKENS + 10)]
    row, memory = walk(decoder).read(text, decoder.empty)
    assert decoder.runs == [PIECE_TOKENS, PIECE_TOKENS, 10]
    assert memory.tokens == len(text)
    assert row == pytest.approx(reference_logits(model[1], text), rel=1e-2, abs=1e-2)


def test_no_run_is_begun_that_cannot_end_in_time(model: tuple[Decoder, Weights]) -> None:
    decoder = Counting(model[0])
    with pytest.raises(LateError):
        walk(decoder, seconds=-1).read([1], decoder.empty)
    with pytest.raises(LateError):
        walk(decoder, seconds=5, pace=Pace(((10, 10.0),))).read([1] * 10, decoder.empty)
    tree = label_tree([[1, 2], [1, 3], [4]])
    state = walk(decoder).read([7], decoder.empty)
    decoder.runs.clear()
    with pytest.raises(LateError):
        walk(decoder, seconds=-1).choices(tree, *state)
    assert decoder.runs == []


def test_logits_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    write_decoder(tmp_path / "model.onnx", weights(VOCABULARY), not_finite=True)
    decoder = open_decoder(tmp_path / "model.onnx")
    tree = label_tree([[1, 2], [3, 4]])
    with pytest.raises(NotFiniteError):
        walk(decoder).choices(tree, *walk(decoder).read([1], decoder.empty))


def test_a_graph_that_is_no_decoder_is_refused(tmp_path: Path) -> None:
    write_decoder(tmp_path / "model.onnx", weights(VOCABULARY), extra_input="cache_branch")
    with pytest.raises(RouterError, match=r"(?s)cache_branch.*fix: export the model again"):
        Decoder(open_network(tmp_path / "model.onnx", device="cpu"))


def test_a_failed_run_says_nothing_of_the_text(model: tuple[Decoder, Weights]) -> None:
    with pytest.raises(RouterError, match="ONNX Runtime failed with") as caught:
        model[0].run([VOCABULARY + 12345], model[0].empty)
    assert "12345" not in str(caught.value)


def test_pace_is_measured(model: tuple[Decoder, Weights]) -> None:
    assert [tokens for tokens, _ in model[0].measure([16, 8, 8]).points] == [8, 16]
    assert [tokens for tokens, _ in model[0].measure([16, 8, 32], until_seconds=0).points] == [8]


@given(answers, st.booleans())
def test_a_tree_spells_every_answer_once(answers: list[list[int]], every_token: bool) -> None:
    spelled: dict[int, list[int]] = {}

    def visit(node: Node, before: list[int]) -> None:
        path = [*before, *node.tokens]
        if node.label is not None:
            assert node.label not in spelled
            spelled[node.label] = path
        assert node.label is None or not node.children
        assert len({child.tokens[0] for child in node.children}) == len(node.children)
        for child in node.children:
            assert len(child.tokens) == 1 or not every_token
            visit(child, path)

    tree = label_tree(answers, every_token=every_token)
    visit(tree, [])
    assert [spelled[number] for number in range(len(answers))] == answers
    assert sorted(tree.labels) == list(range(len(answers)))


@pytest.mark.parametrize("answers", [[[1, 2], [1, 2]], [[1], [1, 2]], [[1, 2, 3], [4], [1, 2]]])
@pytest.mark.parametrize("every_token", [False, True])
def test_answers_that_cannot_be_told_apart_are_refused(answers: list[list[int]], every_token: bool) -> None:
    with pytest.raises(RouterError, match="fix: names that differ"):
        label_tree(answers, every_token=every_token)


def test_one_answer_is_certain(model: tuple[Decoder, Weights]) -> None:
    decoder = model[0]
    tree = label_tree([[1, 2, 3]])
    assert walk(decoder).choices(tree, *decoder.run([9], decoder.empty)) == [1.0]
    assert tree.branches == 0
