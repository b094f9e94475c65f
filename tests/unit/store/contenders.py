"""What one of several processes does that want the same thing at once."""

from __future__ import annotations

from pathlib import Path

from signalbox.policy.world import Redis
from signalbox.store.base import Store, StoreError
from signalbox.store.embedded import EmbeddedStore
from signalbox.store.shared import RedisStore
from signalbox.world import Hold

NOW = 1_760_000_000.0


def open_one(where: str) -> Store:
    """where: a file, or the URL of a server."""
    if "://" in where:
        return RedisStore(Redis(url=where).model_copy(update={"timeout_ms": 10_000.0}))
    return EmbeddedStore(Path(where), timeout_ms=10_000)


def hold_all(where: str, name: str, tries: int, amount: int, limit: int) -> list[str]:
    """Returns the requests whose hold was granted."""
    store = open_one(where)
    try:
        wanted = [f"{name}-{number}" for number in range(tries)]
        holds = [Hold("budget", amount, limit, NOW + 900), Hold(f"own-{name}", 1, 10**9, NOW + 900)]
        return [request for request in wanted if store.hold(request, holds, NOW) is None]
    finally:
        store.close()


def settle_all(where: str, amounts: list[tuple[str, int]]) -> None:
    store = open_one(where)
    try:
        for request, amount in amounts:
            store.settle(request, [("budget", amount)])
    finally:
        store.close()


def claim_all(where: str, model: str, sessions: int) -> list[tuple[str, int]]:
    """Returns the model and turns each session's claim was told."""
    store = open_one(where)
    try:
        return [store.claim(f"session-{number}", model, 600)[:2] for number in range(sessions)]
    finally:
        store.close()


def begin_and_wait(file: str, ready: str) -> None:
    """Take the file's write lock and never give it back."""
    store = EmbeddedStore(Path(file), tidy=False)
    assert store._connection is not None
    store._connection.execute("BEGIN IMMEDIATE")
    store._connection.execute("DELETE FROM pins")
    Path(ready).touch()
    while True:
        try:
            store.pin("s", 1)
        except StoreError:
            raise SystemExit(1) from None
