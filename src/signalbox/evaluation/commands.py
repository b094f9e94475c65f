"""`signalbox eval` and `signalbox score`: their words, and the functions they lead to."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from signalbox.evaluation.records import Scale

BUILTIN = "builtin"
ROUTERS = "builtin, builtin:DIR, POLICY.yaml:ROUTER or scores:FILE.npy (default builtin)"


def add_eval_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `signalbox eval` its words."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--data", type=Path, nargs="+", metavar="FILE", help="records, JSON Lines, plain or gzip")
    given.add_argument("--journal", type=Path, metavar="DIR", help="decisions of traffic, judged by their feedback")
    parser.add_argument("--router", metavar="ROUTER", help=f"{ROUTERS}; of a journal: its router's name")
    parser.add_argument("--strong", metavar="NAME", help="model in `scores`, or several joined by commas")
    parser.add_argument("--weak", metavar="NAME", help="likewise; without, the tiers in p_strong and p_weak")
    parser.add_argument(
        "--strong-models", type=_names, default=(), metavar="A,B", help="models of the policy for the strong side"
    )
    parser.add_argument("--scale", type=_scale, metavar="LOW:HIGH", help="of all scores (default: recognised)")
    parser.add_argument("--split", metavar="NAME", help="only records that say this split")
    parser.add_argument(
        "--prices", type=Path, metavar="FILE", help="NAME: {input: USD, output: USD} per million tokens"
    )
    parser.add_argument("--answer-tokens", type=_count, default=400, metavar="N", help="of an answer (default 400)")
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--threshold", type=_number, metavar="SCORE", help="strong side from here on (default 0.5)")
    side.add_argument("--target-share", type=_share, metavar="SHARE", help="of the prompts for the strong side")
    parser.add_argument(
        "--folds",
        choices=("source", "prompt"),
        help="what baselines learn from: other sources (default where there are several) or other prompts",
    )
    parser.add_argument("--padding", action="store_true", help="also measure what long trivial padding does")
    parser.add_argument("--resamples", type=_count, default=1_000, metavar="N", help="for intervals (default 1000)")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of resamples and folds (default 0)")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write plots there; needs the extra `bench`")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `signalbox score` its words."""
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="records with a `prompt` each")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npy", help="float32, one for each record")
    parser.add_argument("--router", default=BUILTIN, metavar="ROUTER", help=ROUTERS)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run_eval(options: argparse.Namespace) -> int:
    """Evaluate and print. Returns the exit status; raises as `run.evaluate` does."""
    from signalbox.evaluation.run import Options, evaluate

    if options.journal is not None:
        return _run_journal(options)
    if options.plots is not None:
        from signalbox.evaluation.plots import check_plotting

        check_plotting()
    report = evaluate(
        Options(
            data=tuple(options.data),
            router=options.router or BUILTIN,
            strong=options.strong,
            weak=options.weak,
            strong_models=options.strong_models,
            scale=options.scale,
            split=options.split,
            prices=options.prices,
            answer_tokens=options.answer_tokens,
            threshold=options.threshold,
            target_share=options.target_share,
            folds=options.folds,
            padding=options.padding,
            resamples=options.resamples,
            seed=options.seed,
            quiet=options.quiet,
        )
    )
    print(json.dumps(report.as_json, indent=2, allow_nan=False) if options.json else report.text)
    if options.plots is not None:
        from signalbox.evaluation.plots import draw

        draw(report, options.plots)
    return 0


def _run_journal(options: argparse.Namespace) -> int:
    from signalbox.evaluation.journal import evaluate_journal

    report = evaluate_journal(
        options.journal,
        _names(options.strong or ""),
        _names(options.weak or ""),
        router=options.router or "",
        resamples=options.resamples,
        seed=options.seed,
    )
    print(json.dumps(report.as_json, indent=2, allow_nan=False) if options.json else report.text)
    return 0


def run_score(options: argparse.Namespace) -> int:
    """Score and say how many. Returns the exit status; raises as `run.score` does."""
    from signalbox.evaluation.run import score

    rows = score(options.data, options.out, options.router, quiet=options.quiet)
    print(f"{options.out}: {rows} scores")
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _scale(text: str) -> Scale:
    low, colon, high = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"expected LOW:HIGH, found {text!r}")
    scale = Scale(_number(low), _number(high))
    if scale.low >= scale.high:
        raise argparse.ArgumentTypeError(f"expected LOW below HIGH, found {text!r}")
    return scale


def _number(text: str) -> float:
    number = float(text)
    if number != number or abs(number) == float("inf"):
        raise argparse.ArgumentTypeError(f"expected a finite number, found {text!r}")
    return number


def _share(text: str) -> float:
    share = _number(text)
    if not 0.0 <= share <= 1.0:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, found {text!r}")
    return share


def _seed(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, found {text!r}")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {text!r}")
    return number
