"""The same prompt is not asked twice, for a while, and no cache grows past its bound."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from signalbox.engines.base import Answer, Outcome
from signalbox.engines.preference.cache import DecisionCache

ANSWER = Answer(Outcome.RESULT, "code")


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_an_answer_is_forgotten_when_its_time_is_over() -> None:
    clock = Clock()
    cache = DecisionCache(2, 10, clock)
    cache.put(b"a", ANSWER)
    clock.seconds = 9.9
    assert cache.get(b"a") is ANSWER
    clock.seconds = 10.0
    assert cache.get(b"a") is None
    assert len(cache) == 0


def test_a_cache_without_entries_remembers_nothing() -> None:
    cache = DecisionCache(0, 10)
    cache.put(b"a", ANSWER)
    assert cache.get(b"a") is None


def test_prompts_are_not_kept() -> None:
    cache = DecisionCache(2, 10)
    cache.put(b"a secret", ANSWER)
    assert b"secret" not in repr(vars(cache)).encode()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6))), st.integers(1, 4))
def test_what_was_used_last_stays_longest(steps: list[tuple[bool, int]], size: int) -> None:
    cache = DecisionCache(size, 10, Clock())
    model: OrderedDict[int, None] = OrderedDict()
    for puts, number in steps:
        if puts:
            cache.put(bytes([number]), ANSWER)
            model[number] = None
        else:
            assert (cache.get(bytes([number])) is ANSWER) == (number in model)
        if number in model:
            model.move_to_end(number)
        while len(model) > size:
            model.popitem(last=False)
        assert len(cache) == len(model) <= size
