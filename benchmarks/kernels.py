"""How long do the scoring kernels take, against the same arithmetic in numpy?

    python -m benchmarks.kernels [--seconds S]

Both take turns on the same seeded arrays, so that a busy machine slows them alike. numpy runs with the threads its
BLAS chooses; the kernels use one. The table has 30,000 rows of 384 values, and ids change on every call, so rows
come from the last cache level rather than the first.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.environment import describe
from signalbox import core

ROWS, DIMS = 30_000, 384
CALLS = 20
Work = Callable[[], object]


def pooling(folder: Path, dice: np.random.Generator) -> Iterator[tuple[str, Work, Work]]:
    small = dice.integers(-127, 128, (ROWS, DIMS), dtype=np.int8)
    scales = (dice.random(ROWS, dtype=np.float32) + 1) / 100
    large = small * scales[:, None]
    core.write_table(folder / "f32", large)
    core.write_table(folder / "i8", small, scales)
    tables = {kind: core.EmbeddingTable.open(folder / kind) for kind in ("f32", "i8")}
    for count in (60, 512, 4096):
        for kind, table in tables.items():
            texts = itertools.cycle([dice.integers(0, ROWS, count, dtype=np.int32) for _ in range(16)])

            def ours(table: core.EmbeddingTable = table, texts: Iterator[np.ndarray] = texts) -> object:
                return table.pool(next(texts))

            def numpy(kind: str = kind, texts: Iterator[np.ndarray] = texts, count: int = count) -> object:
                ids = next(texts)
                return large[ids].mean(axis=0) if kind == "f32" else scales[ids] @ small[ids] / count

            yield f"pool {count} ids, {kind}, {DIMS} dims", ours, numpy


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def scoring(dice: np.random.Generator) -> Iterator[tuple[str, Work, Work]]:
    tasks, models = (dice.standard_normal(shape, dtype=np.float32) for shape in ((32, DIMS), (64, 1536)))
    v, e, logits, scores = (dice.standard_normal(n, dtype=np.float32) / 30 for n in (DIMS, 1536, 32, 200))
    pair = models[0] - models[1]
    yield "dots 32 x 384", lambda: core.dots(tasks, v), lambda: tasks @ v
    yield (
        "cosines 32 x 384",
        lambda: core.cosines(tasks, v),
        lambda: tasks @ v / (np.linalg.norm(tasks, axis=1) * np.linalg.norm(v)),
    )
    yield "normalize 384", lambda: core.normalize(v), lambda: v / np.linalg.norm(v)
    yield "factorisation, pair, 1536", lambda: core.win_rate(pair, e), lambda: 1 / (1 + np.exp(-float(pair @ e)))
    yield "factorisation, 64 models, 1536", lambda: core.dots(models, e), lambda: models @ e
    yield "softmax 32", lambda: core.softmax(logits), lambda: softmax(logits)
    yield "top 5 of 200", lambda: core.topk(scores, 5), lambda: np.argsort(-scores, kind="stable")[:5]


def measure(ours: Work, numpy: Work, seconds: float) -> tuple[float, float]:
    """Median microseconds per call of each."""
    samples: tuple[list[float], list[float]] = ([], [])
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or not samples[0]:
        for work, taken in zip((ours, numpy), samples, strict=True):
            begin = time.perf_counter_ns()
            for _ in range(CALLS):
                work()
            taken.append((time.perf_counter_ns() - begin) / CALLS / 1000)
    return statistics.median(samples[0]), statistics.median(samples[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="time per line")
    options = parser.parse_args()
    dice = np.random.default_rng(1)
    print(describe("numpy", "cython"))
    print(f"{'work':<32} {'ours p50 us':>12} {'numpy p50 us':>13} {'numpy / ours':>13}")
    with tempfile.TemporaryDirectory() as folder:
        for name, ours, numpy in itertools.chain(pooling(Path(folder), dice), scoring(dice)):
            mine, theirs = measure(ours, numpy, options.seconds)
            print(f"{name:<32} {mine:>12.2f} {theirs:>13.2f} {theirs / mine:>12.1f}x")


if __name__ == "__main__":
    main()
