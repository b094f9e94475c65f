"""What a bundle costs on this machine: latency by length of the prompt, requests a second, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.bundles.bundle import Bundle, open_bundle
from signalbox.bundles.manifest import Kind
from signalbox.bundles.progress import Progress
from signalbox.errors import SetupError

_SHORTEST = 32
_SHARED_TOKENS = 128  # length of the prompts that throughput is measured with


@dataclass(frozen=True, slots=True)
class Report:
    """Figures as `measure` answers them. latency: by threads. memory: by processes, of the first of them."""

    bundle: Bundle
    machine: str
    load_ms: float
    latency: dict[int, list[dict[str, Any]]]
    throughput: list[dict[str, Any]]
    memory: dict[int, dict[str, float]]

    def as_json(self) -> dict[str, Any]:
        """Return what `signalbox models bench --json` prints; docs/models.md names the members."""
        manifest = self.bundle.manifest
        return {
            "folder": str(self.bundle.path),
            "kind": str(manifest.kind),
            "dtype": str(manifest.dtype),
            "machine": self.machine,
            "load_ms": self.load_ms,
            "latency": {str(threads): points for threads, points in self.latency.items()},
            "throughput": self.throughput,
            "memory": {str(processes): figures for processes, figures in self.memory.items()},
        }

    @property
    def text(self) -> str:
        """Tables for people."""
        manifest = self.bundle.manifest
        lines = [f"{self.bundle.path.name}: {manifest.kind}, {manifest.architecture}, {manifest.dtype}", self.machine]
        lines += [f"loaded in {self.load_ms:.0f} ms", "", "threads  tokens     p50 ms     p99 ms     min ms    runs"]
        for threads, points in self.latency.items():
            for point in points:
                lines.append(_row(f"{threads:>7}  {point['tokens']:>6}", point))
                if "next" in point:
                    lines.append(_row("            +1", point["next"]))
        lines += ["", "concurrent  requests/s"]
        lines += [f"{each['concurrent']:>10}  {each['per_second']:>10.1f}" for each in self.throughput]
        lines += ["", "processes  rss MB  pss MB  peak MB   (each; pss counts what they share once)"]
        lines += [
            f"{processes:>9}  {each['rss_mb']:>6.0f}  {each['pss_mb']:>6.0f}  {each['peak_mb']:>7.0f}"
            for processes, each in self.memory.items()
        ]
        return "\n".join(lines)


def _row(head: str, point: dict[str, Any]) -> str:
    figures = "".join(f"  {point[name]:>9.3f}" for name in ("p50_ms", "p99_ms", "min_ms"))
    return f"{head}{figures}  {point['runs']:>6}"


def bench(
    folder: Path,
    progress: Progress,
    *,
    lengths: Sequence[int] = (),
    threads: Sequence[int] = (1,),
    processes: Sequence[int] = (1,),
    seconds: float = 2.0,
) -> Report:
    """Check a bundle and measure it, in processes of its own.

    lengths: of prompts, in tokens; empty for 32, 64, ... up to the most that the model takes. threads: of one run.
    seconds: for each figure. Raises BundleError, and SetupError if a process ends before it has answered.
    """
    with progress.step("checking the bundle"):
        bundle = open_bundle(folder)
    lengths = lengths or default_lengths(bundle)
    if bundle.manifest.max_tokens and max(lengths) > bundle.manifest.max_tokens:
        raise SetupError(f"--lengths {max(lengths)}: {bundle.path} takes at most {bundle.manifest.max_tokens} tokens")
    latency: dict[int, list[dict[str, Any]]] = {}
    shared = min(_SHARED_TOKENS, max(lengths))
    rates: list[dict[str, Any]] = []
    load_ms = 0.0
    for count in threads:
        with _process(bundle, count) as (loaded, ask), progress.step(f"latency with {count} threads"):
            load_ms = load_ms or loaded["load_ms"]
            latency[count] = []
            for at, tokens in enumerate(lengths):
                latency[count].append(ask({"latency": tokens, "seconds": seconds}))
                progress.at(at + 1, len(lengths))
    with _process(bundle, 1) as (_, ask), progress.step("throughput"):
        for concurrent in sorted({1, 2, os.cpu_count() or 1}):
            rates.append(ask({"throughput": shared, "seconds": seconds, "concurrent": concurrent}))
    memory = {}
    for number in processes:
        with progress.step(f"memory of {number} processes"), ExitStack() as running:
            asks = [running.enter_context(_process(bundle, 1))[1] for _ in range(number)]
            for ask in asks:
                ask({"latency": shared, "seconds": 0.0})
            memory[number] = asks[0]({"memory": True})
    return Report(bundle, _machine(), load_ms, latency, rates, memory)


def default_lengths(bundle: Bundle) -> list[int]:
    """Return 32, 64, ... and the most that the model takes, at most 512 unless the bundle says that it takes more."""
    if bundle.manifest.kind is Kind.MATRIX_FACTORIZATION:
        return [0]  # the length of a prompt makes no difference to its vector
    most = min(bundle.manifest.max_tokens, 512)
    lengths = [_SHORTEST << at for at in range(10) if _SHORTEST << at < most]
    return [*lengths, most]


@contextmanager
def _process(bundle: Bundle, threads: int) -> Iterator[tuple[dict[str, Any], Any]]:
    """Start a process with the bundle loaded. Yields what loading took, and how to ask for more."""
    words = [sys.executable, "-m", "signalbox.bundles.measure"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def ask(command: dict[str, Any]) -> dict[str, Any]:
            try:
                child.stdin.write(json.dumps(command) + "\n")  # type: ignore[union-attr]
                child.stdin.flush()  # type: ignore[union-attr]
            except BrokenPipeError:
                line = ""
            else:
                line = child.stdout.readline()  # type: ignore[union-attr]
            if not line:
                status = child.wait()
                raise SetupError(
                    f"{bundle.path}: the process that measures ended with status {status} at {command}; "
                    "what it said stands above; killed by signal 9 means that memory ran out"
                )
            answer: dict[str, Any] = json.loads(line)
            return answer

        try:
            yield ask({"load": str(bundle.path), "threads": threads}), ask
        finally:
            child.stdin.close()


def _machine() -> str:
    import onnxruntime

    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} x {model}, ONNX Runtime {onnxruntime.__version__}"
