"""What a worker's decisions have around them: the newest snapshot, and the store of the policy that serves."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from signalbox.extproc.edge import Edge
from signalbox.policy.world import State
from signalbox.store.absent import AbsentStore
from signalbox.store.base import Store
from signalbox.store.open import open_store
from signalbox.world import Snapshot
from signalbox.world_file import WORLD_FILE, WorldReader


class Surroundings:
    """Makes the `Edge` of each policy; owns the thread that reads snapshots, and opens stores.

    failed: told why a store cannot be opened. `edge` may be called from one thread at a time, another than the one
    that decides.
    """

    def __init__(
        self,
        run_dir: Path,
        failed: Callable[[str], None],
        opener: Callable[[State, Path], Store] = open_store,
    ) -> None:
        self._run_dir = run_dir
        self._failed = failed
        self._opener = opener
        self._reader = WorldReader(run_dir / WORLD_FILE)
        self._state: State | None = None
        self._store: Store | None = None
        self._edge = Edge(None, self._world)
        self._letting_go: weakref.finalize[..., Edge] | None = None

    def start(self) -> None:
        """Read the newest snapshot, and go on reading in a thread."""
        self._reader.start()

    def edge(self, state: State | None) -> Edge:
        """Return the edge of a policy with this `state`; None: none of its decisions needs a store.

        As long as `state` is the same, so is the edge. A former edge's store is closed once nobody holds that edge any
        more: an RPC under way keeps it. Raises nothing.
        """
        if state == self._state:
            return self._edge
        self._state = state
        self._store = None if state is None else self._open(state)
        self._edge = Edge(self._store, self._world)
        self._letting_go = None
        if self._store is not None:
            self._letting_go = weakref.finalize(self._edge, _close_aside, self._store)
            self._letting_go.atexit = False  # `close` is for that
        return self._edge

    def close(self) -> None:
        """Stop reading and let go of the store. To be called when nothing is decided any more."""
        self._reader.close()
        if self._letting_go is not None and self._store is not None:
            self._letting_go.detach()
            self._store.close()

    def _world(self) -> Snapshot:
        return self._reader.current

    def _open(self, state: State) -> Store:
        try:
            return self._opener(state, self._run_dir)
        except Exception as problem:  # noqa: BLE001 - decisions are made without a store rather than not at all
            self._failed(f"{type(problem).__name__}: {problem}")
            return AbsentStore(str(problem))


def _close_aside(store: Store) -> None:
    # In a thread of its own: the last to let go may be the thread that decides, and closing takes milliseconds.
    threading.Thread(target=store.close, name="store-close").start()
