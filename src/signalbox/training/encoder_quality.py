"""`python -m signalbox.training.encoder_quality --data DIR`: the table of docs/quality.md, a row for each variant."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.training import corpus, encoder_exam, student
from signalbox.training.recipes import encoder as recipe

Floats = NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each variant."""
    parser = argparse.ArgumentParser(prog="python -m signalbox.training.encoder_quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    chosen = parser.parse_args(arguments)
    workshop = recipe.Workshop.set_up(chosen.data)
    paper = encoder_exam.read(chosen.data, workshop.tokenizer, workshop.taught)
    whole = workshop.fitted(workshop.teacher.dims)  # its columns are in order: the first ones are a fit of fewer dims
    intents = [*corpus.INTENTS, "sgd_user", "sgd_assistant"]
    variants: dict[str, Callable[[], Floats]] = {
        "as shipped": lambda: np.multiply(*as_floats(student.quantised(whole[:, : recipe.DIMS]))),
        "float32": lambda: whole[:, : recipe.DIMS],
        "384 dims": lambda: whole,
        "128 dims": lambda: whole[:, :128],
        "without WordNet": lambda: workshop.fitted(recipe.DIMS, without=["wordnet"]),
        "without single tokens and combinations": lambda: workshop.fitted(recipe.DIMS, without=recipe.INVENTED),
        "without any intent set": lambda: workshop.fitted(recipe.DIMS, without=intents),
        "each token's own vector, weighted (SIF)": workshop.first_guess,
    }
    kinds = [(kind, name) for name in encoder_exam.SETS for kind in ("zero_shot", "centroid")]
    print("| encoder | agreement |", " | ".join(f"{name}, {kind.replace('_', '-')}" for kind, name in kinds), "|")
    for number, (variant, make) in enumerate(variants.items()):
        figures = encoder_exam.marks(paper, encoder_exam.of_rows(make()))
        if number == 0:
            print("| teacher | 1 |", " | ".join(f"{figures[kind][name]['teacher']:.3f}" for kind, name in kinds), "|")
        agreement = np.mean(list(figures["agreement_with_teacher"].values()))
        shares = " | ".join(f"{figures[kind][name]['own']:.3f}" for kind, name in kinds)
        print(f"| {variant} | {agreement:.3f} | {shares} |", flush=True)
    return 0


def as_floats(table: tuple[NDArray[np.int8], Floats]) -> tuple[Floats, Floats]:
    values, scales = table
    return values.astype(np.float32), scales[:, None]


if __name__ == "__main__":
    raise SystemExit(main())
