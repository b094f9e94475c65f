"""`signalbox models`: its words, and the functions they lead to."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from signalbox.bundles.export.request import DEFAULT_BOUND, Request
from signalbox.bundles.manifest import Dtype, Kind, Window


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `signalbox models` its subcommands; each sets `action`, which `run` calls."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    inspect = commands.add_parser("inspect", help="say what a bundle is, and whether every file is what it should be")
    inspect.add_argument("folder", type=Path, metavar="DIR")
    inspect.add_argument("--json", action="store_true", help="machine-readable")
    inspect.set_defaults(action=_inspect)

    export = commands.add_parser("export", help="make a bundle of a checkpoint; needs the extra `export`")
    export.add_argument("source", metavar="SOURCE", help="folder of a checkpoint, or OWNER/NAME on the hub")
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="the bundle's folder")
    export.add_argument("--replace", action="store_true", help="replace a bundle that is there")
    export.add_argument("--revision", default="", metavar="COMMIT", help="of the hub's model")
    export.add_argument("--kind", type=Kind, choices=tuple(Kind), metavar="KIND", help=f"one of {', '.join(Kind)}")
    export.add_argument("--dtype", type=Dtype, choices=tuple(Dtype), default=Dtype.FLOAT32, help="of the weights")
    export.add_argument("--labels", type=_names, default=(), metavar="A,B,C", help="in the order of the outputs")
    export.add_argument("--max-tokens", type=int, default=0, metavar="N", help="most that one run takes")
    export.add_argument("--window", type=_window, metavar="TOKENS:STRIDE", help="how longer texts are read")
    export.add_argument("--prompt", default="", metavar="NAME", help="prompt format the model was trained with")
    export.add_argument("--embedding", default="", metavar="NAME", help="model whose vectors the tensors expect")
    export.add_argument("--licence", default="", metavar="NAME", help="where the model card states none")
    export.add_argument(
        "--min-agreement",
        type=_share,
        default=DEFAULT_BOUND,
        metavar="SHARE",
        help=f"of texts that int8 has to answer as float32 does (default {DEFAULT_BOUND})",
    )
    export.add_argument("--texts", type=Path, metavar="FILE", help="texts to measure that on, one in a line")
    export.add_argument("--quiet", action="store_true", help="say nothing while it works")
    export.set_defaults(action=_export)

    fetch = commands.add_parser("fetch", help="download a bundle's archive, check its hash, unpack and inspect it")
    fetch.add_argument("url", metavar="URL", help="tar archive of one bundle; plain, gzip, bzip2 or xz")
    fetch.add_argument("--sha256", required=True, metavar="DIGITS", help="of the archive")
    fetch.add_argument("--out", type=Path, required=True, metavar="DIR", help="the bundle's folder; replaced")
    fetch.add_argument("--quiet", action="store_true", help="say nothing while it works")
    fetch.set_defaults(action=_fetch)

    bench = commands.add_parser("bench", help="measure a bundle here: latency by length, requests a second, memory")
    bench.add_argument("folder", type=Path, metavar="DIR")
    bench.add_argument("--lengths", type=_counts, default=(), metavar="N,M", help="of prompts, in tokens")
    bench.add_argument("--threads", type=_counts, default=(1,), metavar="N,M", help="of one run (default 1)")
    bench.add_argument("--processes", type=_counts, default=(1,), metavar="N,M", help="whose memory (default 1)")
    bench.add_argument("--seconds", type=float, default=2.0, metavar="S", help="for each figure (default 2)")
    bench.add_argument("--json", action="store_true", help="machine-readable")
    bench.add_argument("--quiet", action="store_true", help="say nothing while it works")
    bench.set_defaults(action=_bench)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand. Returns the exit status; raises BundleError."""
    status: int = options.action(options)
    return status


def _inspect(options: argparse.Namespace) -> int:
    from signalbox.bundles.describe import describe

    description = describe(options.folder)
    print(json.dumps(description.as_json(), indent=2) if options.json else description.text)
    return description.exit_status


def _export(options: argparse.Namespace) -> int:
    from signalbox.bundles.export.run import export
    from signalbox.bundles.progress import Progress

    request = Request(
        source=options.source,
        out=options.out,
        revision=options.revision,
        kind=options.kind,
        dtype=options.dtype,
        labels=options.labels,
        max_tokens=options.max_tokens,
        window=options.window,
        prompt=options.prompt,
        embedding=options.embedding,
        licence=options.licence,
        bound=options.min_agreement,
        texts=options.texts,
        replace=options.replace,
    )
    export(request, Progress(None if options.quiet else sys.stderr))
    print(options.out)
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from signalbox.bundles.fetch import fetch
    from signalbox.bundles.progress import Progress

    fetched = fetch(options.url, options.sha256, options.out, Progress(None if options.quiet else sys.stderr))
    print(f"{options.out}: {'fetched' if fetched else 'there already'}")
    return 0


def _bench(options: argparse.Namespace) -> int:
    from signalbox.bundles.bench import bench
    from signalbox.bundles.progress import Progress

    report = bench(
        options.folder,
        Progress(None if options.quiet else sys.stderr),
        lengths=options.lengths,
        threads=options.threads,
        processes=options.processes,
        seconds=options.seconds,
    )
    print(json.dumps(report.as_json(), indent=2) if options.json else report.text)
    return 0


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(each) for each in text.split(","))
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"expected numbers of 1 or more, found {text}")
    return counts


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"expected more than 0 and at most 1, found {text}")
    return share


def _window(text: str) -> Window:
    tokens, colon, stride = text.partition(":")
    if not (colon and tokens.isdecimal() and stride.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected TOKENS:STRIDE, found {text!r}")
    return Window(int(tokens), int(stride))
