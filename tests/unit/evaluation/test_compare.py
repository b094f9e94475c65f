"""A comparison as a whole, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from signalbox.errors import DataError
from signalbox.evaluation.baselines import counted
from signalbox.evaluation.calibration import calibrate
from signalbox.evaluation.compare import (
    ALWAYS_STRONG,
    ALWAYS_WEAK,
    APGR,
    COST,
    COST_95,
    ORACLE,
    QUALITY,
    RANDOM,
    REGRET,
    compare,
    with_choice,
)
from signalbox.evaluation.costs import priced, shares
from signalbox.evaluation.metrics import apgr
from signalbox.evaluation.padding import WORDS, pad, padded
from signalbox.evaluation.records import Records, read_records
from signalbox.evaluation.routers import Verdicts
from tests.unit.evaluation.data import made_up, write


@pytest.fixture
def records(tmp_path: Path) -> Records:
    rows = made_up(80, source="one") + made_up(40, source="two", seed=1)
    return read_records(write(tmp_path / "x.jsonl", rows))


def hard_word(records: Records) -> Verdicts:
    scores = np.array([0.8 if prompt.startswith("prove") else 0.3 for prompt in records.prompts])
    return with_choice(Verdicts("words", scores, is_chance=True), None, None)


def test_each_source_counts_once_and_fixed_choices_are_what_they_say(records: Records) -> None:
    router = hard_word(records)
    found = compare(records, router, counted(records), shares(len(records)), resamples=50)
    by_source = [group.figures["words"][APGR].value for group in found.sources]
    assert found.macro["words"][APGR].value == pytest.approx(np.mean(by_source))
    assert found.pooled.figures["words"][APGR].value == pytest.approx(apgr(router.scores, records.strong, records.weak))
    pooled = found.pooled.figures
    assert pooled[ALWAYS_STRONG][QUALITY].value == pytest.approx(records.strong.mean())
    assert pooled[ALWAYS_WEAK][COST].value == 0.0
    assert pooled[ORACLE][REGRET].value == pytest.approx(0.0)
    assert pooled[RANDOM][APGR].interval.low == pytest.approx(0.5)
    assert found.difference(found.macro, RANDOM, APGR).above_zero


def test_a_baseline_is_compared_at_the_share_the_router_takes(records: Records) -> None:
    router = hard_word(records)
    assert router.chosen is not None
    twin = Verdicts("twin", router.scores * 10)
    found = compare(records, router, [twin], shares(len(records)), resamples=20).pooled.figures
    assert found["twin"][COST].value == pytest.approx(router.chosen.mean())
    assert found["twin"][QUALITY].value == pytest.approx(found["words"][QUALITY].value)


def test_the_same_seed_gives_the_same_report(records: Records) -> None:
    router = hard_word(records)
    first, again = (
        compare(records, router, [], shares(len(records)), resamples=30, seed=4).macro["words"][APGR].interval
        for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize(
    ("threshold", "target_share", "strong"), [(None, None, 2), (0.8, None, 1), (None, 0.25, 1), (None, 0.0, 0)]
)
def test_sides_follow_from_a_threshold_or_a_share(threshold, target_share, strong) -> None:
    verdicts = Verdicts("v", np.array([0.9, 0.1, 0.6, 0.2]), is_chance=True)
    chosen = with_choice(verdicts, threshold, target_share).chosen
    assert chosen is not None
    assert chosen.sum() == strong


def test_a_mere_ranking_is_taken_at_half_of_the_prompts() -> None:
    chosen = with_choice(Verdicts("v", np.array([30.0, 10.0, 20.0, 40.0])), None, None).chosen
    assert chosen is not None
    assert chosen.tolist() == [True, False, False, True]


def test_prices_turn_shares_into_dollars(records: Records, tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("strong: {input: 10, output: 20}\nweak: {input: 1, output: 2}\n")
    costs = priced(records, prices, answer_tokens=100)
    found = compare(records, hard_word(records), [], costs, resamples=20).pooled.figures
    assert found[ALWAYS_STRONG][COST].value == pytest.approx(10 * found[ALWAYS_WEAK][COST].value)
    assert found[ALWAYS_WEAK][COST].value < found["words"][COST_95].value < found[ALWAYS_STRONG][COST].value
    # 1,000 prompts of some 20 tokens, with answers of 100: a bit over 0.2 dollars for answers alone
    assert 0.2 < found[ALWAYS_WEAK][COST].value < 0.3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("strong: {input: 1, output: 2}", "no price of 'weak'"),
        ("strong: {input: 1}\nweak: {input: 1, output: 1}", "'strong' has no price"),
        ("[1, 2]", "no prices"),
        ("a: {b: ", "neither YAML nor JSON"),
    ],
)
def test_prices_that_do_not_fit_are_refused(records: Records, tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(DataError, match=told):
        priced(records, file)


def test_calibration_is_the_distance_of_chances_from_what_came_true() -> None:
    chances = np.array([0.1] * 10 + [1.0] * 10)
    outcomes = np.array([True] + [False] * 9 + [True] * 5 + [False] * 5)
    found = calibrate(chances, outcomes)
    assert found is not None
    assert [(each.rows, each.observed) for each in found.bins] == [(10, 0.1), (10, 0.5)]
    assert found.error == pytest.approx(0.25)
    assert calibrate(np.zeros(0), np.zeros(0)) is None


def test_padding_shows_who_counts_words_and_who_does_not() -> None:
    prompts = [f"question {'and more ' * (number % 9)}" for number in range(60)]
    scorers = {
        "words": lambda texts: np.array([float(len(text.split())) for text in texts]),
        "blind": lambda texts: np.array(["more" in text for text in texts], dtype=float),
    }
    found = pad(prompts, 0.2, scorers)
    words, blind = found.steps["words"], found.steps["blind"]
    assert [step.words for step in words] == list(WORDS)
    assert words[-1].strong_share == 1.0
    assert words[-1].order == 1.0
    assert all(abs(step.rise) < 1e-9 and step.order == 0.0 for step in blind)
    assert json.dumps(found.as_json)
    assert "overtakes" in found.text


def test_padding_keeps_the_prompt_whole_and_adds_about_the_words_it_should() -> None:
    text = padded("the prompt", 200)
    assert "\n\nthe prompt\n\n" in text
    assert 200 <= len(text.split()) <= 225
