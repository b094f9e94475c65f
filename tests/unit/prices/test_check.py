"""Prices nobody should believe."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.prices.check import MAX_RATIO, checked, checked_embedding
from signalbox.types import Price

anything = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.integers(), st.floats(), st.lists(st.integers(), max_size=1)
)


def test_a_usual_price_is_taken():
    assert checked(1.25, 10, 0.125) == Price(1.25, 10, 0.125)


@pytest.mark.parametrize("wrong", [None, 0, -1, math.nan, math.inf, 10_001, "3", True, [3]])
def test_a_price_with_a_figure_that_cannot_be_is_unknown(wrong):
    assert checked(wrong, 10) is None
    assert checked(10, wrong) is None
    assert checked_embedding(wrong) is None


def test_figures_in_different_units_are_unknown():
    assert checked(3, 0.000015) is None
    assert checked(0.000003, 15) is None
    assert checked(1, 1 / MAX_RATIO) is not None


@pytest.mark.parametrize("cached", [None, 0, -1, math.nan, "1", 3.5])
def test_a_doubtful_cached_price_counts_as_the_input_price(cached):
    assert checked(3, 15, cached) == Price(3, 15, None)


@given(anything, anything, anything)
def test_whatever_a_list_holds_no_price_is_free_or_infinite(prompt, answer, cached):
    price = checked(prompt, answer, cached)
    if price is not None:
        assert 0 < price.input_usd_per_mtok <= 10_000
        assert 0 < price.output_usd_per_mtok <= 10_000
        assert price.cached_usd_per_mtok is None or 0 < price.cached_usd_per_mtok <= price.input_usd_per_mtok
