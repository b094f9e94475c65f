"""A price list on the web: asked, checked, and kept in memory and in a file until a better answer comes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec

from signalbox.collector.sources.fetch import get
from signalbox.collector.sources.loop import SourceError
from signalbox.errors import SignalError
from signalbox.policy.schema import Policy
from signalbox.policy.world import PriceSource
from signalbox.prices.check import checked
from signalbox.prices.lists import Key, PriceList, find, read, sections_of
from signalbox.telemetry import SourceOutcome
from signalbox.types import Price

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_FILE_BYTES = MAX_BODY_BYTES
FILE_MODE = 0o640

Clock = Callable[[], float]


class Kept(NamedTuple):
    """A price and when it was read, by the monotonic clock."""

    price: Price
    read_seconds: float


class _Line(msgspec.Struct, array_like=True):
    """One kept price in the file. read_seconds: since the epoch."""

    section: str
    model: str
    price: tuple[float, float, float | None]
    read_seconds: float


class _File(msgspec.Struct):
    lines: list[_Line]
    hosts: dict[str, tuple[str, ...]]


class WebPrices:
    """The last good figures of one list.

    directory: where they are kept over a restart, in a file of their own. clock: seconds that never go back.
    wall: seconds since the epoch, for the file alone; a file from the future counts as one of now.
    """

    def __init__(
        self,
        source: PriceSource,
        session: aiohttp.ClientSession,
        directory: Path,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self._source = source
        self._session = session
        self._clock = clock
        self._wall = wall
        identity = sha256(f"{source.format} {source.url}".encode()).hexdigest()[:12]
        self.file = directory / f"prices-{identity}.json"
        self._kept: dict[Key, Kept] = {}
        self._hosts: Mapping[str, tuple[str, ...]] = {}
        self._restore()

    async def refresh(self) -> SourceOutcome:
        """Ask once and keep what is good. Raises SourceError, and then everything is as it was."""
        source = self._source
        body = await get(
            self._session,
            source.url,
            timeout_seconds=source.timeout_seconds,
            max_bytes=MAX_BODY_BYTES,
            redirects=True,
        )
        try:
            found = await asyncio.to_thread(read, body, source.format)
        except SignalError as problem:
            raise SourceError(SourceOutcome.UNREADABLE, str(problem)) from problem
        if not found.prices:
            outcome = SourceOutcome.ABSURD if found.absurd else SourceOutcome.EMPTY
            raise SourceError(outcome, "no price in it")
        self._take(found)
        await asyncio.to_thread(self._save)
        return SourceOutcome.PARTIAL if found.absurd else SourceOutcome.UPDATED

    def price(self, host: str, provider: str, model: str) -> Price | None:
        """Return what a provider charges for a model, unless the list does not say or said so too long ago.

        host: of the provider's endpoint. provider: the policy's name for it. model: the provider's own name.
        """
        oldest = self._clock() - self._source.max_age_seconds
        sections = sections_of(self._hosts, host, provider)
        keys = [(section, model.lower()) for section in sections]
        fresh = {key: kept.price for key in keys if (kept := self._kept.get(key)) and kept.read_seconds >= oldest}
        return find(fresh, sections, model)

    def _take(self, found: PriceList) -> None:
        """Replace the list; a price that has become absurd keeps its last good figure, and that figure's age."""
        now = self._clock()
        kept = {key: Kept(price, now) for key, price in found.prices.items()}
        for key in found.absurd:
            before = self._kept.get(key)
            if before is not None:
                kept.setdefault(key, before)
        self._kept, self._hosts = kept, found.hosts

    # ------------------------------------------------------------------ over a restart

    def _save(self) -> None:
        """Write the file. Whoever cannot write it still has the prices; the next start asks anew."""
        offset = self._wall() - self._clock()
        content = msgspec.json.encode(
            _File(
                [_Line(*key, _figures(kept.price), kept.read_seconds + offset) for key, kept in self._kept.items()],
                dict(self._hosts),
            )
        )
        draft = self.file.with_name(f".{self.file.name}.new")
        try:
            with draft.open("wb") as file:
                os.fchmod(file.fileno(), FILE_MODE)
                file.write(content)
            os.replace(draft, self.file)
        except OSError as problem:
            raise SourceError(SourceOutcome.NOT_KEPT, f"{self.file}: {problem.strerror}") from problem

    def _restore(self) -> None:
        """Read the file, if there is a good one."""
        try:
            if self.file.stat().st_size > MAX_FILE_BYTES:
                return
            content = msgspec.json.decode(self.file.read_bytes(), type=_File)
        except (OSError, msgspec.MsgspecError, RecursionError):
            return  # as at the very first start
        now, wall = self._clock(), self._wall()
        for line in content.lines:
            price = checked(*line.price)
            if price is not None:
                age_seconds = max(0.0, wall - line.read_seconds)
                self._kept[line.section, line.model] = Kept(price, now - age_seconds)
        self._hosts = content.hosts


def _figures(price: Price) -> tuple[float, float, float | None]:
    return price.input_usd_per_mtok, price.output_usd_per_mtok, price.cached_usd_per_mtok


def web_prices(policy: Policy, sources: list[WebPrices]) -> dict[str, tuple[float, float, float]]:
    """Return what `ModelState.price` is to hold, by model: USD per million tokens of input, output and cached input.

    The first of `sources` that knows a model counts. Models with a price of the policy's, and those of local
    providers, are not looked for.
    """
    found = {}
    for name, model in policy.models.items():
        provider = policy.providers[model.provider]
        if model.price is not None or provider.is_local:
            continue
        for source in sources:
            price = source.price(provider.host, model.provider, model.name or name)
            if price is not None:
                cached = price.cached_usd_per_mtok
                found[name] = (
                    price.input_usd_per_mtok,
                    price.output_usd_per_mtok,
                    price.input_usd_per_mtok if cached is None else cached,
                )
                break
    return found
