"""Surface complexity: how hard the last user turn looks, from counts alone.

A fixed sum of six capped counts. Nothing is fitted, so nothing can be over-fitted, and every score can be
checked by hand: docs/decisions.md works one out. What it measures is mostly length; better engines have
to beat it before they replace it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signalbox.core import Surface

WORDS_WEIGHT, WORDS_CAP = 0.30, 200
HARD_WEIGHT, HARD_CAP = 0.20, 5
NUMBERS_WEIGHT, NUMBERS_CAP = 0.15, 8
NEGATIONS_WEIGHT, NEGATIONS_CAP = 0.15, 8
CODE_WEIGHT = 0.10
MATHS_WEIGHT = 0.10


def complexity(surface: Surface) -> float:
    """Return the surface complexity in [0, 1]; 0 for an empty turn.

    .30 min(1, words/200) + .20 min(1, hard/5) + .15 min(1, numbers/8) + .15 min(1, negations/8)
    + .10 code + .10 maths, with negations and conditionals counted together.
    """
    words, hard, numbers, negations = surface.words, surface.hard_keywords, surface.numbers, surface.negations
    return (  # comparisons instead of min(): half the time, and this runs for every request
        WORDS_WEIGHT * (words / WORDS_CAP if words < WORDS_CAP else 1.0)
        + HARD_WEIGHT * (hard / HARD_CAP if hard < HARD_CAP else 1.0)
        + NUMBERS_WEIGHT * (numbers / NUMBERS_CAP if numbers < NUMBERS_CAP else 1.0)
        + NEGATIONS_WEIGHT * (negations / NEGATIONS_CAP if negations < NEGATIONS_CAP else 1.0)
        + CODE_WEIGHT * surface.code
        + MATHS_WEIGHT * surface.maths
    )
