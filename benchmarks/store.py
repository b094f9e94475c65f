"""What does a store cost a request?

    python -m benchmarks.store [--rounds N] [--writers N]

Prints p50 and p99 in microseconds of each operation, for the embedded store and for Redis on this machine, alone and
beside other processes that write all the time; then what a Redis that stands still costs. Needs redis-server.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

from benchmarks.environment import describe
from signalbox.policy.world import Redis
from signalbox.store.base import Store, StoreError
from signalbox.store.embedded import EmbeddedStore
from signalbox.store.shared import RedisStore
from signalbox.world import Hold

NOW = 1_760_000_000.0
LIMIT = 10**15
SESSIONS = 10_000


def open_one(where: str) -> Store:
    return RedisStore(Redis(url=where, timeout_ms=100)) if "://" in where else EmbeddedStore(Path(where))


@contextlib.contextmanager
def redis_server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        raise SystemExit("redis-server or valkey-server must be on PATH; Debian: apt-get install redis-server")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        yield process, f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def write_until(where: str, number: int, ready: Event, stop: Event, pause_seconds: float) -> None:
    """What another worker does: a claim, a hold and a settlement for each of its requests."""
    store = open_one(where)
    count = 0
    while not stop.is_set():
        count += 1
        with contextlib.suppress(StoreError):
            store.claim(f"{number}-{count % SESSIONS}", "large", 3600)
            store.hold(f"{number}-{count}", [Hold("team/2026-11", 7, LIMIT, NOW + 900)], NOW)
            store.settle(f"{number}-{count}", [("team/2026-11", 5)])
        ready.set()
        time.sleep(pause_seconds)
    store.close()


def operations(store: Store) -> dict[str, Callable[[int], object]]:
    month, day = Hold("team/2026-11", 7, LIMIT, NOW + 900), Hold("team/2026-11-21", 7, LIMIT, NOW + 900)
    return {
        "claim, new": lambda n: store.claim(f"s{n}", "a-model-of-usual-length", 3600),
        "claim, known": lambda n: store.claim(f"s{n}", "a-model-of-usual-length", 3600),
        "pin": lambda n: store.pin(f"s{n}", 3600),
        "pin, none": lambda n: store.pin(f"t{n}", 3600),
        "observe": lambda n: store.observe(f"s{n}", "a-model-of-usual-length", 4000, 3000),
        "hold, one budget": lambda n: store.hold(f"r{n}", [month], NOW),
        "hold, two budgets": lambda n: store.hold(f"q{n}", [month, day], NOW),
        "settle, one budget": lambda n: store.settle(f"r{n}", [("team/2026-11", 5)]),
        "spent": lambda n: store.spent("team/2026-11", NOW),
        "get": lambda n: store.get("rollout:router"),
    }


def timed(operation: Callable[[int], object], rounds: int) -> tuple[float, float, int]:
    """p50 and p99 in microseconds, and how many were given up."""
    durations, late = [], 0
    for number in range(rounds):
        begun = time.perf_counter()
        try:
            operation(number)
        except StoreError:
            late += 1
            time.sleep(0.01)
            continue
        durations.append((time.perf_counter() - begun) * 1e6)
    durations.sort()
    return statistics.median(durations), durations[int(len(durations) * 0.99)], late


def measure(where: str, rounds: int, writers: int) -> dict[str, tuple[float, float, int]]:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    others = []
    for number in range(writers):
        ready = context.Event()
        process = context.Process(target=write_until, args=(where, number, ready, stop, 0.002))
        process.start()
        ready.wait(30)
        others.append(process)
    store = open_one(where)
    try:
        return {name: timed(operation, rounds) for name, operation in operations(store).items()}
    finally:
        store.close()
        stop.set()
        for process in others:
            process.join()


def standing_still(process: subprocess.Popen[bytes], url: str) -> None:
    budget_ms = 5.0
    late, down = [], []
    for _ in range(20):
        store = RedisStore(Redis(url=url, timeout_ms=budget_ms))
        for _ in range(200):
            with contextlib.suppress(StoreError):
                store.pin("s", 60)
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        try:
            for waits in (late, down, down, down):
                begun = time.perf_counter()
                with contextlib.suppress(StoreError):
                    store.pin("s", 60)
                waits.append((time.perf_counter() - begun) * 1e3)
        finally:
            process.send_signal(signal.SIGCONT)
        store.close()
    print(f"\nA Redis that stands still, time budget {budget_ms:g} ms, milliseconds:\n")
    print("| | p50 | max |\n|---|---|---|")
    print(f"| the request that finds out | {statistics.median(late):.2f} | {max(late):.2f} |")
    print(f"| each one after it | {statistics.median(down):.4f} | {max(down):.4f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5000)
    parser.add_argument("--writers", type=int, default=3, help="other processes, 500 requests a second each at most")
    arguments = parser.parse_args()
    print(describe("redis", "hiredis"))
    with tempfile.TemporaryDirectory() as directory, redis_server() as (process, url):
        columns = []
        for name, where in (("embedded", f"{directory}/state"), ("redis", url)):
            for writers in (0, arguments.writers):
                place = where if "://" in where else f"{where}{writers}.sqlite"
                columns.append((f"{name}, {writers} writers", measure(place, arguments.rounds, writers)))
        print("\nMicroseconds, p50 / p99 (given up for lack of time):\n")
        print("| | " + " | ".join(name for name, _ in columns) + " |\n|---" * 1 + "|---" * len(columns) + "|")
        for operation in columns[0][1]:
            cells = []
            for _, figures in columns:
                p50, p99, late = figures[operation]
                cells.append(f"{p50:.1f} / {p99:.0f}" + (f" ({late})" if late else ""))
            print(f"| {operation} | " + " | ".join(cells) + " |")
        standing_still(process, url)


if __name__ == "__main__":
    main()
