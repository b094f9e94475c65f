"""`python -m signalbox.training.encoder_quality --data DIR`: the table of docs/quality.md, a row for each variant."""

from __future__ import annotations

import argparse
import time
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
    intents = [*corpus.INTENTS, "sgd_user", "sgd_assistant"]
    variants: dict[str, Callable[[], Floats]] = {
        "as shipped": lambda: workshop.fitted(recipe.DIMS),
        "int8": lambda: np.multiply(*as_floats(student.quantised(workshop.fitted(recipe.DIMS)))),
        "384 dims": lambda: workshop.fitted(384),
        "128 dims": lambda: workshop.fitted(128),
        "without WordNet": lambda: workshop.fitted(recipe.DIMS, without=["wordnet"]),
        "without single tokens and combinations": lambda: workshop.fitted(
            recipe.DIMS, without=["tokens", "combinations"]
        ),
        "without any intent set": lambda: workshop.fitted(recipe.DIMS, without=intents),
        "single tokens' own vectors, weighted (SIF)": lambda: workshop.first_guess(),
    }
    print(
        "| encoder | agreement | "
        + " | ".join(f"{name}, zero-shot | centroid" for name in encoder_exam.SETS)
        + " | s |"
    )
    for name, make in variants.items():
        began = time.process_time()
        figures = encoder_exam.marks(paper, encoder_exam.of_rows(make()))
        spent = time.process_time() - began
        shares = [f"{figures[kind][one]['own']:.3f}" for one in encoder_exam.SETS for kind in ("zero_shot", "centroid")]
        print(
            f"| {name} | {np.mean(list(figures['agreement_with_teacher'].values())):.3f} |",
            " | ".join(shares),
            f"| {spent:.0f} |",
        )
        if name == "as shipped":
            teacher = [
                f"{figures[kind][one]['teacher']:.3f}"
                for one in encoder_exam.SETS
                for kind in ("zero_shot", "centroid")
            ]
            print("| teacher | 1 |", " | ".join(teacher), "| |")
    return 0


def as_floats(table: tuple[NDArray[np.int8], Floats]) -> tuple[Floats, Floats]:
    values, scales = table
    return values.astype(np.float32), scales[:, None]


if __name__ == "__main__":
    raise SystemExit(main())
