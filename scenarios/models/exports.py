"""Checkpoints to bundles with the commands an operator types: `models export`, `models inspect`, `models bench`."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.models.checkpoints import CHECKPOINTS

BENCH_TOKENS = "64"
BENCH_SECONDS = "0.1"


class DemoError(Exception):
    """A command of the demonstration failed where it must not; its own words are the text."""


@dataclass(frozen=True)
class Exported:
    """One bundle, and what the commands said. p50_ms: of a run of 64 tokens, or of one product for tensors."""

    name: str
    bundle: Path
    export_seconds: float
    inspected: dict[str, Any]
    p50_ms: float

    @property
    def kilobytes(self) -> float:
        return float(sum(self.inspected["bytes"].values())) / 1000


def export_all(export_python: Path, python: Path, folder: Path) -> Iterator[Exported]:
    """Make every checkpoint, and yield each of them as a bundle. Raises DemoError.

    export_python: of an environment with the extra `export`. python: of one without it, as where bundles are served.
    """
    sources = folder / "checkpoints"
    sources.mkdir()
    called([export_python, "-m", "scenarios.models.checkpoints", sources])
    for name, checkpoint in CHECKPOINTS.items():
        out = folder / "bundles" / name
        began = time.monotonic()
        words: list[str | Path] = ["models", "export", sources / checkpoint.folder, "--out", out, "--quiet"]
        called([export_python, "-m", "signalbox", *words, "--licence", "none: random weights"])
        seconds = time.monotonic() - began
        inspected = json.loads(called([python, "-m", "signalbox", "models", "inspect", out, "--json"]))
        bench: list[str | Path] = ["models", "bench", out, "--json", "--quiet", "--seconds", BENCH_SECONDS]
        if inspected["graph"] is not None:
            bench += ["--lengths", BENCH_TOKENS]
        measured = json.loads(called([python, "-m", "signalbox", *bench]))
        yield Exported(name, out, seconds, inspected, measured["latency"]["1"][0]["p50_ms"])


def called(words: Sequence[str | Path]) -> str:
    """Return what a command prints. Raises DemoError with what it said instead when it fails."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).splitlines()[-20:])
        raise DemoError(f"{' '.join(map(str, words))}: status {done.returncode}\n{said}")
    return done.stdout
