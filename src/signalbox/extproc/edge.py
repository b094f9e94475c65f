"""What surrounds a decision that is not a plain function: the world, the dice, and the store.

    pin of the session ──> decide ──> claim the session ──> hold the budgets ──> decision
                             ^               │ somebody else was first  │ a budget is spent
                             └───────────────┴──────────────────────────┘ decided once more, knowing that

The store is asked within its time budget. When it gives no answer the decision stands as it is: that costs stickiness
or the exactness of a budget, never a request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from signalbox.decide.pipeline import Pipeline
from signalbox.extproc.last_pins import LastPins
from signalbox.store.base import Store, StoreError
from signalbox.types import Case, Decision, Features, ParsedRequest, PinOutcome, Signals
from signalbox.world import NOTHING_KNOWN, Pin, Snapshot

MAX_ROUNDS = 8  # one for the session and one for each limit of a policy; the rest stays unheld


class Begun(NamedTuple):
    """A case to be decided. ttl_seconds: how long a pin of its session lives; None: the store has no part in it."""

    case: Case
    ttl_seconds: int | None


def nothing_known() -> Snapshot:
    return NOTHING_KNOWN


class Edge:
    """Makes decisions with everything around them. One per worker; used by its one serving thread."""

    def __init__(self, store: Store | None = None, world: Callable[[], Snapshot] = nothing_known) -> None:
        self._store = store
        self._world = world
        self._last_pins = LastPins()

    @property
    def store(self) -> Store | None:
        """For the serving thread alone."""
        return self._store

    def decide(
        self, pipeline: Pipeline, request: ParsedRequest, features: Features, signals: Signals
    ) -> tuple[Decision, Case]:
        """Return the decision, and the case it was made of.

        signals: what the caller knows; the world, the session's pin and spent budgets are filled in here.
        Raises RequestError as `Pipeline.decide` does.
        """
        return self.settle(pipeline, self.begin(pipeline, request, features, signals))

    def begin(self, pipeline: Pipeline, request: ParsedRequest, features: Features, signals: Signals) -> Begun:
        """Return the case with all that is known before a decision: the first half of `decide`."""
        store = self._store
        if store is None or not pipeline.needs_store:
            return Begun(Case(request, features, _seeing(signals, self._world())), None)
        signals, ttl_seconds = self._with_pin(store, pipeline, request, signals)
        return Begun(Case(request, features, signals), ttl_seconds)

    def settle(self, pipeline: Pipeline, begun: Begun) -> tuple[Decision, Case]:
        """Decide, and claim what the decision needs: the second half."""
        case, ttl_seconds = begun
        store = self._store
        decision = pipeline.decide(case)
        if store is None or ttl_seconds is None:
            return decision, case
        for _ in range(MAX_ROUNDS):
            if case.signals.store:
                break
            try:
                learned = self._claim(store, decision, case.signals, ttl_seconds)
            except StoreError as fault:
                case = replace(case, signals=replace(case.signals, store=fault.kind))
                break
            if learned is None:
                break
            case = replace(case, signals=learned)
            decision = pipeline.decide(case)
        return decision, case

    def _with_pin(
        self, store: Store, pipeline: Pipeline, request: ParsedRequest, signals: Signals
    ) -> tuple[Signals, int]:
        """Return the signals with the world, the session and its pin, and how long a pin lives."""
        world = self._world()
        session = pipeline.session(request)
        if session is None:
            return _seeing(signals, world), 0
        key, ttl_seconds, fault = session.key, session.ttl_seconds, ""
        try:
            pin = store.pin(key, ttl_seconds)
        except StoreError as problem:
            pin, fault = self._last_pins.get(key, signals.now_seconds), problem.kind
        else:
            self._last_pins.note(key, pin, signals.now_seconds + ttl_seconds)
        # Weights, rollouts and shifts follow the session as well, whichever way it was named.
        return _seeing(signals, world, key, key, pin, fault), ttl_seconds

    def _claim(self, store: Store, decision: Decision, signals: Signals, ttl_seconds: int) -> Signals | None:
        """Claim what a decision needs. Returns what was learned if it has to be made again, None if it stands."""
        if decision.pin in (PinOutcome.NEW, PinOutcome.MOVED):
            model = decision.chain[0].model
            before = None if signals.pin is None else signals.pin.model
            pin = store.claim(signals.session_key, model, ttl_seconds, instead_of=before)
            self._last_pins.note(signals.session_key, pin, signals.now_seconds + ttl_seconds)
            if pin.model != model:
                return replace(signals, pin=pin)
        if decision.holds:
            spent = store.hold(decision.id, decision.holds, signals.now_seconds)
            if spent is not None:
                return replace(signals, spent=signals.spent | {spent})
        return None


def _seeing(
    signals: Signals, world: Snapshot, session: str = "", session_key: str = "", pin: Pin | None = None, store: str = ""
) -> Signals:
    # Written out: `dataclasses.replace` takes twice as long, and this is done for every request.
    return Signals(
        signals.decision_id,
        signals.now_seconds,
        session or signals.session,
        signals.dice,
        world,
        session_key,
        pin,
        signals.spent,
        store,
    )
