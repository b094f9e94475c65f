"""How long does counting or encoding tokens take, against tiktoken and tokenizers on the same text?

    pip install tiktoken tokenizers
    python -m benchmarks.tokenize FILE.tiktoken [--pattern cl100k] [--seconds S]

FILE.tiktoken is a byte-pair vocabulary and --pattern the split it belongs to. All use that vocabulary and one thread,
and take turns on the same text, so that a busy machine slows them alike; their ids are compared first. `tokenizers`
builds its merges from the vocabulary, as its converter for such files does. Texts are seeded: sentences of few
words, lines of code and Chinese characters in any order, and one letter over and over, which no word boundary cuts.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.environment import describe
from signalbox.core import PATTERNS, Bpe
from signalbox.core.ranks import parse_ranks

os.environ["TOKENIZERS_PARALLELISM"] = "false"

SIZES = {"1 KB": 1_000, "16 KB": 16_000, "220 KB": 220_000, "1 MB": 1_000_000}
PROSE_WORDS = (
    "the of and to in is that for with as was on are by this be from or which model request latency provider "
    "gateway however therefore measurement understanding infrastructure configuration carefully question answers "
    "people between different important because through another government development unusual Kubernetes tokenizer"
)
PROSE = PROSE_WORDS.split()
CODE = (
    "    return [value for value in values if value is not None]\n",
    "static inline uint32_t load32(const uint8_t *at) {\n",
    "        self.assertEqual(response.status_code, 200)\n",
    "    const total = items.reduce((sum, item) => sum + item.price * item.count, 0);\n",
    'if (err != nil) {\n\t\treturn fmt.Errorf("open %s: %w", path, err)\n\t}\n',
    "SELECT id, name, created_at FROM users WHERE created_at > '2024-01-01' ORDER BY id;\n",
)
CHINESE = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会"
    "可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
)


def make_text(kind: str, size: int, dice: random.Random) -> str:
    """About `size` bytes of UTF-8."""
    out: list[str] = []
    total = 0
    while total < size:
        if kind == "prose":
            words = dice.choices(PROSE, k=dice.randrange(5, 20))
            piece = " ".join(words).capitalize() + dice.choice((". ", "? ", ".\n\n", f" in {dice.randrange(3000)}. "))
        elif kind == "code":
            piece = dice.choice(CODE)
        elif kind == "chinese":
            piece = "".join(dice.choices(CHINESE, k=dice.randrange(6, 25))) + dice.choice("，。？\n")
        else:
            piece = "a" * size
        out.append(piece)
        total += len(piece.encode())
    return "".join(out)


def rivals(ranks: dict[bytes, int], pattern: str) -> dict[str, Callable[[str], list[int]]]:
    """`encode` of each installed library."""
    import tiktoken
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    theirs = tiktoken.Encoding("benchmark", pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={})
    # The characters that byte-level tokenizers write bytes with: printable ones for themselves, the rest from U+0100.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}

    def spell(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = []
    for token in sorted(ranks, key=lambda token: ranks[token]):
        halves = [(token[:i], token[i:]) for i in range(1, len(token))]
        known = [(left, right) for left, right in halves if left in ranks and right in ranks]
        known.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [(spell(left), spell(right)) for left, right in known]
    vocabulary = {spell(token): rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    # Its regular expressions have no possessive repetition after {1,3}.
    split = PATTERNS[pattern].replace("}+", "}")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()

    def tokenizers_encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return ids

    return {"tiktoken": theirs.encode_ordinary, "tokenizers": tokenizers_encode}


def measure(work: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Median microseconds per call, taking turns for `seconds`, at least once each."""
    samples: dict[str, list[float]] = {name: [] for name in work}
    deadline = time.perf_counter() + seconds
    first = True
    while first or time.perf_counter() < deadline:
        first = False
        for name, call in work.items():
            begin = time.perf_counter_ns()
            call()
            samples[name].append((time.perf_counter_ns() - begin) / 1000)
    return {name: statistics.median(taken) for name, taken in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--pattern", choices=list(PATTERNS), default="cl100k")
    parser.add_argument("--seconds", type=float, default=0.5, help="time per text")
    options = parser.parse_args()
    ranks = parse_ranks(options.vocabulary.read_bytes())
    encoder, others = Bpe(ranks, pattern=options.pattern), rivals(ranks, options.pattern)
    print(describe("tiktoken", "tokenizers", "cython"))
    print(f"{len(ranks)} tokens, pattern {options.pattern}")
    print(f"{'text':>8} {'size':>7} {'tokens':>8}  {'work':<12} {'p50 us':>11} {'MB/s':>7} {'this / count':>13}  ids")
    for kind in ("prose", "code", "chinese", "aaaa"):
        for label, size in SIZES.items():
            text = make_text(kind, size, random.Random(1))
            data = text.encode()
            ids = encoder.encode(data).tolist()
            work: dict[str, Callable[[], object]] = {
                "count": lambda data=data: encoder.count(data),  # type: ignore[misc]
                "encode": lambda data=data: encoder.encode(data),  # type: ignore[misc]
            }
            same = {"count": encoder.count(data) == len(ids), "encode": True}
            for name, encode in others.items():
                same[name] = encode(text) == ids
                work[name] = lambda encode=encode, text=text: encode(text)  # type: ignore[misc]
            taken = measure(work, options.seconds)
            for name, microseconds in taken.items():
                print(
                    f"{kind:>8} {label:>7} {len(ids):>8}  {name:<12} {microseconds:>11.1f} "
                    f"{len(data) / microseconds:>7.1f} {microseconds / taken['count']:>12.1f}x  "
                    f"{'same' if same[name] else 'DIFFERENT'}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
