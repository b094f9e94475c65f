"""`signalbox train`: its words."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `signalbox train` its words."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="records (docs/train.md), .jsonl or .jsonl.gz"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the bundle's folder")
    parser.add_argument("--strong", metavar="MODEL[,MODEL]", help="strong side: models in `scores`, or of the journal")
    parser.add_argument("--weak", metavar="MODEL[,MODEL]", help="weak side")
    parser.add_argument(
        "--journal", type=Path, metavar="DIR", help="feedback to the decisions whose `id` the rows have"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="what `signalbox label` wrote about the same rows")
    parser.add_argument("--replace", action="store_true", help="train a bundle anew that is there")
    parser.add_argument("--resamples", type=_count, default=1_000, metavar="N", help="for intervals (default 1000)")
    parser.add_argument("--json", action="store_true", help="figures for programs")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> int:
    """Train and say what came of it. Returns the exit status: 0 too where the bundle advises against itself."""
    from signalbox.training.run import Options, train

    trained = train(
        Options(
            data=options.data,
            out=options.out,
            strong=options.strong,
            weak=options.weak,
            journal=options.journal,
            labels=options.labels,
            replace=options.replace,
            resamples=options.resamples,
            quiet=options.quiet,
        )
    )
    print(json.dumps(trained.as_json, indent=2, allow_nan=False) if options.json else trained.text)
    return 0


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {text}")
    return count
