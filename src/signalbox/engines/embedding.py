"""Vectors of texts: from a sentence encoder in this process, or from a server that speaks OpenAI's embeddings API."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from signalbox.bundles import Pooling
from signalbox.core import normalize
from signalbox.engines.reading import Reader
from signalbox.engines.remote import GARBAGE, Remote, RemoteError
from signalbox.engines.runtime import Gauge, Network, Pace
from signalbox.errors import RouterError

Vector = NDArray[np.float32]

BYTES_PER_DIM = 32  # of an answer: a number with all its digits, a comma and some white space
OVERHEAD_BYTES = 64 * 1024
MAX_DIMS = 65_536


class TooSlow(RouterError):
    """The vector cannot be there in time."""


class Embedder(Protocol):
    """Vectors of one model. Threads share one."""

    def vector(self, text: str, deadline: float) -> Vector:
        """Return the vector, float32, (dims,). deadline: `time.monotonic()` seconds. Raises RouterError."""

    def close(self) -> None: ...


class Encoder:
    """A sentence encoder's bundle: the states of a text's tokens, pooled and of length one."""

    def __init__(self, network: Network, reader: Reader, pooling: Pooling, pace: Pace) -> None:
        self._network = network
        self._reader = reader
        self._pooling = pooling
        self._gauge = Gauge(pace)

    def vector(self, text: str, deadline: float) -> Vector:
        """As the interface says; `text` is within the reader's budget."""
        ids = self._reader.ids(text)
        began = time.monotonic()
        if not self._gauge.fits(len(ids), deadline - began):
            raise TooSlow("a run would not end in time")
        states = self._network.run_ids(ids)
        self._gauge.took(len(ids), time.monotonic() - began)
        if states.ndim != 3 or states.shape[:2] != (1, len(ids)):
            raise RouterError(f"the encoder gave states of shape {states.shape}; expected (1, {len(ids)}, dims)")
        return normalize(np.ascontiguousarray(_pooled(states[0], self._pooling), dtype=np.float32))

    def close(self) -> None:
        """Nothing is held but memory."""


def _pooled(states: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float32]:
    """Return one row for all: every token counts, for a text alone in its run has no padding."""
    if pooling is Pooling.CLS:
        first: NDArray[np.float32] = states[0]
        return first
    if pooling is Pooling.LAST:
        last: NDArray[np.float32] = states[-1]
        return last
    mean: NDArray[np.float32] = states.mean(axis=0)
    return mean


class ServedEncoder:
    """A server's embeddings. dims: length of a vector, which is asked for where the model can do several."""

    def __init__(self, remote: Remote, model: str, dims: int) -> None:
        self._remote = remote
        self._model = model
        self._dims = dims

    def vector(self, text: str, deadline: float) -> Vector:
        """As the interface says. Raises RemoteError with `garbage` for an answer that is no such vector."""
        body = json.dumps({"model": self._model, "input": text, "encoding_format": "float"}).encode()
        found = self._remote.post(
            "/embeddings", body, deadline=deadline, max_bytes=OVERHEAD_BYTES + BYTES_PER_DIM * self._dims
        )
        try:
            vector = np.array(json.loads(found)["data"][0]["embedding"], dtype=np.float32)
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as problem:
            raise RemoteError(GARBAGE) from problem
        if vector.shape != (self._dims,) or not np.isfinite(vector).all():
            raise RemoteError(GARBAGE)
        return vector

    def close(self) -> None:
        self._remote.close()


class Cached:
    """The vectors of another, kept for a while under a hash of their text. entries: kept at most, oldest use first."""

    def __init__(
        self, embedder: Embedder, entries: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._embedder = embedder
        self._entries = entries
        self._seconds = seconds
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, Vector]] = OrderedDict()
        self._lock = threading.Lock()

    def vector(self, text: str, deadline: float) -> Vector:
        """As the interface says. What failed is not kept."""
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                if self._clock() < kept[0]:
                    self._kept.move_to_end(key)
                    return kept[1]
                del self._kept[key]
        found = self._embedder.vector(text, deadline)
        with self._lock:
            self._kept[key] = (self._clock() + self._seconds, found)
            self._kept.move_to_end(key)
            while len(self._kept) > self._entries:
                self._kept.popitem(last=False)
        return found

    def close(self) -> None:
        self._embedder.close()
