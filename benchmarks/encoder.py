"""How long does the built-in encoder take for a text's vector, against `tokenizers` and numpy on the same table?

    python -m benchmarks.encoder [--seconds S]

Both take turns on the same 32 texts of seeded words, all of them each turn, so that a busy machine slows them alike and
rows come from the caches as they do where requests keep coming. numpy has the rows as float32, which is
faster than int8 there. The encoder reads at most 8 KB of a text; the lines of longer ones say what that saves.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tokenizers import BertWordPieceTokenizer

from benchmarks.environment import describe
from signalbox.brain.artifact import MODELS
from signalbox.brain.encoder import MOST_BYTES, Encoder
from signalbox.core import EmbeddingTable, wordpiece_of_list

WORDS = (20, 100, 170, 1000)  # 170 words are some 1,000 bytes
LONG_BYTES = 220_000
Work = Callable[[], object]


def texts(vocabulary: list[str], words: int) -> list[bytes]:
    """Prose: words that BERT knows whole, the frequent ones more often, and commas."""
    dice = random.Random(words)
    known = [token for token in vocabulary[1996:12000] if token.isascii() and token.isalpha()]
    weights = [1 / rank for rank in range(5, 5 + len(known))]
    return [
        " ".join(word + "," * (dice.random() < 0.1) for word in dice.choices(known, weights, k=words)).encode()
        for _ in range(32)
    ]


def measure(works: dict[str, Work], calls: int, seconds: float) -> dict[str, float]:
    """Median microseconds of each; they take turns of so many calls."""
    samples: dict[str, list[float]] = {name: [] for name in works}
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or not all(samples.values()):
        for name, work in works.items():
            begin = time.perf_counter_ns()
            for _ in range(calls):
                work()
            samples[name].append((time.perf_counter_ns() - begin) / calls / 1000)
    return {name: statistics.median(taken) for name, taken in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="time per line")
    options = parser.parse_args()
    encoder = Encoder.load()
    vocabulary = (MODELS / "encoder.vocab").read_bytes()
    tokenizer = wordpiece_of_list(vocabulary, lowercase=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.txt").write_bytes(vocabulary)
        library = BertWordPieceTokenizer(str(Path(folder) / "vocab.txt"))
    table = EmbeddingTable.open(MODELS / "encoder.table")
    rows, _ = table.pool_batch(np.arange(table.rows, dtype=np.int32), np.arange(table.rows + 1, dtype=np.int64))

    def in_numpy(text: bytes) -> object:
        total = rows[library.encode(text.decode(), add_special_tokens=False).ids].sum(axis=0)
        return total / np.linalg.norm(total)

    print(describe("numpy", "tokenizers", "cython"))
    print(f"{table.rows:,} rows of {table.dims} int8 values")
    print(
        f"{'text':>24} {'tokens':>7} {'ours us':>9} {'of it tokens us':>16} {'library us':>11} {'library / ours':>15}"
    )
    cases = [(f"{words} words", texts(vocabulary.decode().split("\n"), words)) for words in WORDS]
    prose = cases[-1][1]
    long = [(b" ".join(prose[at:] + prose[:at]) * 2)[:LONG_BYTES] for at in range(8)]
    cases.append((f"{LONG_BYTES // 1000} KB, trimmed to {MOST_BYTES // 1024}", long))
    for name, some in cases:
        turns = [itertools.cycle(some) for _ in range(3)]
        works: dict[str, Work] = {
            "ours": lambda turn=turns[0]: encoder.vector(next(turn)),
            "tokens": lambda turn=turns[1]: tokenizer.count(next(turn)[:MOST_BYTES]),
            "library": lambda turn=turns[2]: in_numpy(next(turn)),
        }
        spent = measure(works, len(some), options.seconds)
        tokens = statistics.mean(tokenizer.count(text) for text in some)
        print(
            f"{name:>24} {tokens:>7.0f} {spent['ours']:>9.1f} {spent['tokens']:>16.1f} {spent['library']:>11.1f}"
            f" {spent['library'] / spent['ours']:>14.1f}x"
        )


if __name__ == "__main__":
    main()
