"""What does a whole decision cost, from Envoy's message to the reply, as bodies grow?

    python -m benchmarks.core [--seconds S] [--plot DIRECTORY]

Prints the median in microseconds of the scan, of the worker's whole answer (protobuf in, scan, features,
decision, protobuf out) and of two parsers on the same body, which they only parse. All four take turns on
each body, so that a busy machine slows them alike. With --plot it also draws time against size.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from benchmarks.decide import POLICY, make_body
from benchmarks.environment import describe
from benchmarks.plotting import draw
from signalbox.core import scan
from signalbox.decide.pipeline import Pipeline
from signalbox.extproc.exchange import Exchange

SIZES = (1_000, 4_000, 16_000, 64_000, 220_000, 1_000_000)
# What the whole answer may take, in microseconds by body size in bytes.
TARGETS = {1_000: 60.0, 220_000: 1_500.0, 1_000_000: 7_000.0}


def message(body: bytes) -> bytes:
    """Envoy's one message for a request, as bytes."""
    request = pb.ProcessingRequest()
    request.request_body.body = body
    request.request_body.end_of_stream = True
    attributes = request.attributes["envoy.filters.http.ext_proc"]
    attributes.update({"request.path": "/v1/chat/completions", "request.id": "0"})
    return request.SerializeToString()


def measure(size_bytes: int, exchange: Exchange, seconds: float) -> Mapping[str, float]:
    """Median microseconds by series, for one body all in one turn: the slowest its size can be."""
    body = make_body("router:rules", size_bytes)
    wire = message(body)
    work: dict[str, Callable[[], object]] = {
        "whole answer": lambda: exchange.answer(wire),
        "scan alone": lambda: scan(body),
        "json.loads": lambda: json.loads(body),
        "orjson.loads": lambda: orjson.loads(body),
    }
    times: dict[str, list[int]] = {name: [] for name in work}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["whole answer"]) < 20:
        for name, call in work.items():
            started = time.perf_counter_ns()
            call()
            times[name].append(time.perf_counter_ns() - started)
    return {name: statistics.median(values) / 1000 for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="per body size")
    parser.add_argument("--plot", type=Path, metavar="DIRECTORY", help="draw core.svg here")
    options = parser.parse_args()

    exchange = Exchange()
    exchange.use(Pipeline.compile(POLICY), "0" * 64)
    print(describe("orjson", "protobuf") + "\n")
    results = {size: measure(size, exchange, options.seconds) for size in SIZES}
    names = list(results[SIZES[0]])
    print(f"| body, bytes | {' | '.join(names)} | target |\n|{'---|' * (len(names) + 2)}")
    for size, row in results.items():
        cells = [f"{row[name]:,.1f}" for name in names]
        target = f"{TARGETS[size]:,.0f}" if size in TARGETS else ""
        print(f"| {size:,} | {' | '.join(cells)} | {target} |")
    if options.plot is not None:
        sides = {"From Envoy's message to the reply": results}
        crosses = ("target of the whole answer", TARGETS)
        print(f"\n{draw(options.plot / 'core.svg', sides, size_of='body', crosses=crosses)}")


if __name__ == "__main__":
    main()
