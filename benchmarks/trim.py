"""How long does trimming a conversation take, against encoding all of it to know where to cut?

    python -m benchmarks.trim [--seconds S] [--tokenizer FILE]

"encoded" is how many times the bytes of the finished prompt went through the tokenizer, in so many calls.

The rival encodes each message and keeps the newest that fit: what a router does that cuts in token space without
windows. Both use the same tokenizer and take turns on the same bodies; the scan is timed with neither. The tokenizer is
that of a file, or there are three, learned from this repository's documents: byte-level BPE through `tokenizers`, and a
WordPiece like BERT's in the compiled core and, for comparison, through `tokenizers` ("library").
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks.environment import describe
from benchmarks.scanner import SENTENCES
from benchmarks.vocabularies import learn_bpe, learn_wordpiece
from signalbox.core import Scan, scan, wordpiece_of
from signalbox.trim import Encoder, Frame, HuggingFaceEncoder, Trimmer, WordPieceEncoder, open_encoder

SIZES = {"1 KB": 1000, "16 KB": 16_000, "220 KB": 220_000, "1 MB": 1_000_000}
BUDGETS = (256, 512, 2048)
FRAME = Frame(before=b"Choose the route that fits the conversation.\n\n", after=b"\n\nRoute:")
SHAPES = {"10 turns": 10, "200 turns": 200, "one turn": 1}


@dataclass
class Counting:
    """An encoder that knows what it was asked to do."""

    encoder: Encoder
    calls: int = 0
    size_bytes: int = 0

    def count(self, text: bytes) -> int:
        self._note(text)
        return self.encoder.count(text)

    def ends(self, text: bytes) -> Sequence[int]:
        self._note(text)
        return self.encoder.ends(text)

    def _note(self, text: bytes) -> None:
        self.calls += 1
        self.size_bytes += len(text)


def learned_encoders() -> dict[str, Encoder]:
    wordpiece = learn_wordpiece()
    compiled = wordpiece_of(json.loads(wordpiece))
    assert compiled is not None
    return {
        "BPE": HuggingFaceEncoder(learn_bpe()),
        "WordPiece": WordPieceEncoder(compiled),
        "library": HuggingFaceEncoder(wordpiece),
    }


def conversation(size: int, turns: int, dice: random.Random) -> Scan:
    """A chat of about `size` bytes with a reminder from a harness in every tenth turn."""
    messages = []
    for number in range(turns):
        text = "<system-reminder>\nThe date is today.\n</system-reminder>\n" if number % 10 == 0 else ""
        while len(text) < size // turns:
            text += dice.choice(SENTENCES)
        messages.append({"role": "assistant" if number % 2 else "user", "content": text})
    return scan(json.dumps({"model": "auto", "messages": messages}, ensure_ascii=False).encode())


def encode_everything(request: Scan, encoder: Encoder, budget: int) -> list[bytes]:
    kept: list[bytes] = []
    left = budget
    for passage in reversed(request.passages):
        text = request.passage_text(passage.first, passage.end)
        ends = encoder.ends(text)
        if left > 0:
            kept.append(text if len(ends) <= left else text[: ends[left - 1]])
        left -= len(ends)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="time per line")
    parser.add_argument("--tokenizer", type=Path, metavar="FILE", help="a tokenizer.json")
    options = parser.parse_args()
    encoders = {"given": open_encoder(options.tokenizer)} if options.tokenizer else learned_encoders()
    print(describe("tokenizers"))
    print(
        f"{'tokenizer':>10} {'body':>7} {'shape':>10} {'budget':>7} {'used':>7} {'encoded':>8} {'calls':>6} "
        f"{'trim ms':>9} {'one count ms':>13} {'encode all ms':>14} {'ratio':>7}"
    )
    for (name, encoder), (label, size), (shape, turns) in product(encoders.items(), SIZES.items(), SHAPES.items()):
        if size < 200 * turns:
            continue  # turns of a sentence or more
        request = conversation(size, turns, random.Random(1))
        for budget in BUDGETS:
            print(f"{name:>10} {label:>7} {shape:>10} {row(request, encoder, budget, options.seconds)}", flush=True)


def row(request: Scan, encoder: Encoder, budget: int, seconds: float) -> str:
    trimmer = Trimmer(encoder, budget, FRAME)
    trimmed = trimmer.trim(request)
    counting = Counting(encoder)
    counted = Trimmer(counting, budget, FRAME)
    counting.calls = counting.size_bytes = 0
    counted.trim(request)
    work: dict[str, Callable[[], object]] = {
        "trim": partial(trimmer.trim, request),
        "count": partial(encoder.count, trimmed.prompt),
        "all": partial(encode_everything, request, encoder, budget),
    }
    samples: dict[str, list[float]] = {name: [] for name in work}
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or not samples["all"]:
        for name, call in work.items():
            begin = time.perf_counter_ns()
            call()
            samples[name].append((time.perf_counter_ns() - begin) / 1e6)
    p50 = {name: statistics.median(taken) for name, taken in samples.items()}
    return (
        f"{budget:>7} {trimmed.tokens / budget:>7.1%} "
        f"{counting.size_bytes / len(trimmed.prompt):>7.1f}x {counting.calls:>6} {p50['trim']:>9.2f} "
        f"{p50['count']:>13.3f} {p50['all']:>14.1f} {p50['all'] / p50['trim']:>6.1f}x"
    )


if __name__ == "__main__":
    main()
