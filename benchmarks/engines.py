"""What does an engine cost a request, and what does it cost the others?

    python -m benchmarks.engines [--seconds S] [--bundle DIR ...]

Time by prompt length and throughput are those of the whole question: read, trim, tokenize, run. Memory is the
proportional set size of processes that hold the engine. The last two tables are of a worker over its unix socket: how
late an answer without an engine's answer is, and how long requests take that ask no engine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2

from benchmarks.encoder_model import MINILM, WORDS, XLM_R, write_bundle
from benchmarks.environment import describe
from signalbox.core import scan
from signalbox.decide.pipeline import Pipeline
from signalbox.engines.base import Answer, Engine, Outcome, Question
from signalbox.engines.cuts import Cuts
from signalbox.engines.desk import Desk
from signalbox.engines.open import Engines, open_engine
from signalbox.extproc.exchange import Exchange
from signalbox.extproc.health import PROCESS_METHOD
from signalbox.extproc.server import make_server
from signalbox.features.extract import extract
from signalbox.policy.engines import Engine as Section
from signalbox.policy.schema import Policy
from signalbox.types import Endpoint, ParsedRequest

LENGTHS = (32, 128, 256, 512)
AT_ONCE = (1, 2, 8)
DEADLINE_SECONDS = 0.05
FOREVER = 1e9
POLICY = {
    "version": 1,
    "providers": {"one": {"endpoint": "https://one.example/v1"}, "two": {"endpoint": "https://two.example/v1"}},
    "models": {"small": {"provider": "one"}, "large": {"provider": "two"}},
    "engines": {"judge": {"kind": "classifier", "bundle": "/engine"}},
    "routers": {
        "main": {
            "tasks": [{"name": "easy", "models": ["small"]}, {"name": "hard", "models": ["large"]}],
            "engine": {"name": "judge", "strong": "hard", "weak": "easy"},
            "default_task": "easy",
        }
    },
    "default_router": "main",
}


def body(words: int, model: str = "auto") -> bytes:
    text = " ".join(f"w{number * 7 % WORDS}" for number in range(words))
    return b'{"model":"%s","messages":[{"role":"user","content":"%s"}]}' % (model.encode(), text.encode())


def question(words: int, seconds: float = FOREVER) -> Question:
    raw = body(words)
    request = ParsedRequest(Endpoint.CHAT_COMPLETIONS, raw, scan(raw), {})
    return Question(request, extract(request), (), time.monotonic() + seconds)


def opened(bundle: Path, prepared: Path | None = None) -> Engine:
    section = Section(kind="classifier", bundle=str(bundle), deadline_ms=10_000)
    return open_engine(section, tiers=True, prepared=prepared)[0]


def quantiles(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def timed(work: Callable[[], object], seconds: float) -> list[float]:
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < 5 or time.perf_counter() < end:
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1e3)
    return taken


# ---------------------------------------------------------------- the engine alone


def by_length(engine: Engine, most: int, seconds: float) -> Iterator[str]:
    for tokens in LENGTHS:
        if tokens <= most:
            asked = question(tokens - 2)
            middle, worst = quantiles(timed(lambda asked=asked: engine.ask(asked), seconds))
            yield f"{middle:.1f} / {worst:.1f}"
        else:
            yield "-"


def throughput(engine: Engine, at_once: int, seconds: float) -> float:
    """Questions of 64 tokens a second, with as many threads as ask."""
    asked, counts, end = question(62), [0] * at_once, time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < end:
            assert engine.ask(asked).outcome is Outcome.RESULT
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def pss_mib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) // 1024
    raise OSError("no Pss")


def memory(bundle: Path, prepared: str, processes: int) -> int:
    """Mean proportional set size, MiB, of processes that hold one engine each."""
    command = [sys.executable, "-m", "benchmarks.engines", "--hold", str(bundle), prepared]
    running = []
    for _ in range(processes):
        running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert running[-1].stdout is not None
        running[-1].stdout.readline()
    found = sum(pss_mib(process.pid) for process in running) // processes
    for process in running:
        process.communicate()
    return found


def hold(bundle: str, prepared: str) -> None:
    """Be a process that holds an engine, until standard input ends."""
    engine = opened(Path(bundle), Path(prepared) if prepared != "-" else None)
    engine.ask(question(62))
    print("ready", flush=True)
    sys.stdin.read()


# ---------------------------------------------------------------- a worker


class Hanging:
    """An engine that is never done in time."""

    def ask(self, asked: Question) -> Answer:
        time.sleep(1.0)
        return Answer(Outcome.FAILED)

    def close(self) -> None: ...


@contextmanager
def worker(engine: Engine, deadline_seconds: float, concurrent: int) -> Iterator[Callable[[bytes], float]]:
    """A server in this process; yields what asks it once and returns the milliseconds that took."""
    desk = Desk("judge", engine, deadline_seconds=deadline_seconds, max_concurrent=concurrent, max_queued=64)
    exchange = Exchange()
    exchange.use(
        Pipeline.compile(Policy.model_validate(POLICY)), "0" * 64, engines=Engines({"judge": desk}, Cuts({}, {}))
    )
    server = make_server("core", exchange, max_message_bytes=16 << 20)
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/w.sock"
        server.start(address)
        serving = threading.Thread(target=server.run)
        serving.start()
        with grpc.insecure_channel(address) as channel:
            call = channel.stream_stream(PROCESS_METHOD)

            def ask(message: bytes) -> float:
                began = time.perf_counter()
                list(call(iter([message])))
                return (time.perf_counter() - began) * 1e3

            yield ask
        server.drain(0.0, 0.0)
        serving.join()


def message(raw: bytes) -> bytes:
    request = external_processor_pb2.ProcessingRequest()
    request.request_body.body = raw
    request.request_body.end_of_stream = True
    fields = request.attributes["envoy.filters.http.ext_proc"].fields
    fields["request.path"].string_value = "/v1/chat/completions"
    found: bytes = request.SerializeToString()
    return found


def lateness(rounds: int) -> tuple[float, float]:
    """Milliseconds beyond the deadline, with an engine that hangs: p50 and p99, the exchange itself included."""
    asked = message(body(62))
    with worker(Hanging(), DEADLINE_SECONDS, 4) as ask:
        ask(message(body(62, "small")))
        return quantiles([ask(asked) - DEADLINE_SECONDS * 1e3 for _ in range(rounds)])


def others(engine: Engine, busy: int, seconds: float) -> tuple[float, float]:
    """Milliseconds of requests that ask no engine, while `busy` others keep one at work."""
    plain, judged = message(body(62, "small")), message(body(254))
    with worker(engine, 5.0, 1) as ask, ThreadPoolExecutor(busy + 1) as threads:
        for _ in range(50):
            ask(plain)
        over = threading.Event()

        def keep_busy() -> None:
            while not over.is_set():
                ask(judged)

        waiting = [threads.submit(keep_busy) for _ in range(busy)]
        found = quantiles(timed(lambda: (ask(plain), time.sleep(0.002)), seconds))
        over.set()
        for each in waiting:
            each.result()
    return found[0] - 2.0, found[1] - 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    parser.add_argument("--bundle", type=Path, action="append", default=[], help="classifier to measure as well")
    parser.add_argument("--hold", nargs=2, metavar=("DIR", "PREPARED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hold:
        hold(*options.hold)
        return
    print(describe("onnxruntime", "tokenizers"))
    with tempfile.TemporaryDirectory() as folder:
        shapes = [(shape, int8) for shape in (MINILM, XLM_R) for int8 in (True, False)]
        bundles = {}
        for number, (shape, int8) in enumerate(shapes):
            name = f"{shape.name} {'int8' if int8 else 'fp32'}"
            bundles[name] = write_bundle(Path(folder) / str(number), shape, int8=int8)
        bundles |= {str(bundle): bundle for bundle in options.bundle}
        print("\nTime of one question, ms p50 / p99 by prompt tokens; questions of 64 tokens a second by threads\n")
        print("| model | " + " | ".join(map(str, LENGTHS)) + " | 1 | 2 | 8 | 2 : 1 |")
        print("|---" * (len(LENGTHS) + 5) + "|")
        for name, bundle in bundles.items():
            engine = opened(bundle)
            lengths = list(by_length(engine, 256 if "MiniLM" in name else 512, options.seconds))
            rates = [throughput(engine, at_once, options.seconds) for at_once in AT_ONCE]
            print(
                f"| {name} | "
                + " | ".join([*lengths, *(f"{r:.0f}" for r in rates), f"{rates[1] / rates[0]:.2f}"])
                + " |"
            )
        print("\nMemory of a process with the engine, MiB (PSS), by processes\n")
        print("| model | 1 | 4 | 1, prepared | 4, prepared |")
        print("|---|---|---|---|---|")
        for number, (name, bundle) in enumerate(bundles.items()):
            prepared = f"{folder}/prepared-{number}"
            figures = [memory(bundle, place, processes) for place in ("-", prepared) for processes in (1, 4)]
            print(f"| {name} | " + " | ".join(map(str, figures)) + " |")
        middle, worst = lateness(100)
        print(f"\nAnswers without an engine that hangs, ms beyond the deadline: p50 {middle:.2f}, p99 {worst:.2f}")
        engine = opened(bundles["MiniLM-L6 int8"])
        print("\nRequests that ask no engine, ms p50 / p99, while others keep one at work")
        for busy in (0, 1, 8):
            middle, worst = others(engine, busy, max(2.0, options.seconds))
            print(f"  {busy} others: {middle:.2f} / {worst:.2f}")


if __name__ == "__main__":
    main()
