"""How much faster are parse and features than orjson and the same features in plain Python?

    python -m benchmarks.features [--seconds S] [--plot DIRECTORY]

The rival parses with orjson and measures with compiled regular expressions, the way a careful Python router
would: it computes the features of docs/features.md from the parsed tree, and is checked against ours on every
body before anything is timed. Both take turns on the same body, so that a busy machine slows them alike. orjson by
itself only parses. With --plot time is drawn against size.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.environment import describe
from benchmarks.plotting import draw
from benchmarks.scanner import SIZES, make_body
from signalbox import core
from signalbox.features.extract import extract
from signalbox.features.vocabulary import INSTRUCTIONS, NEGATIONS_AND_CONDITIONALS
from signalbox.types import Endpoint, Features, ParsedRequest

WORD = re.compile(r"[\w'’]+")
NUMBER = re.compile(r"[0-9]+")
QUESTION = re.compile(r"[?？؟]+(?![\w?？؟])")
SENTENCE = re.compile(r"(?:^|[.!?:;][ \t]+|\n)[ \t\"'(\[*#>-]*([A-Za-z]+)")
SIGN_OF_CODE = re.compile(r"```|\(\);|=>|&&|</[A-Za-z]|\{[ \t]*\r?\n|^[ \t]*(?:def|fn|func|function|class) \w+\(", re.M)
CODE_LINE = re.compile(
    r"[ \t]*(?://.*|.*[;{}]|<.*>|(?:return|import)\b.*|(?:class|def|else|except|for|if|try|while|with)\b.*[:(),\]]"
    r"|[A-Za-z_][\w.\[\]\"']* ?[-+*/|&:]?=(?!=).*|[A-Za-z_][\w.]*\(.*\))[ \t\r]*"
)
LETTERS = {
    "latin": re.compile("[A-Za-zªºÀ-ÖØ-öø-ʯ]"),
    "cyrillic": re.compile("[Ѐ-ԯ]"),
    "greek": re.compile("[Ͱ-Ͽ]"),
    "cjk": re.compile("[㐀-䶿一-鿿]"),
    "kana": re.compile("[ぁ-ヿ]"),
    "hangul": re.compile("[가-힣]"),
    "arabic": re.compile("[ؠ-ي]"),
    "hebrew": re.compile("[א-ת]"),
    "devanagari": re.compile("[ऄ-ॣ]"),
    "thai": re.compile("[ก-๎]"),
}


def ours(body: bytes) -> Features:
    return extract(ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, core.scan(body), {}))


def in_python(body: bytes) -> dict[str, Any]:
    request = orjson.loads(body)
    roles = {"system": 0, "user": 0, "assistant": 0, "tool": 0}
    text_bytes = images = tool_calls = 0
    last = ""
    for message in request["messages"]:
        roles[message["role"]] += 1
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        texts = [part["text"] for part in parts if part["type"] == "text"]
        images += sum(part["type"] == "image_url" for part in parts)
        tool_calls += len(message.get("tool_calls") or ())
        text_bytes += sum(len(text.encode()) for text in texts)
        if message["role"] == "user":
            last = "\n".join(texts)
    words = WORD.findall(last)
    counts = {name: len(pattern.findall(last)) for name, pattern in LETTERS.items()}
    total = sum(counts.values()) or 1
    code_bytes = 0
    if SIGN_OF_CODE.search(last):
        fenced = False
        for line in last.splitlines(keepends=True):
            fence = line.lstrip(" \t").startswith("```")
            if fence or fenced or CODE_LINE.fullmatch(line.rstrip("\n")):
                code_bytes += len(line.encode())
            fenced ^= fence
    return {
        "messages": len(request["messages"]),
        "turns": roles["user"],
        "system_messages": roles["system"],
        "assistant_messages": roles["assistant"],
        "tools": len(request.get("tools") or ()),
        "tool_calls": tool_calls,
        "images": images,
        "text_bytes": text_bytes,
        "words": len(words),
        "numbers": len(NUMBER.findall(last)),
        "questions": len(QUESTION.findall(last)),
        "instructions": sum(word.lower() in INSTRUCTIONS for word in SENTENCE.findall(last)),
        "negations": sum(word.lower().replace("’", "'").strip("'") in NEGATIONS_AND_CONDITIONALS for word in words),
        "scripts": tuple(sorted(((n, c / total) for n, c in counts.items() if c), key=lambda share: -share[1])),
        "code_share": code_bytes / (len(last.encode()) or 1),
    }


def check(body: bytes) -> None:
    """Raise AssertionError if the two do not say the same: a race between different answers shows nothing."""
    found = ours(body)
    for name, value in in_python(body).items():
        assert getattr(found, name) == value, f"{name}: {getattr(found, name)} here, {value} in Python"


OURS = "scan + features"
WORK: dict[str, Callable[[bytes], object]] = {
    OURS: ours,
    "orjson + Python": in_python,
    "orjson": orjson.loads,
}


def measure(body: bytes, seconds: float) -> dict[str, float]:
    """Median microseconds per call of each kind of work, taking turns for `seconds`."""
    calls = max(1, 100_000 // len(body))
    samples: dict[str, list[float]] = {name: [] for name in WORK}
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or not samples["orjson"]:
        for name, work in WORK.items():
            begin = time.perf_counter_ns()
            for _ in range(calls):
                work(body)
            samples[name].append((time.perf_counter_ns() - begin) / calls / 1000)
    return {name: statistics.median(taken) for name, taken in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="time per body")
    parser.add_argument("--plot", type=Path, metavar="DIRECTORY", help="draw features.svg here")
    options = parser.parse_args()
    dice = random.Random(1)
    many = [make_body(size, dice) for size in SIZES.values()]
    shapes = {"many turns": many, "one turn": [one_turn(body) for body in many]}
    drawn: dict[str, dict[int, dict[str, float]]] = {shape: {} for shape in shapes}
    print(describe("orjson", "cython") + "\n")
    print(f"| body, bytes | shape | {' | '.join(WORK)} | orjson + Python / ours |\n|{'---|' * (len(WORK) + 3)}")
    for shape, bodies in shapes.items():
        for body in bodies:
            check(body)
            taken = drawn[shape][len(body)] = measure(body, options.seconds)
            cells = [f"{microseconds:,.1f}" for microseconds in taken.values()]
            ratio = taken["orjson + Python"] / taken[OURS]
            print(f"| {len(body):,} | {shape} | {' | '.join(cells)} | {ratio:.1f} |", flush=True)
    if options.plot is not None:
        sides = {f"Parse and features, {shape}": curves for shape, curves in drawn.items()}
        print(f"\n{draw(options.plot / 'features.svg', sides, size_of='body')}")


def one_turn(body: bytes) -> bytes:
    """The same text as a single message: the worst case, since the last turn is what is measured."""
    request = orjson.loads(body)
    text = "\n".join(message["content"] for message in request["messages"])
    return orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]})


if __name__ == "__main__":
    main()
