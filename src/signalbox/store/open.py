"""Which store a policy asks for."""

from __future__ import annotations

from pathlib import Path

from signalbox.policy.world import State
from signalbox.store.base import Store

FILE = "state.sqlite"


def open_store(state: State, run_dir: Path) -> Store:
    """Open the store of a policy: the file in the run directory, or the Redis server it names.

    A store that cannot be used now is opened all the same, and says so from each operation until it can.
    """
    if state.redis is None:
        from signalbox.store.embedded import EmbeddedStore

        return EmbeddedStore(run_dir / FILE)
    from signalbox.store.shared import RedisStore  # only those who use it load redis-py

    return RedisStore(state.redis)
