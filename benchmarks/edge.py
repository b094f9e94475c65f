"""What does one ext_proc exchange cost in Python, over each server, and how much of it is the answer itself?

    python -m benchmarks.edge [--seconds S]

A worker process (real Exchange, real policy) is driven over its unix socket by gRPC clients in this process,
one RPC per exchange as Envoy does it, without Envoy. CPU is the worker process's own, user and system.
`answer` is Exchange.answer alone, called in a loop in this process: parse, features, decide, encode.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2

from benchmarks.environment import describe
from signalbox.decide.pipeline import Pipeline
from signalbox.extproc.exchange import Exchange
from signalbox.extproc.health import PROCESS_METHOD
from signalbox.extproc.server import make_server
from signalbox.policy.schema import Policy

ROOT = Path(__file__).parents[1]
BODY_KIB = (1, 16, 220, 1024)
CLIENTS = 4
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
POLICY = {
    "version": 1,
    "providers": {"one": {"endpoint": "https://one.example/v1"}, "two": {"endpoint": "https://two.example/v1"}},
    "models": {
        "small": {"provider": "one", "price": {"input": 0.1, "output": 0.4}},
        "large": {"provider": "two", "price": {"input": 3, "output": 15}},
    },
    "routers": {
        "main": {
            "tasks": [
                {"name": "simple", "models": ["small", "large"]},
                {"name": "hard", "models": ["large", "small"]},
            ],
            "rules": [{"when": {"keywords": ["stack trace", "segmentation fault"]}, "task": "hard"}],
            "complexity": {"threshold": 0.3, "below": "simple", "above": "hard"},
            "default_task": "simple",
        }
    },
    "default_router": "main",
}


class Result(NamedTuple):
    cpu_us: float
    p50_ms: float
    p99_ms: float
    exchanges_per_second: float


def make_exchange() -> Exchange:
    exchange = Exchange()
    exchange.use(Pipeline.compile(Policy.model_validate(POLICY)), "0" * 64)
    return exchange


def serve(kind: str, address: str) -> None:
    """Be the worker process."""
    server = make_server("core" if kind == "core" else "aio", make_exchange(), max_message_bytes=MAX_MESSAGE_BYTES)
    signal.signal(signal.SIGTERM, lambda *_: server.drain(0.0, 1.0))
    server.start(address)
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    server.run()


def body_message(kib: int) -> bytes:
    """A chat conversation of `kib` KiB in turns of about 600 bytes, as Envoy sends it."""
    chosen = random.Random(kib)
    words = ["please", "explain", "why", "the", "build", "fails", "when", "modules", "import", "each", "other", "2024"]
    messages: list[dict[str, str]] = []
    size = 0
    while size < kib * 1024 - 700 or not messages:
        text = " ".join(chosen.choices(words, k=100))
        messages.append({"role": ("user", "assistant")[len(messages) % 2], "content": text})
        size += len(text) + 40
    request = external_processor_pb2.ProcessingRequest()
    request.request_body.body = json.dumps({"model": "auto", "messages": messages, "stream": True}).encode()
    request.request_body.end_of_stream = True
    fields = request.attributes["envoy.filters.http.ext_proc"].fields
    fields["request.path"].string_value = "/v1/chat/completions"
    fields["request.headers['x-model-affinity']"].string_value = "session-1"
    message: bytes = request.SerializeToString()
    return message


def cpu_seconds(pid: int) -> float:
    # After the command's name, which may hold anything: fields 14 and 15 of proc(5), in ticks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def drive(channel: grpc.Channel, message: bytes, seconds: float) -> list[float]:
    """Run exchanges one after another; return how long each took, in seconds."""
    took = []
    process = channel.stream_stream(PROCESS_METHOD)
    until = time.perf_counter() + seconds
    while (started := time.perf_counter()) < until:
        # Held open until the answer is there, as Envoy holds it.
        answered = threading.Event()
        answers = process(held_open(message, answered))
        next(answers)
        took.append(time.perf_counter() - started)
        answered.set()
        if next(answers, None) is not None:
            raise SystemExit("the worker answered twice")
    return took


def held_open(message: bytes, answered: threading.Event) -> Iterator[bytes]:
    yield message
    answered.wait()


def measure(pid: int, address: str, message: bytes, seconds: float) -> Result:
    # One connection for all, as each of Envoy's threads has one per worker.
    options = (("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(address, options=options) as channel, ThreadPoolExecutor(CLIENTS) as threads:
        drive(channel, message, min(0.5, seconds))
        before = cpu_seconds(pid)
        runs = list(threads.map(lambda _: drive(channel, message, seconds), range(CLIENTS)))
        spent = cpu_seconds(pid) - before
    took = sorted(each for run in runs for each in run)
    return Result(
        cpu_us=spent / len(took) * 1e6,
        p50_ms=statistics.median(took) * 1e3,
        p99_ms=took[int(len(took) * 0.99)] * 1e3,
        exchanges_per_second=len(took) / seconds,
    )


def answer_us(message: bytes, seconds: float) -> float:
    """Median of Exchange.answer alone, microseconds."""
    exchange = make_exchange()
    took = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter_ns()
        exchange.answer(message)
        took.append(time.perf_counter_ns() - started)
    return statistics.median(took) / 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="time per row (default: 2)")
    parser.add_argument("--serve", nargs=2, metavar=("KIND", "ADDRESS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
        return 0
    print(describe("protobuf"))
    print(f"{CLIENTS} clients, {options.seconds:g} s per row; us and ms per exchange")
    print(
        f"{'body KiB':>8} {'server':>6} {'CPU us':>9} {'answer us':>10} {'p50 ms':>8} {'p99 ms':>8} {'per second':>11}"
    )
    with tempfile.TemporaryDirectory(prefix="sb-") as directory:
        for kib in BODY_KIB:
            message = body_message(kib)
            alone = answer_us(message, options.seconds / 4)
            for kind in ("core", "aio"):
                address = f"unix:{directory}/{kind}.sock"
                command = [sys.executable, "-m", "benchmarks.edge", "--serve", kind, address]
                with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
                    if worker.stdout is None or worker.stdout.readline() != "ready\n":
                        raise SystemExit(f"the {kind} worker did not start")
                    row = measure(worker.pid, address, message, options.seconds)
                    worker.terminate()
                print(
                    f"{kib:>8} {kind:>6} {row.cpu_us:>9.0f} {alone:>10.0f} {row.p50_ms:>8.2f} {row.p99_ms:>8.2f}"
                    f" {row.exchanges_per_second:>11.0f}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
