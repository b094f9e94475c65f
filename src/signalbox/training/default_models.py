"""`python -m signalbox.training.default_models --data DIR`: the built-in models again, bit for bit.

Floating-point sums depend on the kernels that numpy and its BLAS choose for a processor, and on the number of threads.
This command restarts itself with both fixed, so that any x86-64 machine with AVX2 and the same versions of numpy,
scipy and scikit-learn writes the same bytes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from signalbox.brain.artifact import MODELS, sha256
from signalbox.errors import SetupError, SignalboxError

STAGES = ("encoder", "capability", "tasks", "modality", "privacy")
"""In this order: the others read the encoder's vectors."""

PINNED = {
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "PYTHONHASHSEED": "0",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the stages asked for into the package, or elsewhere, and print what changed."""
    parser = argparse.ArgumentParser(prog="python -m signalbox.training.default_models", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with capability/, intents/, …")
    parser.add_argument("--only", choices=STAGES, action="append", metavar="STAGE", help=f"one of {', '.join(STAGES)}")
    parser.add_argument("--out", type=Path, default=MODELS, metavar="DIR", help="default: the package's own folder")
    chosen = parser.parse_args(arguments)
    if any(os.environ.get(name) != value for name, value in PINNED.items()):
        words = [sys.executable, "-m", "signalbox.training.default_models", *(arguments or sys.argv[1:])]
        os.execve(sys.executable, words, os.environ | PINNED)
    try:
        if not (chosen.data / "intents").is_dir():
            raise SetupError(f"{chosen.data}: found no folder intents/ in it; expected the data folder; see --data")
        chosen.out.mkdir(parents=True, exist_ok=True)
        for stage in [stage for stage in STAGES if chosen.only is None or stage in chosen.only]:
            build(stage, chosen.data, chosen.out)
    except (SignalboxError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def build(stage: str, data: Path, out: Path) -> None:
    """Build one stage beside `out`, then move its files over: a recipe that fails changes nothing."""
    began = time.monotonic()
    recipe = importlib.import_module(f"signalbox.training.recipes.{stage}")
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{stage}-") as beside:
        for path in out.iterdir():  # what the stages before have made
            shutil.copy(path, beside)
        before = {path.name: sha256(path) for path in out.iterdir()}
        recipe.build(data, Path(beside))
        made = sorted(path for path in Path(beside).iterdir() if sha256(path) != before.get(path.name))
        names = [path.name for path in sorted(Path(beside).iterdir()) if path.name.startswith(f"{stage}.")]
        for path in made:
            path.replace(out / path.name)
    print(f"{stage}: {time.monotonic() - began:.0f} s")
    for name in names:
        digest = sha256(out / name)
        word = "new" if name not in before else "same" if before[name] == digest else "changed"
        print(f"  {name:24} {(out / name).stat().st_size:>10,} bytes  {digest}  {word}")


if __name__ == "__main__":
    raise SystemExit(main())
