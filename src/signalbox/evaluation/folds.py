"""Which rows a baseline learns from before it scores which: never itself, nor another row with the same prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from signalbox.errors import SetupError

By = Literal["source", "prompt"]

PROMPT_FOLDS = 5


class Fold(NamedTuple):
    """One part: rows to score, and rows to learn from."""

    name: str
    train: NDArray[np.intp]
    test: NDArray[np.intp]


def make_folds(prompts: Sequence[str], sources: Sequence[str], by: By | None = None, *, seed: int = 0) -> list[Fold]:
    """Return folds whose test rows are all rows, each once.

    by: `source` leaves out one source at a time, which says what to expect of a new kind of prompts; `prompt` makes
    five random parts, which says what labels of the same kind are worth. By default `source` where there are several.
    Raises SetupError for `source` with a single one.
    """
    names = list(dict.fromkeys(sources))
    if by is None:
        by = "source" if len(names) > 1 else "prompt"
    if by == "source" and len(names) < 2:
        raise SetupError(
            f"--folds source: all rows are of one source, {names[0]!r}\n"
            "  expected: rows of at least two\n  fix: --folds prompt, or more files after --data"
        )
    groups = np.unique(np.array([prompt.strip() for prompt in prompts]), return_inverse=True)[1]
    if by == "source":
        parts = np.array([names.index(source) for source in sources])
        told = names
    else:
        count = min(PROMPT_FOLDS, int(groups.max()) + 1)
        parts = np.random.default_rng(seed).permutation(np.arange(groups.max() + 1) % count)[groups]
        told = [f"part {number + 1} of {count}" for number in range(count)]
    return list(_folds(told, parts, groups))


def _folds(names: Sequence[str], parts: NDArray[np.intp], groups: NDArray[np.intp]) -> Iterator[Fold]:
    for number, name in enumerate(names):
        test = np.flatnonzero(parts == number)
        elsewhere = np.flatnonzero(parts != number)
        yield Fold(name, elsewhere[~np.isin(groups[elsewhere], groups[test])], test)
