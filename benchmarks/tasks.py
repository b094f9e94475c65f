"""How long does it take to match a conversation with described tasks, against plain cosine with numpy?

    python -m benchmarks.tasks [--seconds S]

Both take turns on the same texts, embedding included. Plain cosine is one embedding and one product with a vector for
each task; the matcher also looks at the parts of descriptions, at the turns before, and says when it is none of them.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

from benchmarks.environment import describe
from signalbox.brain.encoder import Encoder
from signalbox.brain.tasks import TaskMatcher, Turn
from signalbox.engines.base import Route

SUBJECTS = ("cooking", "train tickets", "music", "bank accounts", "computer programs", "gardens", "letters", "taxes")
THINGS = (
    "prices",
    "plans",
    "questions",
    "errors",
    "opening times",
    "orders",
    "reviews",
    "summaries",
    "changes",
    "lists",
)
CASES = ((4, 1, 17), (10, 1, 17), (10, 1, 170), (10, 4, 17), (10, 8, 17), (50, 1, 17), (200, 1, 17))
Work = Callable[[], object]


def tasks(count: int) -> list[Route]:
    """Tasks of five listed things each, a hundred bytes of description."""
    dice = random.Random(count)
    return [
        Route(
            f"task-{number}",
            f"{dice.choice(SUBJECTS)}: {', '.join(dice.sample(THINGS, 4))} and {dice.choice(SUBJECTS)}",
        )
        for number in range(count)
    ]


def text(words: int, dice: random.Random) -> bytes:
    known = [word for line in (*SUBJECTS, *THINGS) for word in line.split()] + [
        "please",
        "what",
        "is",
        "the",
        "of",
        "my",
    ]
    return " ".join(dice.choices(known, k=words)).encode()


def measure(works: dict[str, Work], seconds: float) -> dict[str, float]:
    """Median microseconds of each; they take turns."""
    samples: dict[str, list[float]] = {name: [] for name in works}
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or not all(samples.values()):
        for name, work in works.items():
            begin = time.perf_counter_ns()
            for _ in range(8):
                work()
            samples[name].append((time.perf_counter_ns() - begin) / 8000)
    return {name: statistics.median(taken) for name, taken in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="time per line")
    options = parser.parse_args()
    encoder = Encoder.load()
    matcher = TaskMatcher.load(encoder=encoder)
    print(describe("numpy", "cython"))
    print(
        f"{'tasks':>6} {'turns':>6} {'words':>6} {'prepare ms':>11} {'match us':>9} {'cosine us':>10} "
        f"{'match / cosine':>15}"
    )
    for count, turns, words in CASES:
        dice = random.Random(words)
        routes = tasks(count)
        begin = time.perf_counter()
        prepared = matcher.prepare(routes)
        prepare = (time.perf_counter() - begin) * 1e3
        said = [Turn("user", text(words, dice)) for _ in range(turns)]
        described = encoder.vectors([route.description.encode() for route in routes])

        def match(prepared: object = prepared, said: list[Turn] = said) -> object:
            return matcher.match(prepared, said)  # type: ignore[arg-type]

        def cosine(described: object = described, last: bytes = said[-1].text) -> object:
            return int((described @ encoder.vector(last)).argmax())  # type: ignore[operator]

        took = measure({"match": match, "cosine": cosine}, options.seconds)
        print(
            f"{count:>6} {turns:>6} {words:>6} {prepare:>11.1f} {took['match']:>9.1f} {took['cosine']:>10.1f} "
            f"{took['match'] / took['cosine']:>15.1f}"
        )


if __name__ == "__main__":
    main()
