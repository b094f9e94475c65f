"""Tells the store what requests left behind, on a thread of its own: nothing in the collector waits for a store.

It also brings facts, such as how far a rollout has come, to the store and back; answers wait until they are taken.

Operations wait in a bounded queue. One that fails because the store is away is tried again until it is older than the
longest outage worth bridging; what is dropped then is counted. Every operation may be done twice without harm:
at worst a turn of a session counts twice.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from signalbox.collector.afterwards import Observe, Operation, Repin, Settle
from signalbox.store.base import Store, StoreError

MAX_WAITING = 50_000  # operations, some 300 bytes each
MAX_AGE_SECONDS = 120.0
PAUSE_SECONDS = 0.25  # before a store that failed is asked again


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep a fact. Taken back as an answer once the store has it."""

    name: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Recall:
    """Ask for a fact."""

    name: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """A fact as the store has it; None: it has none."""

    name: str
    value: bytes | None


Answer = Keep | Recalled


class Settler:
    """Owns a store on behalf of the collector. `close` ends its thread and the store."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._waiting: deque[tuple[float, Operation | Keep | Recall]] = deque()
        self._answers: deque[Answer] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="settler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, operations: Iterable[Operation | Keep | Recall]) -> None:
        """Take operations to be done soon. Never waits."""
        now = self._clock()
        with self._wake:
            for operation in operations:
                if len(self._waiting) >= MAX_WAITING:
                    self._waiting.popleft()
                    self.dropped += 1
                self._waiting.append((now, operation))
            self._wake.notify()

    def take_answers(self) -> list[Answer]:
        """Return what the store has kept and what it was asked for, in the order that happened."""
        taken = []
        while self._answers:
            taken.append(self._answers.popleft())
        return taken

    def close(self, seconds: float = 2.0) -> None:
        """Do what still waits, as far as that is possible in this time, and let go of the store."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(seconds)

    def _work(self) -> None:
        try:
            while self._next():
                pass
        finally:
            self._store.close()

    def _next(self) -> bool:
        """Do one operation. Returns whether there will be more."""
        with self._wake:
            while not self._waiting and not self._closing:
                self._wake.wait()
            if not self._waiting:
                return False
            since, operation = self._waiting[0]
        try:
            answer = perform(self._store, operation)
        except StoreError:
            if self._clock() - since < MAX_AGE_SECONDS and not self._closing:
                time.sleep(PAUSE_SECONDS)
                return True
            self.dropped += 1
        else:
            if answer is not None:
                self._answers.append(answer)
        with self._wake:
            if self._waiting and self._waiting[0][1] is operation:
                self._waiting.popleft()
        return True


def perform(store: Store, operation: Operation | Keep | Recall) -> Answer | None:
    """Tell the store. Returns what the collector waits for, if it does. Raises StoreError."""
    match operation:
        case Settle(request, amounts):
            store.settle(request, amounts)
        case Repin(session, model, instead_of, ttl_seconds):
            store.claim(session, model, ttl_seconds, instead_of=instead_of)
        case Observe(session, model, input_tokens, cached_tokens, turns):
            store.observe(session, model, input_tokens, cached_tokens, turns)
        case Keep(name, value):
            store.put(name, value)
            return operation
        case Recall(name):
            return Recalled(name, store.get(name))
    return None
