"""Servers that answer as told, a clock that stands still, and a policy with sources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from signalbox.collector.sources.fetch import open_session
from signalbox.policy.load import load_text
from signalbox.policy.schema import Policy


class Clock:
    """Seconds that pass only when told."""

    def __init__(self, seconds: float = 1_000_000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


class Told:
    """What a fake server answers next, and what it was asked."""

    def __init__(self) -> None:
        self.body: bytes = b""
        self.status = 200
        self.delay_seconds = 0.0
        self.drop = False  # the connection, in the middle of the answer
        self.headers: dict[str, str] = {}
        self.asked: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        await asyncio.sleep(self.delay_seconds)
        if self.drop:
            response = web.StreamResponse(headers={"content-length": "1000"})
            await response.prepare(request)
            await response.write(b"{")
            assert request.transport is not None
            request.transport.close()
            return response
        return web.Response(body=self.body, status=self.status, headers=self.headers)


@asynccontextmanager
async def fake_server() -> AsyncIterator[tuple[Told, str, aiohttp.ClientSession]]:
    """A server on a free port, its base URL, and a session to ask it with."""
    told = Told()
    app = web.Application()
    app.router.add_get("/{path:.*}", told.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    async with open_session() as session:
        yield told, f"http://127.0.0.1:{port}", session
    await runner.cleanup()


def with_server(test: Callable[[Told, str, aiohttp.ClientSession], Awaitable[None]]) -> None:
    """Run a test with a fake server of its own."""

    async def run() -> None:
        async with fake_server() as (told, url, session):
            await test(told, url, session)

    asyncio.run(run())


def policy(**more: Any) -> Policy:
    """Return a policy of a cloud and a local model, and of one that both serve."""
    document = {
        "version": 1,
        "providers": {
            "acme": {"endpoint": "https://api.acme.example/v1"},
            "home": {"endpoint": "http://127.0.0.1:8000/v1", "location": "local"},
        },
        "models": {
            "large": {"provider": "acme", "name": "acme/large-1"},
            "priced": {"provider": "acme", "price": {"input": 1, "output": 2}},
            "open-cloud": {"provider": "acme", "name": "open/weights"},
            "small": {"provider": "home", "name": "open/weights"},
        },
        **more,
    }
    return load_text(yaml.safe_dump(document).encode(), "policy.yaml").policy
