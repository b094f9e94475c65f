"""`signalbox models`: its words, and the functions they lead to."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `signalbox models` its subcommands; each sets `action`, which `run` calls."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    inspect = commands.add_parser("inspect", help="say what a bundle is, and whether every file is what it should be")
    inspect.add_argument("folder", type=Path, metavar="DIR")
    inspect.add_argument("--json", action="store_true", help="machine-readable")
    inspect.set_defaults(action=_inspect)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand. Returns the exit status; raises BundleError."""
    status: int = options.action(options)
    return status


def _inspect(options: argparse.Namespace) -> int:
    from signalbox.bundles.describe import describe

    description = describe(options.folder)
    print(json.dumps(description.as_json(), indent=2) if options.json else description.text)
    return description.exit_status
