"""What a trained bundle says of itself: MODEL_CARD.md for people, the same figures in its manifest."""

from __future__ import annotations

from typing import Any

from signalbox.evaluation.baselines import WORD_COUNT
from signalbox.evaluation.metrics import Interval
from signalbox.evaluation.tables import between
from signalbox.training.data import Data
from signalbox.training.judge import GENERAL, TRAINED, Judgement


def verdict(judgement: Judgement) -> str:
    """Return in one sentence whether to use the heads."""
    difference = between(judgement.differences[WORD_COUNT], sign=True)
    if judgement.recommended:
        return f"Recommended: {judgement.figure} is {difference} against a word count, on rows held out."
    if judgement.differences[GENERAL].below_zero:
        difference = between(judgement.differences[GENERAL], sign=True)
        return (
            f"NOT RECOMMENDED: {judgement.figure} is {difference} against the built-in heads, on rows held out; "
            "go on with those, and collect more labels."
        )
    return (
        f"NOT RECOMMENDED: {judgement.figure} is {difference} against a word count, on rows held out; "
        "a router that counts words is as good as far as these rows tell. Collect more labels."
    )


def table_of(judgement: Judgement) -> list[list[str]]:
    """Return rows of the contenders: name, figures, and what the trained heads have more."""
    rows = []
    for name, figures in judgement.figures.items():
        more = "" if name == TRAINED else between(judgement.differences[name], sign=True)
        rows.append([name, *(between(interval) for interval in figures.values()), more])
    return rows


def head_of(judgement: Judgement) -> list[str]:
    """Return the heads of `table_of`."""
    return ["", *next(iter(judgement.figures.values())), f"trained more, {judgement.figure}"]


def card(data: Data, judgement: Judgement, models: tuple[str, ...], made_with: dict[str, str]) -> str:
    """Return the text of MODEL_CARD.md. It names models and counts, and quotes no prompt."""
    records = data.records
    head = head_of(judgement)
    lines = [
        "# Capability heads trained on your own labels",
        "",
        verdict(judgement),
        "",
        "## Data",
        "",
        f"- rows: {len(data.labels)}; judged on {judgement.rows}"
        + (" that the weak side answered" if data.feedback else ""),
        f"- strong side: {records.strong_name}; weak side: {records.weak_name}",
        f"- SHA-256: {data.digest}",
        *(f"- {note}" for note in data.notes),
        "",
        "## Figures",
        "",
        "Each row was scored by heads trained on other prompts, in five parts; baselines that learn, likewise.",
        "Intervals hold 95 of 100 resamples; differences are paired.",
        "",
        "| " + " | ".join(head) + " |",
        "| " + " | ".join("---" for _ in head) + " |",
        *("| " + " | ".join(row) + " |" for row in table_of(judgement)),
        "",
    ]
    if judgement.calibration is not None:
        lines += [f"Chances are off by {judgement.calibration.error:.3f} in the mean (ECE, ten bins).", ""]
    lines += [f"- {note}" for note in judgement.notes]
    lines += [
        "## Use",
        "",
        "Scores tell how much a prompt needs the strong side, for prompts like those above; far from them the built-in",
        "heads answer. Train again when the models of a side change, and when the traffic does.",
        "",
        f"Models with a head of their own: {', '.join(models) if models else 'none'}.",
        "",
        f"Made with {', '.join(f'{name} {version}' for name, version in made_with.items())}.",
        "",
    ]
    return "\n".join(lines)


def figures_of(judgement: Judgement) -> dict[str, Any]:
    """Return the figures for the manifest."""
    return {
        "held_out_rows": judgement.rows,
        "figure": judgement.figure,
        "figures": {
            name: {kind: _interval(interval) for kind, interval in each.items()}
            for name, each in judgement.figures.items()
        },
        "trained_minus": {name: _interval(interval) for name, interval in judgement.differences.items()},
    }


def _interval(interval: Interval) -> list[float | None]:
    return [None if value != value else round(value, 4) for value in (interval.value, interval.low, interval.high)]
