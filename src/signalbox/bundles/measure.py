"""A process that loads one bundle and measures it: `python -m signalbox.bundles.measure`, started by `bench`.

A process of its own for each measurement, so that memory is that of this model and of nothing before it. Commands
come as lines of JSON on standard input, answers go as lines of JSON to standard output.

    {"load": DIR, "threads": N}    -> {"load_ms", "memory"}: after one run
    {"latency": TOKENS, "seconds": S} -> {"tokens", "runs", "p50_ms", "p99_ms", "min_ms"} and, for a model that
                                      generates, the same of one more token as `next`
    {"throughput": TOKENS, "seconds": S, "concurrent": N} -> {"concurrent", "per_second"}
    {"memory": true}               -> {"rss_mb", "pss_mb", "peak_mb"}: pss counts shared pages once for all processes
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from signalbox.bundles.bundle import Bundle, open_bundle
from signalbox.bundles.manifest import Kind
from signalbox.errors import BundleError

_LEAST_RUNS = 3
_MOST_RUNS = 10_000
_WARM_UP = 2
_ID_LIMIT = 1000  # below the vocabulary of every published model; which tokens they are costs the same

Run = Callable[[], Any]


class Subject:
    """A loaded bundle."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self.generates = bundle.manifest.kind in (Kind.PREFERENCE, Kind.DELIBERATE)
        self._session: Any = None
        if bundle.manifest.kind is Kind.MATRIX_FACTORIZATION:
            from signalbox.core.factorization import Factorization

            arrays = np.load(bundle.tensors)
            folded = Factorization.fold(arrays["models"], arrays["projection"], arrays["head"])
            self._pair = folded.pair(0, 1)
        else:
            from signalbox.bundles.session import open_session

            self._session = open_session(bundle.model, threads)
            self._ids = min(_ID_LIMIT, _vocabulary(bundle))

    def run(self, tokens: int) -> Run:
        """Return a function that runs once on a prompt of this length."""
        if self._session is None:
            from signalbox import core

            vector = np.random.default_rng(tokens).normal(size=len(self._pair)).astype(np.float32)
            return lambda: core.win_rate(self._pair, vector)
        from signalbox.bundles.session import feeds

        ids = np.random.default_rng(tokens).integers(0, self._ids, (1, tokens))
        return self._once(feeds(self._session, ids))

    def next_token(self, tokens: int) -> Run:
        """Return a function that runs one token after a prompt of this length."""
        from signalbox.bundles.session import feeds, run

        past = run(self._session, np.random.default_rng(tokens).integers(0, self._ids, (1, tokens)))
        return self._once(feeds(self._session, np.zeros((1, 1), np.int64), past))

    def _once(self, inputs: dict[str, Any]) -> Run:
        name = "logits" if self.generates else self._session.get_outputs()[0].name
        return lambda: self._session.run([name], inputs)


def _vocabulary(bundle: Bundle) -> int:
    from tokenizers import Tokenizer

    return int(Tokenizer.from_file(str(bundle.tokenizer)).get_vocab_size())


def latency(once: Run, seconds: float) -> dict[str, float]:
    """Run for about this long, and at least a few times. Milliseconds."""
    for _ in range(_WARM_UP):
        once()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < _LEAST_RUNS or (len(times) < _MOST_RUNS and time.perf_counter() < until):
        began = time.perf_counter()
        once()
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    p99 = times[min(len(times) - 1, round(0.99 * (len(times) - 1)))]
    return {"runs": len(times), "p50_ms": times[len(times) // 2], "p99_ms": p99, "min_ms": times[0]}


def throughput(once: Run, seconds: float, concurrent: int) -> float:
    """Return runs per second by this many threads on one session."""
    until = time.perf_counter() + seconds
    counts = [0] * concurrent
    ended = [0.0] * concurrent

    def work(at: int) -> None:
        while time.perf_counter() < until or not counts[at]:
            once()
            counts[at] += 1
        ended[at] = time.perf_counter()

    threads = [threading.Thread(target=work, args=(at,)) for at in range(concurrent)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (max(ended) - began)


def memory() -> dict[str, float]:
    """Return this process's memory, MB of 10**6 bytes."""
    found = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            found[f"{name.lower()}_mb"] = int(rest.split()[0]) * 1024 / 1e6
    # getrusage's peak is no use here: it begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    found["peak_mb"] = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    return found


def main() -> None:
    """Answer commands until standard input ends."""
    subject: Subject | None = None
    for line in sys.stdin:
        command = json.loads(line)
        answer: dict[str, Any]
        if "load" in command:
            bundle = open_bundle(command["load"], hashes=False)  # whoever started this has checked them
            began = time.perf_counter()
            try:
                subject = Subject(bundle, command["threads"])
            except BundleError as problem:
                sys.exit(str(problem))
            loaded = (time.perf_counter() - began) * 1000
            subject.run(8)()
            answer = {"load_ms": loaded, "memory": memory()}
        elif "memory" in command:
            answer = memory()
        else:
            assert subject is not None
            answer = _measure(subject, command)
        print(json.dumps(answer), flush=True)


def _measure(subject: Subject, command: dict[str, Any]) -> dict[str, Any]:
    seconds = command["seconds"]
    if "latency" in command:
        tokens = command["latency"]
        answer: dict[str, Any] = {"tokens": tokens, **latency(subject.run(tokens), seconds)}
        if subject.generates:
            answer["next"] = latency(subject.next_token(tokens), seconds)
        return answer
    concurrent = command["concurrent"]
    return {
        "concurrent": concurrent,
        "per_second": throughput(subject.run(command["throughput"]), seconds, concurrent),
    }


if __name__ == "__main__":
    main()
