"""How long does reading a body take, against json.loads and orjson.loads of the same bytes?

    python -m benchmarks.scanner [--seconds S]

The scan alone; all that a request may ask of it (the last user turn, its surface counts, edits); and the
parsers, which build every value but answer none of those questions. They take turns on the same body, so
that a busy machine slows them alike. Bodies are chats with code and prose, escapes and some non-ASCII
text, from a fixed seed.

Then the surface counts by themselves, which read the last user turn byte by byte, of one long turn in
different scripts. A body all in one turn is the slowest they get.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable

import orjson

from benchmarks.environment import describe
from signalbox import core

SIZES = {"1 KB": 1_000, "16 KB": 16_000, "220 KB": 220_000, "1 MB": 1_000_000}
LEXICON = core.Lexicon({"prove": core.HARD, "refactor": core.HARD, "not": core.NEGATION, "unless": core.NEGATION})
OURS = frozenset({"models", "provider"})
SENTENCES = (
    "Please refactor this function so that it does not allocate.\n",
    "def solve(values):\n    return {key: value for key, value in values}\n",
    'The log says "connection reset by peer" after 30 seconds.\n',
    "Größe und Länge sind naïve Beispiele – nicht mehr.\n",
    "Prove that the sum of two even numbers is even, unless it is obvious.\n",
)

TURNS = {
    "English": "Compare both plans, and say why it doesn't fit 12 of the regions before the review. ",
    "escaped": 'The log says\n"connection reset",\n\tthen "retry" and "closed by peer".\n',
    "French": "Où étaient passés les élèves après la fête à l'école, déjà fermée ? ",
    "Russian": "Почему сервер перестал отвечать после обновления, и что теперь делать? ",
    "Chinese": "请比较这两种方案的优点和缺点，并说明理由。",
    "Japanese": "この二つのやり方のちがいと、それぞれの理由をせつめいしてください。",
}


def make_body(size: int, dice: random.Random) -> bytes:
    """A chat of about `size` bytes: more messages as it grows, and longer ones."""
    message_bytes = max(150, size // 40)
    messages = [{"role": "system", "content": "You are a careful engineer."}]
    total = 0
    while total < size - 150:
        content = ""
        while len(content) < message_bytes:
            content += dice.choice(SENTENCES)
        messages.append({"role": "user" if len(messages) % 2 else "assistant", "content": content})
        total += len(json.dumps(content)) + 35
    body = {"model": "auto", "stream": True, "temperature": 0.2, "models": ["a", "b"], "messages": messages}
    return json.dumps(body, ensure_ascii=False).encode()


def whole_request(body: bytes) -> None:
    scan = core.scan(body)
    scan.text(last_user=True)
    core.surface(scan, LEXICON)
    scan.edits(drop=OURS, include_usage=True)


WORK: dict[str, Callable[[bytes], object]] = {
    "scan": core.scan,
    "scan+text+surface+edits": whole_request,
    "json.loads": json.loads,
    "orjson.loads": orjson.loads,
}


def measure(body: bytes, seconds: float) -> dict[str, float]:
    """Median microseconds per call of each kind of work, taking turns for `seconds`."""
    calls = max(1, 200_000 // len(body))  # some 100 us a turn: far above the clock's resolution
    samples: dict[str, list[float]] = {name: [] for name in WORK}
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or not samples["scan"]:
        for name, work in WORK.items():
            begin = time.perf_counter_ns()
            for _ in range(calls):
                work(body)
            samples[name].append((time.perf_counter_ns() - begin) / calls / 1000)
    return {name: statistics.median(taken) for name, taken in samples.items()}


def make_turn(text: str, size: int) -> bytes:
    """A request of about `size` bytes, all of it one user turn."""
    content = text * max(1, size // len(text.encode()))
    body = {"model": "auto", "messages": [{"role": "user", "content": content}]}
    return json.dumps(body, ensure_ascii=False).encode()


def measure_surface(scan: core.Scan, seconds: float) -> float:
    """Median microseconds per call of `core.surface`."""
    calls = max(1, 200_000 // len(scan.body))
    samples: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or not samples:
        begin = time.perf_counter_ns()
        for _ in range(calls):
            core.surface(scan, LEXICON)
        samples.append((time.perf_counter_ns() - begin) / calls / 1000)
    return statistics.median(samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="time per body size")
    options = parser.parse_args()
    dice = random.Random(1)
    print(describe("orjson", "cython"))
    print(f"{'body':>8} {'bytes':>9}  {'work':<24} {'p50 us':>9} {'GB/s':>6} {'json.loads / this':>18}")
    for label, size in SIZES.items():
        body = make_body(size, dice)
        taken = measure(body, options.seconds)
        for name, microseconds in taken.items():
            ratio = taken["json.loads"] / microseconds
            rate = len(body) / microseconds / 1000
            print(f"{label:>8} {len(body):>9}  {name:<24} {microseconds:>9.2f} {rate:>6.2f} {ratio:>17.1f}x")
    print(f"{'turn':>8} {'bytes':>9}  {'surface of':<24} {'p50 us':>9} {'GB/s':>6} {'ns / word':>18}")
    for label in ("1 KB", "220 KB"):
        for script, text in TURNS.items():
            scan = core.scan(make_turn(text, SIZES[label]))
            microseconds = measure_surface(scan, options.seconds / len(TURNS))
            nanoseconds = microseconds * 1000 / core.surface(scan, LEXICON).words
            rate = len(scan.body) / microseconds / 1000
            print(
                f"{label:>8} {len(scan.body):>9}  {script:<24} {microseconds:>9.2f} {rate:>6.2f} {nanoseconds:>18.1f}"
            )


if __name__ == "__main__":
    main()
