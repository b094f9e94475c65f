"""`python -m signalbox.training.few_labels --data FILE...`: what a few labels of a new source are worth.

A source is left out of the general heads, and 200 of its rows train an operator's heads on top; TF-IDF + ridge learns
from 200 and from 2,000 of the same rows. All are judged by APGR on a third of the source that none of them saw.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.capability import Judge
from signalbox.brain.encoder import Encoder
from signalbox.errors import DataError, SignalboxError
from signalbox.evaluation.baselines import TFIDF, WORD_COUNT, counted, fitted
from signalbox.evaluation.folds import Fold
from signalbox.evaluation.metrics import apgr
from signalbox.evaluation.records import Records, read_records
from signalbox.evaluation.tables import number, table
from signalbox.training.learner import Labels, fit
from signalbox.training.prompts import Seen, see
from signalbox.training.recipes.capability import Material
from signalbox.training.recipes.capability import fit as fit_general

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

FEW, MANY = 200, 2_000
LEAST = 3_000
"""Rows of a source that has MANY to learn from beside the third it is judged by."""
UNTRAINED = "built-in, no labels"


def few_labels(records: Records, encoder: Encoder, source: str, draws: int) -> dict[str, Floats]:
    """Return APGR by contender, (draws,). Each draw splits the source anew. Raises DataError for a lone source."""
    sources = np.array(records.sources)
    known, rows = np.flatnonzero(sources != source), np.flatnonzero(sources == source)
    if not len(known):
        raise DataError.single("records", f"all are of one source, {source!r}", expected="at least two sources")
    seen = see(records.prompts, encoder)
    general = fit_general(Material.of(records.only(known), _part(seen, known)))[0].open(encoder.version)
    found: dict[str, list[float]] = {}
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(rows)
        asked, rest = order[: len(rows) // 3], order[len(rows) // 3 :]
        part, looked_at = records.only(asked), _part(seen, asked)
        scores = {WORD_COUNT: counted(part)[0].scores, UNTRAINED: _scores(general, looked_at)}
        for count in (FEW, MANY):
            some = records.only(rest[:count])
            labels = Labels(some.prompts, some.strong, some.weak, ({},) * len(some))
            heads = fit(labels, _part(seen, rest[:count]), general).open(general)
            scores[f"trained on {count}"] = _scores(heads, looked_at)
            scores[f"{TFIDF} on {count}"] = _tfidf(records, rest[:count], asked)
        for contender, values in scores.items():
            found.setdefault(contender, []).append(apgr(values, part.strong, part.weak))
    return {contender: np.array(values) for contender, values in found.items()}


def _part(seen: Seen, rows: Rows) -> Seen:
    return Seen(seen.vectors[rows], tuple(seen.features[int(row)] for row in rows))


def _scores(heads: Judge, seen: Seen) -> Floats:
    return np.array([heads.need(vector, each).strong for vector, each in zip(seen.vectors, seen.features, strict=True)])


def _tfidf(records: Records, rows: Rows, asked: Rows) -> Floats:
    both = records.only(np.concatenate([rows, asked]))
    fold = Fold("", np.arange(len(rows)), np.arange(len(rows), len(both)))
    scores: Floats = fitted(both, [fold])[0].scores[len(rows) :]
    return scores


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for each source that is large enough."""
    parser = argparse.ArgumentParser(prog="python -m signalbox.training.few_labels", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help="records, as for eval")
    parser.add_argument("--draws", type=int, default=6, metavar="N", help="splits of each source (default 6)")
    options = parser.parse_args(arguments)
    try:
        records, encoder = read_records(options.data), Encoder.load()
        large = [name for name in records.source_names if len(records.rows_of(name)) >= LEAST]
        if not large:
            raise DataError.single(", ".join(map(str, options.data)), f"no source has {LEAST} rows", fix="see --data")
        for name in large:
            print(f"{name}\n{_told(few_labels(records, encoder, name, options.draws))}\n", flush=True)
    except SignalboxError as problem:
        print(f"few_labels: {problem}", file=sys.stderr)
        return 1
    return 0


def _told(found: dict[str, Floats]) -> str:
    target = found[f"{TFIDF} on {MANY}"]
    rows = []
    for name, values in found.items():
        more = values - target
        rows.append(
            [name, number(float(values.mean())), f"{more.mean():+.3f}", f"{more.min():+.3f} to {more.max():+.3f}"]
        )
    return table(["", "APGR", f"more than {TFIDF} on {MANY}", "over the draws"], rows)


if __name__ == "__main__":
    raise SystemExit(main())
