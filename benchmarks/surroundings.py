"""What do sessions, budgets, rankings by measurement, an SLO and a rollout add to a decision?

    python -m benchmarks.surroundings [--seconds S]

Prints the median in microseconds of `Edge.decide` on a 1 KB chat, for the same router with more and more of it on, all
in front of a snapshot of 200 models and in turn, so that whatever else the machine does falls on all rows alike. The
store is measured apart: `decision` is with one that answers at once from memory, `embedded` with the file that all
workers of a pod share. What a request leaves behind is settled between two measurements, as the collector does it.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.decide import COMPLEXITY, POLICY, TASKS, WORLD, make_body
from benchmarks.environment import describe
from signalbox.core import scan
from signalbox.decide.pipeline import Pipeline
from signalbox.extproc.edge import Edge
from signalbox.features.extract import extract
from signalbox.policy.schema import Policy
from signalbox.store.absent import AbsentStore
from signalbox.store.base import Store
from signalbox.store.embedded import EmbeddedStore
from signalbox.types import Endpoint, ParsedRequest, Signals
from signalbox.world import Hold, Pin

TARGET_US = 20.0
SESSIONS = 1000
BLOCK, WARM = 50, 10  # decisions of one row at a time, and how many of them come too soon after another row's
RANKED = [{**task, "prefer": prefer} for task, prefer in zip(TASKS, ("balanced", "fastest"), strict=True)]
OFF: dict[str, Any] = {
    "tasks": [{"name": task["name"], "models": task["models"]} for task in TASKS],
    "complexity": COMPLEXITY,
    "default_task": "simple",
    "fallback": ["large"],
}
STEPS: dict[str, dict[str, Any]] = {
    "all off": {},
    "ranked by measurement": {"tasks": RANKED},
    "and an SLO": {"slo": {"ttft_p95_ms": 1500}},
    "and a rollout": {"rollout": {"percent": 100, "otherwise": "large"}},
    "and sessions": {"affinity": {"mode": "budgeted"}},
    "and a budget: all on": {"budget": {"usd_per_day": 1_000_000}},
}


class Instant(AbsentStore):
    """A store that knows every session and grants every hold, at once."""

    def __init__(self) -> None:
        super().__init__("not asked for")
        self._pin = Pin("small", 3, 1000, 900)

    def pin(self, session: str, ttl_seconds: int) -> Pin | None:
        return self._pin

    def claim(self, session: str, model: str, ttl_seconds: int, *, instead_of: str | None = None) -> Pin:
        return Pin(model, 1)

    def hold(self, request: str, holds: Sequence[Hold], now_seconds: float) -> str | None:
        return None

    def settle(self, request: str, amounts: Sequence[tuple[str, int]]) -> None:
        """There is nothing to settle."""


class Row:
    """One router and one store, and how long its decisions took."""

    def __init__(self, router: dict[str, Any], store: Store) -> None:
        policy = POLICY.model_dump(mode="json", exclude_unset=True)
        policy["routers"] = {"world": router}
        self.pipeline = Pipeline.compile(Policy.model_validate(policy))
        self.edge = Edge(store, lambda: WORLD)
        self.store = store
        self.took_ns: list[int] = []
        body = make_body("router:world", 1000)
        self.requests = [
            ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, scan(body), {"x-model-affinity": f"session-{number}"})
            for number in range(SESSIONS)
        ]
        self.features = extract(self.requests[0])

    def decide(self, number: int) -> None:
        signals = Signals(f"sb-{number}", 1.8e9, f"sb-{number}", dice=0.5)
        request = self.requests[number % SESSIONS]
        started = time.perf_counter_ns()
        decision, case = self.edge.decide(self.pipeline, request, self.features, signals)
        self.took_ns.append(time.perf_counter_ns() - started)
        if case.signals.store:
            raise SystemExit(f"the store was {case.signals.store}")
        self.store.settle(decision.id, [(hold.budget, hold.amount) for hold in decision.holds])

    def run(self, numbers: range) -> None:
        """Decide so often; the first few follow another row's, and are not counted."""
        before = len(self.took_ns)
        for number in numbers:
            self.decide(number)
        del self.took_ns[before : before + WARM]

    @property
    def us(self) -> float:
        return statistics.median(self.took_ns) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="for all rows together (default: 5)")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="sb-") as directory:
        routers = itertools.accumulate(STEPS.values(), lambda before, more: before | more, initial=OFF)
        routers = itertools.islice(routers, 1, None)
        rows: list[tuple[str, Row, Row]] = []
        for number, (name, router) in enumerate(zip(STEPS, routers, strict=True)):
            file = EmbeddedStore(Path(directory) / f"{number}.sqlite")
            rows.append((name, Row(router, Instant()), Row(router, file)))
        every = [row for _, *pair in rows for row in pair]
        for row in every:
            row.run(range(2 * SESSIONS))  # by then each session has its pin
            row.took_ns.clear()
        gc.collect()
        gc.freeze()
        end = time.perf_counter() + seconds
        for start in itertools.count(2 * SESSIONS, BLOCK):
            for row in every:
                row.run(range(start, start + BLOCK))
            if time.perf_counter() > end:
                break
        for row in every:
            row.store.close()

    print(describe())
    print(f"{len(every[0].took_ns):,} decisions in each row, p50, microseconds")
    print(f"{'':24} {'decision':>9} {'added':>7} {'embedded':>9} {'store':>7}")
    _, bare, _ = rows[0]
    for name, plain, kept in rows:
        print(f"{name:24} {plain.us:9.1f} {plain.us - bare.us:7.1f} {kept.us:9.1f} {kept.us - plain.us:7.1f}")
    added = rows[-1][1].us - bare.us
    share = added / bare.us
    print(f"added by all, without the store: {added:.1f} us, target {TARGET_US:.0f}; {share:.2f} of the bare decision")


if __name__ == "__main__":
    main()
