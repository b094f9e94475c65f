"""How many access log entries can one collector take in a second, on one core?

    python -m benchmarks.collector [--requests N]

Feeds messages as Envoy sends them (a batch of requests, and their attempts on another stream) through
the receiver: parse, join, count, learn, format the log line. Every third request fell back once. Log lines are
written to /dev/null. Then once more with all that a worker may say in its record, and once more with a journal,
in a directory that is removed again. Prints entries and requests per second of CPU time, and the time of one scrape.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import google.protobuf
import prometheus_client
import yaml

from signalbox.collector.log import LogWriter
from signalbox.collector.metrics import Metrics
from signalbox.collector.receiver import Receiver
from signalbox.collector.state import Collector
from signalbox.policy.schema import Policy
from signalbox.telemetry import AccessLog, JournalOutcome

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "collector"))
from access_log_entries import attempt_entry, attempt_start, decision, message, request_entry

BATCH = 10  # what fits into Envoy's buffer of 16 KiB, about
SEED = 20261121

POLICY = """
version: 1
providers:
  cloud: {endpoint: "https://api.cloud.test/v1"}
  spare: {endpoint: "https://api.spare.test/v1"}
  local: {endpoint: "http://127.0.0.1:8000/v1", location: local}
models: {gpt-large: {provider: cloud}, gpt-small: {provider: spare}, qwen: {provider: local}}
routers: {coding: {models: [gpt-large], tasks: [{name: bug-fixing, models: [gpt-large]}]}}
"""


FEATURES = (*(12.0,) * 27, 0.25, 0.1, 0.0, 1.0, *(0.0,) * 10)


def said(request_id: str, with_everything: bool) -> dict[str, Any]:
    """What a worker says of a request."""
    if not with_everything:
        return decision()
    return decision(
        id=f"sb-{request_id[:24]}",
        expected_usd=0.000062,
        expected_output=300,
        session=request_id[:16],
        pin="kept",
        shadow=("bug-fixing", "gpt-small"),
        world=7,
        features=FEATURES,
    )


_started_ns = count(1_795_252_119_000_000_000)


def attempt(provider: str, status: int, request_id: str) -> tuple[Any, Any]:
    """Start and end of one attempt."""
    started_ns = next(_started_ns)
    end = attempt_entry(provider, status, request_id=request_id, started_ns=started_ns)
    return attempt_start(provider, request_id, started_ns=started_ns), end


def batches(requests: int, with_everything: bool) -> list[tuple[bytes, bytes]]:
    """Return (attempts, requests) messages; ids are random, everything else repeats."""
    dice = random.Random(SEED)
    made = []
    for _ in range(requests // BATCH):
        ended, tried = [], []
        for number in range(BATCH):
            request_id = f"{dice.getrandbits(128):032x}"
            fell_back = number % 3 == 0
            if fell_back:
                tried += attempt("cloud", 429, request_id)
            last = "spare" if fell_back else "cloud"
            tried += attempt(last, 200, request_id)
            ended.append(
                request_entry(
                    metadata=said(request_id, with_everything),
                    attempts=1 + fell_back,
                    cluster=last,
                    request_id=request_id,
                )
            )
        made.append((message("attempt", *tried), message("request", *ended)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=10_000, metavar="N")
    requests = parser.parse_args().requests
    policy = yaml.safe_load(POLICY)
    measure("as it was", batches(requests, with_everything=False), policy)
    messages = batches(requests, with_everything=True)
    measure("with all a worker may say", messages, policy)
    with tempfile.TemporaryDirectory() as directory:
        measure("and with a journal", messages, {**policy, "journal": {"directory": directory}})
    print(f"Python {platform.python_version()}, protobuf {google.protobuf.__version__}, {_cpu()}, seed {SEED}")


def measure(title: str, messages: list[tuple[bytes, bytes]], policy: dict[str, Any]) -> None:
    """Feed one collector, and print what it took."""
    with Path("/dev/null").open("wb") as nowhere:
        log = LogWriter(nowhere.fileno())
        collector = Collector(Metrics(), log)
        collector.apply_policy(Policy.model_validate(policy), "00" * 32)
        receiver = Receiver(collector)
        log.start()
        for attempts, ended in messages[:20]:  # label children, caches
            receiver.take(attempts, AccessLog.OTHER)
            receiver.take(ended, AccessLog.OTHER)

        entries_before = _entries(collector)
        started = time.process_time()
        for attempts, ended in messages:
            receiver.take(attempts, AccessLog.OTHER)
            receiver.take(ended, AccessLog.OTHER)
        collector.journal.writer.close()
        seconds = time.process_time() - started
        entries = _entries(collector) - entries_before
        log.close()

        started = time.process_time()
        text = prometheus_client.generate_latest(collector.metrics.registry)
        scrape_ms = (time.process_time() - started) * 1e3

    requests = len(messages) * BATCH
    lines = collector.journal.writer.counts[JournalOutcome.WRITTEN]
    print(f"{title}: {lines:,} lines of the journal")
    print(f"{requests / seconds:,.0f} requests/s, {entries / seconds:,.0f} entries/s of CPU time, threads included")
    print(f"{seconds / requests * 1e6:.0f} us per request, {seconds / entries * 1e6:.0f} us per entry")
    print(f"{scrape_ms:.1f} ms per scrape of {len(text):,} bytes; {log.dropped} log lines dropped\n")


def _cpu() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.machine()


def _entries(collector: Collector) -> float:
    return sum(
        collector.metrics.registry.get_sample_value("signalbox_access_log_entries_total", {"log": log}) or 0
        for log in AccessLog
    )


if __name__ == "__main__":
    main()
