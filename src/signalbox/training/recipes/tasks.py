"""Recipe of the task matcher: `tasks.npz` and `tasks.json` from the data folder, in about a minute.

`python -m signalbox.training.recipes.tasks --data DIR --out DIR --without FAMILY` leaves a source out: what to measure
with `signalbox tasks-eval --models` when the figures are to hold for labels that were never seen.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from signalbox.brain.artifact import MODELS, write_manifest
from signalbox.brain.encoder import Encoder
from signalbox.training.task_fit import SEED, draw, fit_scope, fit_settings, fit_space, fit_stated
from signalbox.training.task_sets import FAMILIES, read_dialogues, read_sets, without

RECIPE = 1
SCOPE_FAMILIES = ("clinc150", "hwu64", "banking77", "sgd", "llm_tasks", "capability")


def build(data: Path, out: Path, left_out: Sequence[str] = ()) -> None:
    """Write `tasks.npz` and `tasks.json` into `out`, for the encoder that lies there. The same data, the same bytes.

    left_out: families that are not looked at. Raises SetupError for a folder without the data or the encoder.
    """
    encoder = Encoder.load(out)
    sets = read_sets(data, encoder)
    for family in left_out:
        sets = without(sets, family)
    dialogues, services = read_dialogues(data, encoder)
    space = fit_space(sets)
    families = [family for family in SCOPE_FAMILIES if family not in left_out]
    spaces = {family: fit_space(without(sets, family)) for family in {*families, "sgd"}}
    dice = {family: np.random.default_rng((SEED, FAMILIES.index(family))) for family in families}
    drawn = [draw(sets, family, spaces[family], dice[family]) for family in families]
    scope = fit_scope(drawn)
    settings = fit_settings(drawn, scope)
    stated, direction = fit_stated(sets, spaces, dialogues, services, encoder)
    arrays: dict[str, Any] = {  # Any: numpy declares `allow_pickle` beside the arrays
        "prompt_mean": space.prompt_mean.astype(np.float16),
        "description_mean": space.description_mean.astype(np.float16),
        "shift": space.shift.astype(np.float16),
        "known_descriptions": space.known_descriptions.astype(np.float16),
        "known_prompts": space.known_prompts.astype(np.float16),
        "scope": scope.astype(np.float32),
        "stated": stated.astype(np.float32),
        "direction": direction.astype(np.float32),
        "settings": settings.astype(np.float32),
    }
    np.savez(out / "tasks.npz", **arrays)
    write_manifest(
        out,
        "tasks",
        ["tasks.npz"],
        recipe=RECIPE,
        seed=SEED,
        dims=encoder.dims,
        encoder=encoder.version,
        left_out=sorted(left_out),
        known_tasks=len(space.known_descriptions),
        # How often the most alike task is the one that is meant, over drawn sets of 1 to 20 tasks never seen.
        unseen_accuracy={
            family: round(float(one.right.sum() / one.in_scope.sum()), 3)
            for family, one in zip(families, drawn, strict=True)
        },
    )


def main() -> None:
    """Build into a folder of its own, with a copy of the encoder that ships."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the data folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the model is written")
    parser.add_argument(
        "--without", action="append", default=[], choices=FAMILIES, metavar="FAMILY", help="leave it out; repeatable"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for file in sorted(MODELS.glob("encoder.*")):
        shutil.copy(file, options.out / file.name)
    build(options.data, options.out, options.without)
    print(options.out / "tasks.npz", file=sys.stderr)


if __name__ == "__main__":
    main()
