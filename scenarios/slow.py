"""A provider slows threefold: `prefer: fastest` turns to the next one, and comes back when it is fast again.

A third provider refuses everything within a millisecond. It must never look fast.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from string import Template

from scenarios.load import Clients, Clock, Sample
from scenarios.place import Place, Setting, running
from scenarios.plots import COLOURS, figure, span
from scenarios.series import first_run, quantile, share, share_by, ttft_by, ttfts, within
from scenarios.story import Story
from scenarios.watch import Watch

POLICY = Template("""
version: 1
gateway: {stream_usage: true}
ranking: {half_life_seconds: 2, explore: 0.1}   # so short that a scenario fits into a minute
providers:
  amber: {endpoint: "$amber"}
  blue: {endpoint: "$blue"}
  red: {endpoint: "$red"}
models:
  amber: {provider: amber}
  blue: {provider: blue}
  red: {provider: red}
routers:
  race: {models: [blue, red, amber], prefer: fastest}
""")
FAST, SLOW, OTHER = 0.08, 0.24, 0.12  # seconds to the first token
RATE = 25.0  # a second
SLOWS, RECOVERS, END = 9.0, 21.0, 38.0
ROW = 20  # requests that say who is in front
MOST_AWAY, MOST_BACK = 150, 500  # requests


def play() -> Story:
    settings = {"amber": Setting(FAST), "blue": Setting(OTHER), "red": Setting()}
    with running(POLICY, settings) as place:
        place.providers["red"].set_fault("503")
        return asyncio.run(_play(place))


async def _play(place: Place) -> Story:
    clock, amber = Clock(), place.providers["amber"]
    watch = Watch(place.gateways[0], clock)

    async def weather() -> None:
        await clock.until(SLOWS)
        await asyncio.to_thread(amber.set_latency, SLOW)
        await clock.until(RECOVERS)
        await asyncio.to_thread(amber.set_latency, FAST)

    async with watch.watching(), Clients([place.gateways[0].base_url], clock) as clients:
        changing = asyncio.create_task(weather())
        late = await clients.open_loop(lambda _: RATE, END, lambda _: clients.ask("router:race"))
        await changing
    return _story(clients.samples, watch, place.providers["red"].requests(), late)


def _story(samples: list[Sample], watch: Watch, refused: int, late: float) -> Story:
    def is_amber(sample: Sample) -> bool:
        return sample.model == "amber"

    story = Story(lambda file: _draw(file, samples))
    before = within(samples, SLOWS - 3, SLOWS)
    away = first_run(within(samples, SLOWS, RECOVERS), ROW, ROW - 1, lambda sample: not is_amber(sample))
    back = first_run(within(samples, RECOVERS, END), ROW, ROW - 1, is_amber)
    median = quantile(ttfts(within(samples, RECOVERS - 5, RECOVERS)), 0.5)
    leaders = {leader for look in watch.looks for leader in look.world.leaders.values()}
    errors = [sample for sample in samples if not sample.is_answered]
    found = share(before, is_amber)
    story.check("the fastest found, share of requests", found >= 0.9, f"{found:.2f}", "at least 0.9")
    story.check("requests until the order changed", away is not None and away <= MOST_AWAY, away, f"≤ {MOST_AWAY}")
    story.check(
        "median TTFT while it is slow, ms", median < 1.7 * OTHER, f"{median * 1000:.0f}", f"< {1700 * OTHER:.0f}"
    )
    story.check("requests until it was back", back is not None and back <= MOST_BACK, back, f"≤ {MOST_BACK}")
    story.check("ever in front", leaders == {"amber", "blue"}, ", ".join(sorted(leaders)), "amber, blue")
    limit = round(0.1 * len(samples))
    story.check("tries of the one that fails fast", 0 < refused <= limit, refused, f"1 to {limit} of {len(samples)}")
    story.check("errors a client saw", not errors, len(errors), 0)
    story.tell("a request was sent too late by, at most, ms", f"{late * 1000:.0f}")
    return story


def _draw(file: Path, samples: list[Sample]) -> None:
    with figure(file, "The fastest provider slows threefold", 2, END) as axes:
        for model in ("amber", "blue"):
            axes[0].plot(*share_by(samples, 1.0, model), color=COLOURS[model], label=model)
        axes[1].plot(*ttft_by(samples, 1.0, 0.5), color=COLOURS["green"], label="median of all")
        for seconds, model in ((FAST, "amber"), (OTHER, "blue")):
            axes[1].axhline(seconds, color=COLOURS[model], ls=":", lw=1, label=f"{model}, undisturbed")
        axes[0].set(ylabel="share of answers", ylim=(-0.03, 1.03))
        axes[1].set(ylabel="TTFT, seconds", ylim=(0, 1.5 * SLOW))
        span(axes, SLOWS, RECOVERS, "amber takes three times as long")
        axes[0].legend(loc="center right")
        axes[1].legend(loc="upper right")
