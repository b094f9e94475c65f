"""Whether a prompt looks hard only for its length: the same prompts, with words around them that ask for nothing.

A router that counts words sends a padded prompt to the strong side, and pays for it. The padding is text of no
difficulty of its own; who needs the strong model does not change, and neither should the score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signalbox.evaluation.tables import number, table

Floats = NDArray[np.float64]

SENTENCES = (
    "Hello, I hope you are well today.",
    "Thank you very much in advance for your kind help.",
    "I had a nice breakfast this morning with my family.",
    "The sun is out and the birds are in the garden.",
    "My friend and I like to walk along the river.",
    "We bought some bread and milk on the way home.",
    "The cat is asleep on the sofa next to the window.",
    "It was a quiet day and there was not much to do.",
    "I am sitting at my desk with a cup of tea.",
    "Yesterday we watched a film and went to bed early.",
    "The children are playing outside with a red ball.",
    "Have a lovely day and say hello to everybody.",
)
"""Everyday sentences: no question, no number, no instruction, no word of any trade."""

WORDS = (50, 200, 1_000)
MOST_PROMPTS = 500

Scorer = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True, slots=True)
class Step:
    """What `words` words of padding did. rise: mean change of the score, in standard deviations of the scores as they
    were. order: share of pairs, one prompt padded and one not, in which the padded one overtakes one that was above it.
    strong_share: above the threshold that held for the router before.
    """

    words: int
    rise: float
    order: float
    strong_share: float


@dataclass(frozen=True, slots=True)
class Padding:
    """prompts: how many were padded. before: strong share without padding. steps: by router or baseline."""

    prompts: int
    before: float
    steps: Mapping[str, tuple[Step, ...]]

    @property
    def text(self) -> str:
        head = ["", "words added", "score rises by (SD)", "overtakes", "strong share"]
        rows = []
        for name, steps in self.steps.items():
            rows.append([name, "0", number(0.0, 2), number(0.0, 2), f"{self.before:.1%}"])
            rows += [
                ["", str(step.words), number(step.rise, 2), number(step.order, 2), f"{step.strong_share:.1%}"]
                for step in steps
            ]
        told = (
            f"\n{self.prompts} prompts, padded before and after with everyday sentences; overtakes: share of "
            "the prompts ranked above it that a padded one passes"
        )
        return table(head, rows) + told

    @property
    def as_json(self) -> dict[str, Any]:
        return {
            "prompts": self.prompts,
            "strong_share_before": self.before,
            "steps": {
                name: [
                    {"words": s.words, "rise_sd": s.rise, "overtakes": s.order, "strong_share": s.strong_share}
                    for s in steps
                ]
                for name, steps in self.steps.items()
            },
        }


def padded(prompt: str, words: int) -> str:
    """Return a prompt with about `words` words around it, half before and half after; whole sentences."""
    return f"{_filler(words // 2, 0)}\n\n{prompt}\n\n{_filler(words - words // 2, 5)}"


def pad(prompts: Sequence[str], strong_share: float, scorers: Mapping[str, Scorer], *, seed: int = 0) -> Padding:
    """Measure what padding does to each scorer.

    strong_share: of the prompts, above the threshold that each scorer is given. At most five hundred prompts are
    padded, drawn with the seed.
    """
    if len(prompts) > MOST_PROMPTS:
        picked = np.sort(np.random.default_rng(seed).choice(len(prompts), MOST_PROMPTS, replace=False))
        prompts = [prompts[row] for row in picked]
    longer = {words: [padded(prompt, words) for prompt in prompts] for words in WORDS}
    steps = {}
    for name, scorer in scorers.items():
        before = scorer(prompts)
        threshold = np.inf if strong_share <= 0 else np.quantile(before, 1 - strong_share)
        spread = float(before.std()) or 1.0
        steps[name] = tuple(_step(words, before, scorer(texts), threshold, spread) for words, texts in longer.items())
    return Padding(len(prompts), strong_share, steps)


def _step(words: int, before: Floats, after: Floats, threshold: float, spread: float) -> Step:
    ordered = np.sort(before)
    above = len(before) - np.searchsorted(ordered, before, side="right")
    still_above = len(before) - np.searchsorted(ordered, after, side="left")
    passed = np.clip(above - still_above, 0, None).sum()
    return Step(
        words=words,
        rise=float((after - before).mean()) / spread,
        order=float(passed / max(1, above.sum())),
        strong_share=float((after >= threshold).mean()),
    )


def _filler(words: int, start: int) -> str:
    chosen: list[str] = []
    length = 0
    for sentence in islice(cycle(SENTENCES), start, None):
        if length >= words:
            break
        chosen.append(sentence)
        length += len(sentence.split())
    return " ".join(chosen)
