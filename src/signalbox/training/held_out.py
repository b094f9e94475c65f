"""Scores of the built-in heads on sources they never saw, for `signalbox eval --router scores:FILE.npy`.

For each source the whole recipe is run on the others: heads, length prior, familiarity, chances. What ships has seen
all of them, so its own scores on these rows would flatter it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.encoder import Encoder
from signalbox.errors import DataError, SignalboxError
from signalbox.evaluation.progress import bar
from signalbox.evaluation.records import Records, read_records
from signalbox.evaluation.routers import Said, nobody
from signalbox.training.prompts import Seen, see
from signalbox.training.recipes.capability import Material, fit

NOT_ASKED = 0.5
"""Score of rows without an outcome, which no evaluation looks at."""


def held_out_scores(records: Records, encoder: Encoder, said: Said = nobody) -> NDArray[np.float32]:
    """Return the score of each record from heads that were fitted without its source: (rows,), 0 to 1.

    said: told how many sources are done. Raises DataError where all records are of one source.
    """
    names = records.source_names
    if len(names) < 2:
        raise DataError.single("records", f"all are of one source, {names[0]!r}", expected="at least two sources")
    seen = see(records.prompts, encoder)
    sources = np.array(records.sources)
    scores = np.empty(len(records), np.float32)
    for number, name in enumerate(names):
        known, asked = np.flatnonzero(sources != name), np.flatnonzero(sources == name)
        features = tuple(seen.features[row] for row in known)
        made, _ = fit(Material.of(records.only(known), Seen(seen.vectors[known], features)), encoder.version)
        heads = made.open(encoder.version)
        for row in asked:
            scores[row] = heads.need(seen.vectors[row], seen.features[row]).strong
        said(number + 1)
    return scores


def main(words: list[str] | None = None) -> int:
    """Write scores in the order of the files' rows, for `signalbox eval --router scores:FILE`."""
    parser = argparse.ArgumentParser(prog="python -m signalbox.training.held_out", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help="records, as for eval")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npy")
    options = parser.parse_args(words)
    try:
        records = read_records(options.data)
        with bar("sources", len(records.source_names)) as said:
            found = held_out_scores(records, Encoder.load(), said)
    except SignalboxError as problem:
        print(f"held_out: {problem}", file=sys.stderr)
        return 1
    scores = np.full(records.found.in_files, NOT_ASKED, np.float32)
    scores[records.places] = found
    with options.out.open("wb") as file:
        np.save(file, scores, allow_pickle=False)
    print(f"{options.out}: {len(scores)} scores, {len(records.source_names)} sources")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
