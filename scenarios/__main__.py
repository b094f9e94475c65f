"""Play scenarios, print what was seen, and say whether it was as it should be.

    python -m scenarios [NAME ...] [--plots DIRECTORY]

Exit status 1 when anything was not, and which.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.environment import describe
from scenarios import budget, dies, queue, session, slow
from scenarios.story import Story, table
from signalbox.envoy.binary import find_envoy
from signalbox.errors import SetupError

SCENARIOS: dict[str, Callable[[], Story]] = {
    "slow": slow.play,
    "dies": dies.play,
    "queue": queue.play,
    "session": session.play,
    "budget": budget.play,
}
PROGRAMS = ("prometheus", "redis-server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 all as it should be, 1 something was not, 2 it could not be tried."""
    parser = argparse.ArgumentParser(prog="scenarios", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--plots", type=Path, metavar="DIRECTORY", help="write scenario-NAME.svg here")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in SCENARIOS]:
        parser.error(f"no scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    if problem := _missing():
        print(problem, file=sys.stderr)
        return 2
    if options.plots is not None:
        options.plots.mkdir(parents=True, exist_ok=True)
    print(describe())
    start, broken = time.monotonic(), []
    for name in options.names or SCENARIOS:
        began = time.monotonic()
        story = SCENARIOS[name]()
        story.tell("seconds it took", f"{time.monotonic() - began:.0f}")
        print("\n" + table(name, story.rows), flush=True)
        if options.plots is not None:
            story.draw(options.plots / f"scenario-{name}.svg")
        broken += [f"{name}: {row.what}: {row.found}, wanted {row.wanted}" for row in story.broken]
    print(f"\n{time.monotonic() - start:.0f} seconds in all")
    for line in broken:
        print(f"broken: {line}", file=sys.stderr)
    return 1 if broken else 0


def _missing() -> str | None:
    """What has to be installed first; None when everything is there."""
    try:
        find_envoy()
    except SetupError as problem:
        return str(problem)
    gone = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not on PATH: {', '.join(gone)}\n  fix: apt-get install prometheus redis-server" if gone else None


if __name__ == "__main__":
    sys.exit(main())
