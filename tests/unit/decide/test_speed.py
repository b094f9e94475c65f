"""One number for how long an answer will take, from what was measured."""

from __future__ import annotations

import pytest

from signalbox.decide.speed import expected_seconds, samples_behind
from signalbox.world import ModelState, Timing


def timing(p50: float, samples: float = 10.0) -> Timing:
    return Timing(p50, p50 * 3, samples)


def test_a_stream_takes_its_first_token_and_the_others() -> None:
    state = ModelState(ttft=timing(0.5), per_token=timing(0.01), whole=timing(9.0))
    assert expected_seconds(state, 101, stream=True) == pytest.approx(1.5)


def test_an_answer_in_one_piece_takes_what_such_answers_took() -> None:
    state = ModelState(ttft=timing(0.5), per_token=timing(0.01), whole=timing(9.0))
    assert expected_seconds(state, 101, stream=False) == 9.0


@pytest.mark.parametrize("stream", [True, False])
def test_what_was_measured_stands_in_for_what_was_not(stream: bool) -> None:
    assert expected_seconds(ModelState(whole=timing(2.0)), 300, stream=stream) == 2.0
    assert expected_seconds(ModelState(ttft=timing(0.5)), 300, stream=stream) == 0.5
    assert expected_seconds(ModelState(per_token=timing(0.5)), 300, stream=stream) is None
    assert expected_seconds(ModelState(), 300, stream=stream) is None


def test_what_is_new_stands_in_for_what_is_old() -> None:
    old_stream = ModelState(ttft=timing(0.5, 0.1), whole=timing(2.0))
    old_whole = ModelState(ttft=timing(0.5), whole=timing(2.0, 0.1))
    assert [expected_seconds(old_stream, 1, stream=stream) for stream in (True, False)] == [2.0, 2.0]
    assert [expected_seconds(old_whole, 1, stream=stream) for stream in (True, False)] == [0.5, 0.5]
    both_old = ModelState(ttft=timing(0.5, 0.1), whole=timing(2.0, 0.2))
    assert [expected_seconds(both_old, 1, stream=stream) for stream in (True, False)] == [0.5, 2.0]


@pytest.mark.parametrize("tokens", [0, 0.5, 1])
def test_an_answer_of_one_token_or_none_takes_the_time_to_its_first(tokens: float) -> None:
    assert expected_seconds(ModelState(ttft=timing(0.5), per_token=timing(1.0)), tokens, stream=True) == 0.5


def test_samples_are_those_of_the_better_known_kind() -> None:
    assert samples_behind(ModelState()) == 0
    assert samples_behind(ModelState(ttft=timing(1, 2.0), whole=timing(1, 5.0))) == 5.0
