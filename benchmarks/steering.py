"""Does a shift hold the limit without swinging, is a rollback right, and what do the controllers cost?

    python -m benchmarks.steering [--seeds N] [--plot DIRECTORY]

Simulations with fixed seeds, so the first two tables are the same on every machine. The shift: a local server's load
goes from half of its capacity to 1, 1.3 or 2 times of it and back. The rollback: two hundred runs with a new side
exactly at its limits, and with one three times worse. The third table is time, in microseconds. With --plot it also
draws one overload.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import fmean, median, pstdev

from benchmarks.environment import describe
from signalbox.collector.live.circuit import Circuits
from signalbox.collector.live.shift import Shifts
from signalbox.policy.schema import Policy
from signalbox.telemetry import AttemptOutcome
from tests.simulation.queueing import Server, Steering, Trace, simulate, swings
from tests.simulation.steering import (
    END,
    FALL,
    LIMIT_SECONDS,
    RISE,
    SERVERS,
    ByTtft,
    Thermostat,
    over,
    step,
)
from tests.simulation.two_sides import requests, run

PEAKS = (1.0, 1.3, 2.0)
MODELS = 200
RUNS = 200


def shift_row(name: str, steering: Callable[[], Steering], server: Server, peak: float, seeds: int) -> str:
    traces = [simulate(steering(), step(peak), END, server, seed) for seed in range(1, seeds + 1)]
    steady = [trace.shares(RISE + 480, FALL) for trace in traces]
    cells = (
        max(trace.p95(RISE + 120, FALL) for trace in traces),
        max(over(trace, RISE + 120, FALL) for trace in traces),
        1 - 1 / peak,
        fmean(fmean(shares) for shares in steady),
        max(pstdev(shares) for shares in steady),
        max(swings(shares) for shares in steady),
        max(max(trace.shares(FALL + 900)) for trace in traces),
    )
    return f"| {name} | {peak} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


def rollback_rows() -> list[str]:
    rows = []
    for share in (0.1, 0.6):
        at_limits = [
            run(requests(seed, share, 0.05, 1.5, 1.5), 1000, confidence=0.9, min_requests=10) for seed in range(RUNS)
        ]
        wrong = sum(each is not None for each in at_limits)
        rows.append(f"| at its limits, confidence 0.9 | {share} | {wrong / RUNS:.3f} | |")
    for name, worse in (("failures", {"errors": 0.15}), ("time", {"slower": 3.0}), ("cost", {"dearer": 3.0})):
        found = [run(requests(seed, 0.1, **worse), 5000) for seed in range(RUNS)]
        needed = sorted(each.requests for each in found if each is not None)
        share = f"{len(needed) / RUNS:.3f}"
        rows.append(f"| three times the {name}, confidence 0.99 | 0.1 | {share} | {median(needed):.0f}, {needed[-1]} |")
    return rows


def policy() -> Policy:
    models = {f"m{index}": {"provider": "p"} for index in range(MODELS)}
    router = {"models": list(models), "slo": {"ttft_p95_ms": 500, "latency_p95_ms": 9000}}
    providers = {"p": {"endpoint": "http://p.test/v1"}}
    return Policy.model_validate({"version": 1, "providers": providers, "models": models, "routers": {"r": router}})


def microseconds(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times * 1e6


def cost_rows() -> list[str]:
    circuits, shifts, dice = Circuits(policy()), Shifts(policy()), Random(1)
    for index in range(MODELS):
        for sample in range(600):
            shifts.observe(f"m{index}", dice.random(), dice.random() * 10, sample / 60)
    ended = requests(1, 0.5)
    seen = [next(ended) for _ in range(20_000)]
    later = iter(range(10**9))
    rollout_microseconds = microseconds(lambda: run(iter(seen), len(seen)), 1) / len(seen)
    attempt = microseconds(lambda: circuits.attempt("m0", AttemptOutcome.OK, None, next(later) * 1e-3), 50_000)
    # Before anything is added, or the tick would not have as many samples for every model.
    tick = microseconds(lambda: shifts.tick(10.0, {}, lambda router, model: None), 10)
    success = microseconds(lambda: shifts.observe("m0", 0.2, 2.0, 10.0), 50_000)
    return [
        f"| circuit, one attempt | {attempt:.1f} |",
        f"| shift, one success | {success:.1f} |",
        f"| shifts, one tick of {MODELS} models with two limits, 256 samples each | {tick:,.0f} |",
        f"| rollout, one request with three limits | {rollout_microseconds:.1f} |",
    ]


def plot(directory: Path) -> Path:
    """Draw one overload: share, and percentile of all requests, with the controller and without. Returns the file."""
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "signalbox"  # the same figures give the same file
    figure, (above, below) = pyplot.subplots(2, sharex=True, figsize=(7, 5))
    runs = {"shift": ByTtft(), "all or nothing": Thermostat()}
    for name, steering in runs.items():
        trace: Trace = simulate(steering, step(1.3), END)
        width = 1.5 if name == "shift" else 0.5
        above.plot([each.at for each in trace.moments], [each.share for each in trace.moments], label=name, lw=width)
        spans = trace.p95_by(20.0, 0, END)
        below.plot([20.0 * index + 10 for index in range(len(spans))], spans, label=name, lw=width)
    below.axhline(LIMIT_SECONDS, color="k", ls=":", label="limit")
    for axes in (above, below):
        axes.axvspan(RISE, FALL, color="k", alpha=0.06)
        axes.legend(loc="upper right")
    above.set(ylabel="share moved away", ylim=(0, 1), title="Load at 1.3 times the capacity (grey), half of it else")
    below.set(ylabel="TTFT, p95 of all, seconds", xlabel="seconds", ylim=(0, 3 * LIMIT_SECONDS))
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "shift.svg"
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="simulations of each overload")
    parser.add_argument("--plot", type=Path, metavar="DIRECTORY", help="draw shift.svg here")
    options = parser.parse_args()

    print(describe() + "\n")
    print("| server | load | p95 of all, s | minutes far over | least share | mean share | deviation | swings | left |")
    print("|" + "---|" * 9)
    for name, server in SERVERS.items():
        for peak in PEAKS:
            print(shift_row(name, ByTtft, server, peak, options.seeds))
    print(shift_row("32 slots, all or nothing", Thermostat, Server(), 1.3, options.seeds))
    print(f"\nLimit {LIMIT_SECONDS} s, from two minutes after the step; the worst of {options.seeds} seeds.\n")
    print("| new side | share | rolled back | requests needed: median, most |\n|" + "---|" * 4)
    print("\n".join(rollback_rows()) + "\n")
    print("| what | microseconds |\n|---|---|")
    print("\n".join(cost_rows()))
    if options.plot is not None:
        print(f"\n{plot(options.plot)}")


if __name__ == "__main__":
    main()
