"""Drives the tests of this folder with libFuzzer, which keeps the inputs that reach new branches of the package.

    python -m tests.fuzz [--seconds S] [NAME ...]

A process for each target, for so many seconds. What it found worth keeping stays in build/fuzz/NAME and is where the
next run starts; an input that breaks a law is written beside it, and `python -m tests.fuzz --replay FILE NAME` runs
that one alone. Needs the Python package atheris.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

CORPUS = Path("build/fuzz")
MAX_INPUT_BYTES = 8192
SLOWEST_SECONDS = 20  # of one input; quadratic work on a few kilobytes takes longer under tracing
MAX_RESIDENT_MB = 2048
RANDOM_SEEDS, RANDOM_SEED_BYTES = 32, 2048  # for choices; from nothing, most inputs end before a test has drawn its own


@dataclass(frozen=True)
class Target:
    """A test. seeds: if it takes bytes as they are, where its module keeps the first; else its choices are fuzzed."""

    module: str
    test: str
    seeds: str = ""

    def runner(self) -> Callable[[bytes], bool]:
        """A function of one input that raises if it breaks the law, and says whether it was a case at all."""
        test: Any = getattr(import_module(f"tests.fuzz.{self.module}"), self.test)
        if self.seeds:
            return lambda data: test.hypothesis.inner_test(data) is None
        return lambda data: test.hypothesis.fuzz_one_input(data) is not None

    def first_inputs(self) -> list[bytes]:
        if self.seeds:
            return list(getattr(import_module(f"tests.fuzz.{self.module}"), self.seeds))
        return [random.Random(number).randbytes(RANDOM_SEED_BYTES) for number in range(RANDOM_SEEDS)]


TARGETS = {
    "trim": Target("test_trim", "test_any_body_is_trimmed_within_the_budget_and_a_second_time_to_the_same"),
    "harness": Target("test_trim", "test_harness_text_goes_from_any_bytes_and_none_is_left", "HARNESS_SEEDS"),
    "requests": Target("test_tokens", "test_any_request_is_counted_and_every_shortcut_gives_the_answer_of_the_count"),
    "texts": Target("test_tokens", "test_any_text_is_counted_within_its_bounds"),
    "vocabularies": Target(
        "test_tokens", "test_a_vocabulary_is_refused_with_a_reason_or_counts_any_text_within_its_bounds"
    ),
    "envelopes": Target("test_edge", "test_any_bytes_are_answered_and_the_next_message_too", "SEEDS"),
    "bodies": Target("test_edge", "test_any_body_is_decided_or_refused_and_never_a_fault"),
    "answers": Target("test_preference", "test_any_answer_is_read_and_only_known_routes_come_out"),
    "completions": Target("test_preference", "test_any_completion_is_an_outcome_with_shares_that_sum_to_one"),
    "log": Target("test_collector", "test_any_message_is_read_or_skipped", "SEEDS"),
    "metadata": Target("test_collector", "test_metadata_of_any_shape_is_read_and_none_of_its_text_is_logged"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=10, help="time per target (default: %(default)s)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input, untraced, under one target")
    parser.add_argument("--drive", action="store_true", help=argparse.SUPPRESS)  # this process is the one that fuzzes
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)} (default: all)")
    options = parser.parse_args()
    names: list[str] = options.names or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"unknown target {unknown[0]!r}; known: {', '.join(TARGETS)}")
    if options.replay:
        TARGETS[names[0]].runner()(options.replay.read_bytes())
        return 0
    try:
        import atheris  # noqa: F401
    except ImportError:
        parser.error("the Python package atheris is missing; fix: pip install atheris")
    if options.drive:
        drive(names[0], options.seconds)
    return max([watch(name, options.seconds) for name in names])


def watch(name: str, seconds: int) -> int:
    """Run one target in a process of its own and say in a line what came of it; 1 if a law was broken."""
    command = [sys.executable, "-m", "tests.fuzz", "--drive", "--seconds", str(seconds), name]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = done.stdout.decode(errors="replace")
    cases = re.search(r"^(\d+) cases of (\d+) inputs$", output, re.MULTILINE)
    reached = re.findall(r"cov: (\d+) ft: \d+ corp: (\d+)", output)
    if done.returncode == 0 and cases and reached and int(cases[1]):
        branches, kept = reached[-1]
        print(f"{name}: {cases[0]} in {seconds} s, {branches} branches, {kept} inputs kept", flush=True)
        return 0
    print(output[-8000:])
    print(f"{name}: failed; what broke it is in {CORPUS / name}.broken-*, if it was an input", flush=True)
    return 1


def drive(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    target = TARGETS[name]
    with atheris.instrument_imports(include=["signalbox"]):
        run = target.runner()
    for number, data in enumerate(target.first_inputs()):
        (corpus / f"first-{number}").write_bytes(data)
    inputs = cases = 0
    end = time.monotonic() + seconds

    def one(data: bytes) -> None:
        nonlocal inputs, cases
        inputs += 1
        cases += run(data)
        if time.monotonic() > end:  # libFuzzer ends the process itself, and knows only how many inputs there were
            print(f"{cases} cases of {inputs} inputs", flush=True)
            os._exit(0)

    limits = {
        "max_len": MAX_INPUT_BYTES,
        "len_control": 0,
        "timeout": SLOWEST_SECONDS,
        "rss_limit_mb": MAX_RESIDENT_MB,
        "artifact_prefix": f"{corpus}.broken-",
    }
    atheris.Setup([sys.argv[0], *(f"-{key}={value}" for key, value in limits.items()), str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
