"""Figures of a ranking, each against a slow and obvious way of saying the same."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.evaluation.metrics import (
    Interval,
    Ranking,
    Resampled,
    Resamples,
    Separation,
    apgr,
    auroc,
    bootstrap,
    cpt,
    mean_of,
    paired_bootstrap,
    strong_share_curve,
)

rows_of_outcomes = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30
).map(lambda rows: [np.array(column, dtype=float) for column in zip(*rows, strict=True)])


def quality_by_sending(order, strong, weak):
    """The mean quality after sending each prompt of `order`, one by one, to the strong model."""
    chosen = weak.copy()
    qualities = [chosen.mean()]
    for row in order:
        chosen[row] = strong[row]
        qualities.append(chosen.mean())
    return np.array(qualities)


@given(rows_of_outcomes)
def test_auroc_counts_the_pairs_that_are_in_order_and_half_of_the_ties(rows):
    scores, labels = rows[0], rows[1] > 1
    pairs = [(a > b) + (a == b) / 2 for a in scores[labels] for b in scores[~labels]]
    expected = np.mean(pairs) if pairs else np.nan
    assert auroc(scores, labels) == pytest.approx(expected, nan_ok=True)


@given(rows_of_outcomes)
def test_apgr_is_the_area_of_the_curve_by_trapezoids_over_the_gap(rows):
    scores, strong, weak = rows
    scores = scores + np.arange(len(scores)) / 1_000  # no ties here
    qualities = quality_by_sending(np.argsort(-scores), strong, weak)
    shares = np.linspace(0, 1, len(scores) + 1)
    gap = strong.mean() - weak.mean()
    area = np.trapezoid(qualities - weak.mean(), shares)
    assert apgr(scores, strong, weak) == pytest.approx(area / gap if gap > 1e-12 else np.nan, nan_ok=True)


def test_equal_scores_are_taken_in_random_order_in_expectation():
    scores = np.array([1.0, 1.0, 1.0, 0.0])
    strong, weak = np.array([1.0, 0.5, 1.0, 1.0]), np.array([0.0, 0.75, 1.0, 0.0])
    shares = np.linspace(0, 1, 5)
    areas = [np.trapezoid(quality_by_sending([*order, 3], strong, weak), shares) for order in permutations(range(3))]
    expected = (np.mean(areas) - weak.mean()) / (strong.mean() - weak.mean())
    assert apgr(scores, strong, weak) == pytest.approx(expected)


def test_a_constant_score_is_a_random_router():
    strong, weak = np.array([1.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0, 0.0])
    constant = np.zeros(4)
    assert apgr(constant, strong, weak) == pytest.approx(0.5)
    assert cpt(constant, strong, weak, 0.8) == pytest.approx(0.8)
    assert strong_share_curve(constant, strong, weak).at(0.25) == pytest.approx(0.25 + 0.25 * 0.5)


def test_an_oracle_sends_what_only_the_strong_model_can_do_first():
    strong, weak = np.array([1.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0, 0.0])
    oracle = strong - weak
    assert cpt(oracle, strong, weak, 0.5) == pytest.approx(0.25)
    assert cpt(oracle, strong, weak, 1.0) == pytest.approx(0.5)
    assert apgr(oracle, strong, weak) == pytest.approx(0.75)


@given(rows_of_outcomes, st.sampled_from([0.2, 0.5, 0.8, 1.0]))
def test_cpt_is_where_the_curve_first_reaches_the_share_of_the_gap(rows, recovered):
    scores, strong, weak = rows
    curve = strong_share_curve(scores, strong, weak)
    found = cpt(scores, strong, weak, recovered)
    gap = strong.mean() - weak.mean()
    if gap <= 1e-12:
        assert np.isnan(found)
        return
    wanted = weak.mean() + recovered * gap
    assert curve.at(found) >= wanted - 1e-6
    for earlier in curve.shares[curve.shares < found - 1e-9]:
        assert curve.at(earlier) < wanted


@given(rows_of_outcomes)
def test_a_weight_counts_a_row_as_often_as_it_says(rows):
    scores, strong, weak = rows
    weights = np.arange(len(scores)) % 3
    if not weights.any():
        return
    repeated = [np.repeat(column, weights) for column in rows]
    ranking, labels = Ranking(scores, strong, weak), strong > weak
    drawn = weights[None, :].astype(float)
    again = Ranking(*repeated)
    once = np.ones((1, len(repeated[0])))
    assert ranking.apgr(drawn)[0] == pytest.approx(again.apgr(once)[0], nan_ok=True)
    assert ranking.cpt(drawn, 0.5)[0] == pytest.approx(again.cpt(once, 0.5)[0], nan_ok=True)
    assert ranking.share_at_quality(drawn, 0.95)[0] == pytest.approx(again.share_at_quality(once, 0.95)[0], nan_ok=True)
    assert ranking.mean_at(drawn, 0.3)[0] == pytest.approx(again.mean_at(once, 0.3)[0])
    assert Separation(scores, labels).auroc(drawn)[0] == pytest.approx(
        auroc(repeated[0], repeated[1] > repeated[2]), nan_ok=True
    )


@given(rows_of_outcomes, st.floats(0, 1))
def test_quality_at_a_share_lies_on_the_curve(rows, share):
    ranking = Ranking(*rows)
    assert ranking.mean_at(np.ones((1, len(rows[0]))), share)[0] == pytest.approx(ranking.curve().at(share))


def test_the_share_at_a_quality_is_none_where_the_weak_model_has_it_already():
    strong, weak = np.array([1.0, 1.0]), np.array([1.0, 1.0])
    assert Ranking(np.array([1.0, 0.0]), strong, weak).share_at_quality(np.ones((1, 2)), 0.95)[0] == 0.0


def test_there_is_no_apgr_without_a_gap_and_no_auroc_with_one_class():
    same = np.array([1.0, 0.0])
    assert np.isnan(apgr(np.array([0.1, 0.2]), same, same))
    assert np.isnan(auroc(np.array([0.1, 0.2]), np.array([True, True])))


@pytest.mark.parametrize("bad", [np.array([1.0, np.nan]), np.array([1.0, np.inf]), np.array([]), np.array([1.0])])
def test_scores_that_are_not_finite_or_do_not_fit_are_refused(bad):
    with pytest.raises(ValueError):
        apgr(bad, np.array([1.0, 0.0]), np.array([0.0, 0.0]))


def test_a_draw_keeps_the_size_of_each_source_and_equal_prompts_together():
    sources = ["a"] * 6 + ["b"] * 4
    prompts = ["p", "p", "q", "r", "s", "t", "p", "u", "v", "w"]
    for weights in Resamples(10, strata=sources, units=prompts, resamples=50, seed=3).batches():
        assert (weights[:, 0] == weights[:, 1]).all()
        assert (weights[:, [0, 2, 3, 4, 5]].sum(axis=1) == 5).all()
        assert (weights[:, 6:].sum(axis=1) == 4).all()


def test_the_same_seed_draws_the_same_resamples():
    first, again, other = (np.concatenate(list(Resamples(20, resamples=30, seed=seed).batches())) for seed in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()


def test_a_paired_difference_of_a_router_to_itself_is_exactly_nothing():
    dice = np.random.default_rng(0)
    scores, strong, weak = dice.random(60), np.ones(60), (dice.random(60) < 0.5).astype(float)
    ranking = Ranking(scores, strong, weak)
    assert paired_bootstrap(ranking.apgr, ranking.apgr, 60, resamples=50) == Interval(0.0, 0.0, 0.0)


def test_an_interval_tells_an_oracle_from_chance_but_not_chance_from_chance():
    dice = np.random.default_rng(1)
    strong, weak = np.ones(400), (dice.random(400) < 0.5).astype(float)
    oracle, chance, constant = (
        Ranking(scores, strong, weak).apgr for scores in (strong - weak, dice.random(400), np.zeros(400))
    )
    assert paired_bootstrap(oracle, chance, 400).above_zero
    assert paired_bootstrap(constant, oracle, 400).below_zero
    nothing = paired_bootstrap(chance, constant, 400)
    assert not nothing.above_zero
    assert not nothing.below_zero


def test_something_else_than_quality_is_averaged_along_the_same_order():
    scores, strong, weak = np.array([3.0, 1.0, 2.0]), np.ones(3), np.zeros(3)
    dear, cheap = np.array([10.0, 20.0, 30.0]), np.array([1.0, 2.0, 3.0])
    cost = Ranking(scores, strong, weak).mean_at(np.ones((1, 3)), 2 / 3, dear, cheap)[0]
    assert cost == pytest.approx((10 + 2 + 30) / 3)


def test_rows_of_neither_class_do_not_count_for_auroc():
    scores = np.array([0.9, 0.5, 0.1, 0.3])
    positive, negative = np.array([0, 1, 0, 0]), np.array([0, 0, 1, 0])
    assert Separation(scores, positive, negative).auroc(np.ones((1, 4)))[0] == 1.0


def test_a_macro_average_counts_each_source_once_and_skips_what_does_not_exist():
    dice = np.random.default_rng(0)
    parts = []
    for rows in (3, 40):
        scores, strong, weak = dice.random(rows), np.ones(rows), (dice.random(rows) < 0.5).astype(float)
        draws = Resamples(rows, resamples=20)
        parts.append(bootstrap({"apgr": Ranking(scores, strong, weak).apgr}, draws)["apgr"])
    nothing = Resampled(float("nan"), np.full(20, np.nan))
    assert mean_of([*parts, nothing]).value == pytest.approx((parts[0].value + parts[1].value) / 2)
    assert mean_of(parts).samples[0] == pytest.approx(np.nanmean([part.samples[0] for part in parts]))
