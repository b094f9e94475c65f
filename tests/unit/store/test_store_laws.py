"""Any sequence of operations, by two users at once, answers as one plain dictionary would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from signalbox.store.base import Store
from signalbox.store.lifetimes import SETTLED_SECONDS
from signalbox.world import Hold, Pin

from .benches import EmbeddedBench, RedisBench, StoreBench
from .redis_server import RedisServer

START = 1_760_000_000.0
SESSIONS = st.sampled_from(["s1", "s2"])
MODELS = st.sampled_from(["small", "large", "m 3"])
REQUESTS = st.sampled_from([f"r{number}" for number in range(5)])
BUDGETS = st.sampled_from(["team/2026-11-21", "team/2026-11", "key"])
AMOUNTS = st.integers(0, 60)
LIVES = st.sampled_from([160, 1600, 3100])  # no multiple of a thousand lies within the slack of one
HOLDS = st.lists(
    st.tuples(BUDGETS, AMOUNTS, st.sampled_from([50, 100]), st.sampled_from([-5.0, 30.0, 900.0])), max_size=3
)


class PlainStore:
    """What the contract says, without files or servers."""

    def __init__(self) -> None:
        self.elapsed = 0
        self.pins: dict[str, tuple[Pin, int]] = {}
        self.holds: dict[tuple[str, str], tuple[int, float]] = {}
        self.settled: dict[tuple[str, str], int] = {}
        self.totals: dict[str, int] = {}

    def pin(self, session: str, ttl_seconds: int) -> Pin | None:
        pin, end = self.pins.get(session, (None, 0))
        if pin is None or end <= self.elapsed:
            return None
        self.pins[session] = (pin, self.elapsed + ttl_seconds)
        return pin

    def claim(self, session: str, model: str, ttl_seconds: int, instead_of: str | None) -> Pin:
        pin = self.pin(session, ttl_seconds) or Pin(model)
        if pin.model == instead_of and pin.model != model:
            pin = Pin(model, pin.turns)
        self.pins[session] = (pin._replace(turns=pin.turns + 1), self.elapsed + ttl_seconds)
        return self.pins[session][0]

    def observe(self, session: str, model: str, input_tokens: int, cached_tokens: int, turns: int) -> None:
        pin, end = self.pins.get(session, (None, 0))
        if pin is not None and pin.model == model:
            shown = (input_tokens, cached_tokens) if input_tokens > 0 else pin[2:]
            self.pins[session] = (Pin(model, pin.turns + turns, *shown), end)

    def hold(self, request: str, holds: Sequence[Hold], now: float) -> str | None:
        wanted = {hold.budget: hold for hold in holds}
        for budget, hold in wanted.items():
            self.holds = {key: held for key, held in self.holds.items() if key[0] != budget or held[1] > now}
            if (budget, request) in self.settled:
                continue
            others = sum(held[0] for key, held in self.holds.items() if key[0] == budget and key[1] != request)
            if self.totals.get(budget, 0) + others >= hold.limit:
                return budget
        for budget, hold in wanted.items():
            if (budget, request) not in self.settled:
                self.holds[budget, request] = (hold.amount, hold.expires_seconds)
        return None

    def settle(self, request: str, amounts: Sequence[tuple[str, int]]) -> None:
        for budget, amount in amounts:
            if (budget, request) not in self.settled:
                self.settled[budget, request] = self.elapsed
                self.holds.pop((budget, request), None)
                self.totals[budget] = self.totals.get(budget, 0) + amount

    def spent(self, budget: str, now: float) -> tuple[int, int]:
        live = (held[0] for key, held in self.holds.items() if key[0] == budget and held[1] > now)
        return self.totals.get(budget, 0), sum(live)


class Laws(RuleBasedStateMachine):
    bench: StoreBench
    users: tuple[Store, Store]

    def __init__(self) -> None:
        super().__init__()
        self.bench.clear()
        self.plain = PlainStore()
        self.now = START
        self.turn = 0
        self.lives = {f"r{number}": 0 for number in range(5)}

    def store(self) -> Store:
        self.turn += 1
        return self.users[self.turn % 2]

    @rule(session=SESSIONS, ttl=LIVES)
    def pin(self, session: str, ttl: int) -> None:
        assert self.store().pin(session, ttl) == self.plain.pin(session, ttl)

    @rule(session=SESSIONS, model=MODELS, ttl=LIVES, instead_of=st.none() | MODELS)
    def claim(self, session: str, model: str, ttl: int, instead_of: str | None) -> None:
        found = self.store().claim(session, model, ttl, instead_of=instead_of)
        assert found == self.plain.claim(session, model, ttl, instead_of)

    @rule(session=SESSIONS, model=MODELS, tokens=st.integers(0, 2**40), cached=AMOUNTS, turns=st.integers(0, 1))
    def observe(self, session: str, model: str, tokens: int, cached: int, turns: int) -> None:
        self.store().observe(session, model, tokens, cached, turns)
        self.plain.observe(session, model, tokens, cached, turns)

    @rule(request=REQUESTS, wanted=HOLDS)
    def hold(self, request: str, wanted: list[tuple[str, int, int, float]]) -> None:
        holds = [Hold(budget, amount, limit, self.now + lasts) for budget, amount, limit, lasts in wanted]
        name = f"{request}/{self.lives[request]}"
        assert self.store().hold(name, holds, self.now) == self.plain.hold(name, holds, self.now)

    @rule(request=REQUESTS, amounts=st.lists(st.tuples(BUDGETS, AMOUNTS), max_size=3))
    def settle(self, request: str, amounts: list[tuple[str, int]]) -> None:
        name = f"{request}/{self.lives[request]}"
        self.store().settle(name, amounts)
        self.plain.settle(name, amounts)

    @rule(seconds=st.sampled_from([1000, 2000]))
    def time_passes(self, seconds: int) -> None:
        assert seconds >= SETTLED_SECONDS
        # Nothing is promised of a settlement repeated so late: these requests are over.
        for name in {request for _, request in self.plain.settled}:
            request, _, life = name.partition("/")
            self.lives[request] = max(self.lives[request], int(life) + 1)
        self.bench.advance(seconds)
        self.plain.elapsed += seconds
        self.now += seconds

    @rule(seconds=st.sampled_from([-600.0, -40.0, 29.5, 40.0]))
    def the_callers_clock_jumps(self, seconds: float) -> None:
        # A caller that lags behind by more than a settlement is kept for, in one hold's life, is on its own.
        self.now = max(self.now + seconds, START + self.plain.elapsed - 600.0)

    @invariant()
    def budgets_agree(self) -> None:
        for budget in ("team/2026-11-21", "team/2026-11", "key"):
            assert self.store().spent(budget, self.now) == self.plain.spent(budget, self.now)


def check(bench: StoreBench) -> None:
    class These(Laws):
        users = (bench.open(), bench.open())

    These.bench = bench
    run_state_machine_as_test(
        These,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_the_embedded_store_answers_as_a_dictionary(tmp_path: Path) -> None:
    bench = EmbeddedBench(tmp_path)
    check(bench)
    bench.close()


def test_the_shared_store_answers_as_a_dictionary(shared_server: RedisServer) -> None:
    bench = RedisBench(shared_server)
    check(bench)
    bench.close()
