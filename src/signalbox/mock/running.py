"""A mock provider for code that is not async: it runs on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from signalbox.mock.provider import MockProvider


@contextmanager
def running_mock(name: str = "mock", **options: Any) -> Iterator[MockProvider]:
    """A provider that listens for as long as the block runs.

    options: as for MockProvider. Raises SetupError when its address cannot be taken.
    """
    provider = MockProvider(name, **options)
    listening: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with provider:
            listening.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as problem:  # it belongs to the thread that waits
            if listening.done():
                raise
            listening.set_exception(problem)

    thread = threading.Thread(target=run, name=f"mock-{name}", daemon=True)
    thread.start()
    loop, stop = listening.result()
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
