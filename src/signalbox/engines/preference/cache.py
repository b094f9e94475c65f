"""Answers to prompts that were asked before. A prompt is kept as its hash, never as text."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

from signalbox.engines.base import Answer


class DecisionCache:
    """Prompt -> answer, for prompts that are the same to the byte. Threads share one.

    What was used last stays longest; nothing stays longer than `ttl_seconds`. With no entries it remembers nothing.
    """

    def __init__(self, max_entries: int, ttl_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_entries = max_entries
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._answers: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, prompt: bytes) -> Answer | None:
        key = _key(prompt)
        with self._lock:
            found = self._answers.get(key)
            if found is None:
                return None
            until, answer = found
            if self._clock() >= until:
                del self._answers[key]
                return None
            self._answers.move_to_end(key)
            return answer

    def put(self, prompt: bytes, answer: Answer) -> None:
        key = _key(prompt)
        with self._lock:
            self._answers[key] = (self._clock() + self._ttl_seconds, answer)
            self._answers.move_to_end(key)
            while len(self._answers) > self._max_entries:
                self._answers.popitem(last=False)


def _key(prompt: bytes) -> bytes:
    return blake2b(prompt, digest_size=16).digest()
