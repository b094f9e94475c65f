"""A server that works on a few answers at once and lets the others wait: what fills up when load grows.

Requests wait in the order they came. A client that leaves gives up its place, in the queue or in a slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """Answers under way at one provider. total: how many at once; None for any number."""

    def __init__(self, total: int | None) -> None:
        if total is not None and total < 1:
            raise ValueError(f"slots: {total} is too few; expected 1 or more, or None for any number")
        self.total = total
        self.running = 0
        self.waiting = 0
        self._free = None if total is None else asyncio.Semaphore(total)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for a slot, and keep it for as long as the block runs."""
        if self._free is not None:
            self.waiting += 1
            try:
                await self._free.acquire()
            finally:
                self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            if self._free is not None:
                self._free.release()

    def vllm_metrics(self, model: str) -> str:
        """Return what vLLM's /metrics says of running and waiting requests, and of a cache as full as the slots are.

        https://docs.vllm.ai/en/latest/design/metrics.html
        """
        usage = 0.0 if self.total is None else self.running / self.total
        label = model.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        lines = []
        for name, value in (
            ("num_requests_running", self.running),
            ("num_requests_waiting", self.waiting),
            ("kv_cache_usage_perc", usage),
        ):
            lines += [f"# TYPE vllm:{name} gauge", f'vllm:{name}{{model_name="{label}"}} {value:g}']
        return "\n".join(lines) + "\n"
