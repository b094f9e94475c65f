"""What the counts of the last user turn say of how hard it is: a fixed length-like prior, and columns for heads.

Only counts of that turn: what stands before it in the conversation makes a request longer, not harder.
"""

from __future__ import annotations

import math

from signalbox.types import Features

FREE_WORDS = 20
WORDS_PER_SIGN = 10
MOST_WORDS = 300
"""Words count as far as something is done with them: 20, and 10 more for each number, question, instruction, negation
or conditional. So padding makes a short question no harder, and real tasks, which have such signs all along, keep
their length. Set by hand; any of 20 to 40 words and 10 to 25 a sign ranks sources that it was not set on alike."""

COLUMNS = (
    "words",
    "numbers",
    "numbers_per_word",
    "questions",
    "instructions",
    "negations",
    "negations_per_word",
    "code_share",
    "maths_share",
    "complexity",
)
"""Of `columns`. Counts as their logarithms. Bundles that were trained name them: only the end may grow."""


def length_prior(features: Features) -> float:
    """Return how hard a turn looks by length alone: 0 for nothing, 6.7 at most.

    The logarithm of the words that count, and 1 where there are numbers, code or maths.
    """
    numbers = features.numbers
    signs = numbers + features.questions + features.instructions + features.negations
    words = min(features.words, FREE_WORDS + WORDS_PER_SIGN * signs, MOST_WORDS)
    exact = numbers > 0 or features.code_share > 0.0 or features.maths_share > 0.0
    return math.log1p(words) + (1.0 if exact else 0.0)


def columns(features: Features) -> tuple[float, ...]:
    """Return the columns of a turn, as `COLUMNS` names them; all finite."""
    words = features.words
    numbers, negations = features.numbers, features.negations
    complexity = features.complexity
    return (
        math.log1p(words),
        math.log1p(numbers),
        numbers / (words + 5.0),
        math.log1p(features.questions),
        math.log1p(features.instructions),
        math.log1p(negations),
        negations / (words + 5.0),
        features.code_share,
        features.maths_share,
        complexity if complexity == complexity else 0.0,
    )
