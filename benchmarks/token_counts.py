"""How long does counting or encoding tokens take, against tiktoken and tokenizers on the same text?

    python -m benchmarks.token_counts [FILE.tiktoken] [--pattern P] [--bert FILE] [--learned] [--seconds S] [--plot DIR]

The vocabularies are those that `make vocabularies` installs: cl100k (or o200k: --pattern o200k), and MiniLM's, which is
BERT's. Or files of yours: a byte-pair vocabulary with the pattern it belongs to, and a WordPiece tokenizer.json. Or,
with --learned, small ones made of this repository's documents. `tokenizers` builds its merges from the byte-pair
vocabulary, as its converter for such files does. All work in one thread and take turns on the same text, so that a busy
machine slows them alike; results are compared first, and a difference ends the run.

Texts are seeded: sentences of few words, this repository's documents from their beginning on, lines of code and Chinese
characters in any order, and one letter over and over, which no word boundary cuts. "cached" is a count of a text that
was counted before, "bounds" what it costs to know the most tokens that a text of this size can have. With --plot the
prose is drawn as time against size.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.environment import describe
from benchmarks.plotting import draw
from benchmarks.vocabularies import (
    CHINESE,
    CODE,
    PROSE_WORDS,
    byte_letters,
    documents,
    learn_ranks,
    learn_wordpiece,
    published,
)
from signalbox.core import PATTERNS, Bpe, WordPiece, wordpiece_of
from signalbox.core.ranks import parse_ranks
from signalbox.tokens.counter import CountCache
from signalbox.tokens.tokenizer import CompiledTokenizer

os.environ["TOKENIZERS_PARALLELISM"] = "false"

Work = dict[str, Callable[[], object]]
SIZES = {"1 KB": 1_000, "16 KB": 16_000, "220 KB": 220_000, "1 MB": 1_000_000}
PROSE = PROSE_WORDS.split()


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
        elif kind == "documents":
            piece = "\n".join(documents())[: size - total]
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
    letters = byte_letters()

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


def wordpiece_pair(tokenizer_json: str) -> tuple[WordPiece, Callable[[str], list[int]]]:
    """The compiled encoder and the library's, of one tokenizer.json."""
    from tokenizers import Tokenizer

    compiled = wordpiece_of(json.loads(tokenizer_json))
    if compiled is None:
        raise SystemExit("--bert: not a tokenizer.json with a WordPiece that the compiled core reads")
    library = Tokenizer.from_str(tokenizer_json)
    library.no_truncation()
    library.no_padding()

    def encode(text: str) -> list[int]:
        ids: list[int] = library.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return ids

    return compiled, encode


def measure(work: Work, seconds: float) -> dict[str, float]:
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


def byte_pair_work(encoder: Bpe, others: Mapping[str, Callable[[str], list[int]]], text: str) -> tuple[Work, int]:
    """What is to be timed on a text, and its tokens, after a look at whether all agree."""
    data, bounded = text.encode(), CompiledTokenizer(encoder)
    cache = CountCache(bounded)
    ids = encoder.encode(data).tolist()
    agree({"count": encoder.count(data), "cached": cache.count(data)}, len(ids))
    agree({name: encode(text) for name, encode in others.items()}, ids)
    if bounded.bounds.upper(len(data)) < len(ids):
        raise SystemExit(f"{len(ids)} tokens are more than their bound")
    work: Work = {
        "count": partial(encoder.count, data),
        "encode": partial(encoder.encode, data),
        "cached": partial(cache.count, data),
        "bounds": partial(bounded.bounds.upper, len(data)),
    }
    return work | {name: partial(encode, text) for name, encode in others.items()}, len(ids)


def wordpiece_work(encoder: WordPiece, library: Callable[[str], list[int]], text: str) -> tuple[Work, int]:
    data = text.encode()
    ids = encoder.encode(data).tolist()
    agree({"count": encoder.count(data)}, len(ids))
    agree({"tokenizers": library(text)}, ids)
    work: Work = {
        "count": partial(encoder.count, data),
        "encode": partial(encoder.encode, data),
        "tokenizers": partial(library, text),
    }
    return work, len(ids)


def agree(found: Mapping[str, object], expected: object) -> None:
    if wrong := [name for name, value in found.items() if value != expected]:
        raise SystemExit(f"different tokens: {', '.join(wrong)}; there is nothing to compare")


def table(
    make: Callable[[str], tuple[Work, int]], rivals: Sequence[str], seconds: float
) -> dict[int, dict[str, float]]:
    """Print a row for each text. Returns the microseconds of prose, to be drawn."""
    drawn: dict[int, dict[str, float]] = {}
    for kind in ("prose", "documents", "code", "chinese", "aaaa"):
        for label, size in SIZES.items():
            text = make_text(kind, size, random.Random(1))
            work, tokens = make(text)
            if not drawn:
                head = ["text", "size", "tokens", *work, *(f"{name} / count" for name in rivals)]
                print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
            taken = measure(work, seconds)
            cells = [f"{tokens:,}", *(f"{microseconds:,.1f}" for microseconds in taken.values())]
            ratios = [f"{taken[name] / taken['count']:.1f}" for name in rivals]
            print(f"| {' | '.join([kind, label, *cells, *ratios])} |", flush=True)
            if kind == "prose":
                drawn[len(text.encode())] = {name: taken[name] for name in taken if name != "encode"}
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("vocabulary", type=Path, nargs="?", help="a byte-pair vocabulary in tiktoken's format")
    parser.add_argument("--pattern", choices=list(PATTERNS), default="cl100k", help="the split it belongs to")
    parser.add_argument("--bert", type=Path, metavar="FILE", help="a WordPiece tokenizer.json")
    parser.add_argument("--learned", action="store_true", help="small vocabularies where no file is named")
    parser.add_argument("--seconds", type=float, default=0.5, help="time per text")
    parser.add_argument("--plot", type=Path, metavar="DIRECTORY", help="draw tokens.svg here")
    options = parser.parse_args()
    learned: bool = options.learned
    try:
        file = options.vocabulary or (None if learned else published(options.pattern))
        ranks = parse_ranks(file.read_bytes()) if file else learn_ranks()
        encoder, others = Bpe(ranks, pattern=options.pattern), rivals(ranks, options.pattern)
        file = options.bert or (None if learned else published("bert"))
        wordpiece, library = wordpiece_pair(file.read_text() if file else learn_wordpiece())
    except ImportError as problem:
        raise SystemExit(f"{problem}\nfix: pip install tiktoken tokenizers") from problem
    except (OSError, ValueError) as problem:
        raise SystemExit(f"{file}: {problem}") from problem
    print(describe("tiktoken", "tokenizers", "cython"))
    print(f"\nByte pairs: {len(ranks):,} tokens, pattern {options.pattern}; median microseconds")
    pairs = table(partial(byte_pair_work, encoder, others), list(others), options.seconds)
    print(f"\nWordPiece: {len(wordpiece):,} tokens; median microseconds")
    words = table(partial(wordpiece_work, wordpiece, library), ["tokenizers"], options.seconds)
    if options.plot is not None:
        sides = {"Tokens of prose, byte pairs": pairs, "Tokens of prose, WordPiece": words}
        print(f"\n{draw(options.plot / 'tokens.svg', sides, size_of='text')}")


if __name__ == "__main__":
    main()
