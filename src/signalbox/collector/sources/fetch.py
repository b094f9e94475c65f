"""One GET with an end to everything: time, size, redirects."""

from __future__ import annotations

import aiohttp

from signalbox import __version__
from signalbox.collector.sources.loop import SourceError
from signalbox.telemetry import SourceOutcome

CHUNK_BYTES = 64 * 1024


def open_session() -> aiohttp.ClientSession:
    """Return a session for all sources. Proxies are those of the environment; cookies are not kept."""
    return aiohttp.ClientSession(
        trust_env=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"user-agent": f"signalbox/{__version__}", "accept": "application/json"},
    )


async def get(
    session: aiohttp.ClientSession,
    url: str,
    *,
    timeout_seconds: float,
    max_bytes: int,
    params: dict[str, str] | None = None,
    token: str | None = None,
    redirects: bool = False,
) -> bytes:
    """Return the body of a 200. max_bytes: after decompression. token: sent as a bearer. Raises SourceError."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    try:
        async with session.get(
            url,
            params=params,
            headers=headers,
            allow_redirects=redirects,
            max_redirects=3,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        ) as response:
            if response.status != 200:
                raise SourceError(SourceOutcome.STATUS, f"status {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                body += chunk
                if len(body) > max_bytes:
                    raise SourceError(SourceOutcome.TOO_LARGE, f"over {max_bytes} bytes")
            return bytes(body)
    except TimeoutError as problem:
        raise SourceError(SourceOutcome.TIMEOUT, f"no answer within {timeout_seconds:g} s") from problem
    except (aiohttp.ClientError, OSError) as problem:
        raise SourceError(SourceOutcome.UNREACHABLE, type(problem).__name__) from problem
