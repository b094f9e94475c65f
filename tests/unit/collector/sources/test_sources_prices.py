"""Price lists on the web: what is believed, and what is kept when the web fails."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from signalbox.collector.sources import prices
from signalbox.collector.sources.loop import Refresher
from signalbox.collector.sources.prices import WebPrices, web_prices
from signalbox.policy.world import PriceSource
from signalbox.telemetry import SourceOutcome
from signalbox.types import Price
from signalbox.world import ModelState

from .servers import Clock, Told, policy, with_server

DAY = 86_400.0
GOOD = Price(3, 15, 0.3)


def body(cost: Any = None, **more: Any) -> bytes:
    """A list of one provider, whose large model costs 3 and 15 unless told otherwise."""
    cost = {"input": 3, "output": 15, "cache_read": 0.3} if cost is None else cost
    models = {"acme/large-1": {"cost": cost}, "other": {"cost": {"input": 1, "output": 1}}}
    return json.dumps({"acme": {"api": "https://api.acme.example/v1", "models": models}, **more}).encode()


class Asking:
    """One list, asked as the loop does it."""

    def __init__(self, url: str, session: aiohttp.ClientSession, directory: Path, timeout_seconds: float = 5) -> None:
        self.clock, self.wall = Clock(5000), Clock()
        source = PriceSource(
            url=f"{url}/api.json", format="models_dev", timeout_seconds=timeout_seconds, max_age_seconds=7 * DAY
        )
        self.list = WebPrices(source, session, directory, self.clock, self.wall)
        self._refresher = Refresher(
            self.list.refresh,
            lambda outcome: None,
            interval_seconds=60,
            timeout_seconds=timeout_seconds,
            dice=lambda: 0.5,
        )

    async def once(self) -> SourceOutcome:
        return await self._refresher.once()

    @property
    def price(self) -> Price | None:
        return self.list.price("api.acme.example", "acme", "acme/large-1")


def test_a_good_list_is_taken(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session, tmp_path)
        assert asking.price is None
        told.body = body()
        assert await asking.once() == SourceOutcome.UPDATED
        assert asking.price == GOOD
        told.body = body({"input": 4, "output": 20})
        assert await asking.once() == SourceOutcome.UPDATED
        assert asking.price == Price(4, 20)

    with_server(test)


BAD: dict[str, tuple[dict[str, Any], SourceOutcome]] = {
    "down": ({"drop": True}, SourceOutcome.UNREACHABLE),
    "slow": ({"delay_seconds": 5}, SourceOutcome.TIMEOUT),
    "an error page": ({"status": 503, "body": b"<html>"}, SourceOutcome.STATUS),
    "not there": ({"status": 404}, SourceOutcome.STATUS),
    "a page in place of the list": ({"body": b"<html>"}, SourceOutcome.UNREADABLE),
    "wrong type": ({"body": b"[1, 2]"}, SourceOutcome.UNREADABLE),
    "NaN": ({"body": body().replace(b"0.3", b"NaN")}, SourceOutcome.UNREADABLE),
    "empty body": ({"body": b""}, SourceOutcome.UNREADABLE),
    "empty list": ({"body": b"{}"}, SourceOutcome.EMPTY),
    "all free": (
        {"body": body({"input": 0, "output": 0}).replace(b'"input": 1', b'"input": 0')},
        SourceOutcome.EMPTY,
    ),
    "negative": ({"body": body({"input": -3, "output": -15})}, SourceOutcome.PARTIAL),
    "infinite": ({"body": body().replace(b"15", b"1e400")}, SourceOutcome.PARTIAL),
    "far too dear": ({"body": body({"input": 3e6, "output": 15e6})}, SourceOutcome.PARTIAL),
    "huge": ({"body": b" " * (prices.MAX_BODY_BYTES + 1)}, SourceOutcome.TOO_LARGE),
    "huge when unpacked": (
        {"body": gzip.compress(b" " * (prices.MAX_BODY_BYTES + 1)), "headers": {"content-encoding": "gzip"}},
        SourceOutcome.TOO_LARGE,
    ),
    "nested without end": ({"body": b"[" * 1_000_000}, SourceOutcome.UNREADABLE),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_list_that_is_no_good_leaves_the_last_good_price(fault: str, tmp_path: Path) -> None:
    behaviour, outcome = BAD[fault]

    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session, tmp_path, timeout_seconds=0.3 if fault == "slow" else 5)
        told.body = body()
        await asking.once()
        vars(told).update(behaviour)
        assert await asking.once() == outcome
        assert asking.price == GOOD

    with_server(test)


def test_nobody_listening_leaves_the_price_of_the_last_run(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        told.body = body()
        await Asking(url, session, tmp_path).once()
        told.drop = True
        restarted = Asking(url, session, tmp_path)
        assert restarted.price == GOOD
        assert await restarted.once() == SourceOutcome.UNREACHABLE
        assert restarted.price == GOOD

    with_server(test)
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_a_price_ages_over_a_restart_and_is_then_unknown(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        told.body = body()
        first = Asking(url, session, tmp_path)
        await first.once()
        first.clock.seconds += 7 * DAY
        assert first.price == GOOD
        first.clock.seconds += 1
        assert first.price is None

        restarted = Asking(url, session, tmp_path)
        restarted.wall.seconds += 6 * DAY
        restarted.list = WebPrices(restarted.list._source, session, tmp_path, restarted.clock, restarted.wall)
        assert restarted.price == GOOD
        restarted.clock.seconds += DAY + 1
        assert restarted.price is None

    with_server(test)


def test_a_file_from_the_future_ages_like_one_of_now(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        told.body = body()
        first = Asking(url, session, tmp_path)
        first.wall.seconds += 1000 * DAY
        await first.once()
        restarted = Asking(url, session, tmp_path)
        restarted.clock.seconds += 7 * DAY + 1
        assert restarted.price is None

    with_server(test)


def test_a_price_that_stays_absurd_is_not_kept_for_ever(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session, tmp_path)
        told.body = body()
        await asking.once()
        told.body = body({"input": -1, "output": 2})
        asking.clock.seconds += 6 * DAY
        await asking.once()
        assert asking.price == GOOD
        asking.clock.seconds += 2 * DAY
        await asking.once()
        assert asking.price is None

    with_server(test)


def test_a_model_that_left_the_list_has_no_price_any_more(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session, tmp_path)
        told.body = body()
        await asking.once()
        told.body = body().replace(b"large-1", b"large-2")
        await asking.once()
        assert asking.price is None

    with_server(test)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"{", b'{"lines": [["acme", "acme/large-1", [-1, 2, null], 0]], "hosts": {}}', b"[" * 10**6],
)
def test_a_damaged_file_is_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        Asking(url, session, tmp_path).list.file.write_bytes(content)
        asking = Asking(url, session, tmp_path)
        assert asking.price is None
        told.body = body()
        assert await asking.once() == SourceOutcome.UPDATED
        assert asking.price == GOOD

    with_server(test)


def test_without_a_place_to_keep_it_a_good_list_still_counts(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        asking = Asking(url, session, tmp_path / "nowhere")
        told.body = body()
        assert await asking.once() == SourceOutcome.NOT_KEPT
        assert asking.price == GOOD

    with_server(test)


def test_prices_are_looked_for_where_the_policy_gives_none_and_the_first_list_wins(tmp_path: Path) -> None:
    async def test(told: Told, url: str, session: aiohttp.ClientSession) -> None:
        first, second = Asking(url, session, tmp_path), Asking(f"{url}/second", session, tmp_path)
        everything = {name: {"cost": {"input": 8, "output": 9}} for name in ("acme/large-1", "priced", "open/weights")}
        told.body = json.dumps({"acme": {"models": everything}, "home": {"models": everything}}).encode()
        await second.once()
        told.body = body()
        await first.once()
        found = web_prices(policy(), [first.list, second.list])
        assert found == {"large": (3, 15, 0.3), "open-cloud": (8, 9, 8)}
        assert msgspec.structs.replace(ModelState(), price=found["large"]).price == (3, 15, 0.3)
        assert all(math.isfinite(figure) for price in found.values() for figure in price)

    with_server(test)
