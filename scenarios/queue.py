"""A local server fills up: an `slo` moves a growing share of the requests to the cloud, and brings them back.

Two local servers of the same size get the same load at the same time. One router has an `slo`, the other has none.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from string import Template

from scenarios.load import Clients, Clock, Sample
from scenarios.place import Place, Setting, running
from scenarios.plots import COLOURS, figure, span
from scenarios.series import by_span, quantile, share, ttft_by, ttfts, within
from scenarios.story import Story
from scenarios.watch import Watch
from tests.simulation.queueing import swings

LIMIT_SECONDS = 2.0
POLICY = Template(f"""
version: 1
gateway: {{stream_usage: true}}
providers:
  steered: {{endpoint: "$steered", location: local}}
  unsteered: {{endpoint: "$unsteered", location: local}}
  cloud: {{endpoint: "$cloud"}}
models:
  steered: {{provider: steered}}
  unsteered: {{provider: unsteered}}
  cloud: {{provider: cloud}}
routers:
  with-slo: {{models: [steered, cloud], slo: {{ttft_p95_ms: {LIMIT_SECONDS * 1000:.0f}, queue_depth: 2}}}}
  without: {{models: [unsteered, cloud]}}
prometheus:
  endpoint: "$prometheus"
  interval_seconds: 1
  queries:
    - {{measure: queue_depth, query: "sum by (model_name) (vllm:num_requests_waiting)"}}
    - {{measure: kv_usage, query: "max by (model_name) (vllm:kv_cache_usage_perc)"}}
""")
SLOTS = 8
PREFILL, CHUNKS, GAP = 0.1, 4, 0.07
EVENTS = CHUNKS + 4  # the role, the end, the usage and [DONE]
CAPACITY = SLOTS / (PREFILL + (EVENTS - 1) * GAP)  # requests a second
CALM, PEAK = 0.6, 1.25  # load, as a share of the capacity
RISES, FULL, FALLS, END = 10.0, 40.0, 75.0, 140.0
SEED = 2  # of the times of arrival, the same for both
SHAPE = {"x-mock-chunks": str(CHUNKS), "x-mock-gap": str(GAP)}


def load(at: float) -> float:
    """Requests a second at each server: calm, rising, too many, calm."""
    if not RISES <= at < FALLS:
        return CALM * CAPACITY
    return CAPACITY * (CALM + (PEAK - CALM) * min(1.0, (at - RISES) / (FULL - RISES)))


def play() -> Story:
    servers = {name: Setting(PREFILL, SLOTS) for name in ("steered", "unsteered")}
    with running(POLICY, {**servers, "cloud": Setting(0.3)}, scraped=("steered", "unsteered")) as place:
        return asyncio.run(_play(place))


async def _play(place: Place) -> Story:
    clock, url = Clock(), place.gateways[0].base_url
    watch = Watch(place.gateways[0], clock)

    async def stream(router: str) -> tuple[list[Sample], float]:
        async with Clients([url], clock) as clients:
            late = await clients.open_loop(load, END, lambda _: clients.ask(f"router:{router}", headers=SHAPE), SEED)
        return clients.samples, late

    async with watch.watching():
        (steered, late), (unsteered, too_late) = await asyncio.gather(stream("with-slo"), stream("without"))
    return _story(steered, unsteered, watch, max(late, too_late))


def _story(steered: list[Sample], unsteered: list[Sample], watch: Watch, late: float) -> Story:
    moved = watch.shift("with-slo", "steered")
    story = Story(lambda file: _draw(file, steered, unsteered, moved))
    shares = [value for _, value in moved]
    calm = max(value for at, value in moved if at < RISES)
    story.check("share moved before the load rose", calm < 0.1, f"{calm:.2f}", "< 0.1")
    top, last = max(shares), shares[-1]
    story.check("largest share moved", 0.15 <= top <= 0.8, f"{top:.2f}", "0.15 to 0.8; 0.2 is needed")
    held = quantile(ttfts(within(steered, RISES, FALLS)), 0.95)
    story.check("p95 TTFT of the overload, seconds", held < LIMIT_SECONDS, f"{held:.2f}", f"< {LIMIT_SECONDS:.0f}")
    worst = max(quantile(ttfts(within(steered, at, at + 10)), 0.95) for at in range(int(RISES), int(FALLS), 10))
    story.tell("p95 TTFT of the worst ten seconds", f"{worst:.2f}")
    free = quantile(ttfts(within(unsteered, RISES, FALLS)), 0.95)
    story.check("the same without an slo", free > 2 * LIMIT_SECONDS, f"{free:.2f}", f"> {2 * LIMIT_SECONDS:.0f}")
    story.check("share moved at the end", last <= top - 0.02, f"{last:.2f}", "less than the largest")
    turns = swings(shares, least=0.1)
    story.check("times the share turned round by 0.1", turns <= 1, turns, "≤ 1: up, and down again")
    errors = [sample for sample in (*steered, *unsteered) if not sample.is_answered]
    story.check("errors a client saw", not errors, f"{len(errors)} of {len(steered) + len(unsteered)}", 0)
    depths = [look.world.models["steered"].queue_depth for look in watch.looks if "steered" in look.world.models]
    longest = max((depth for depth in depths if depth is not None), default=None)
    story.check("longest queue Prometheus saw at the steered server", longest is not None, longest, "any")
    story.tell("a request was sent too late by, at most, ms", f"{late * 1000:.0f}")
    return story


def _draw(file: Path, steered: list[Sample], unsteered: list[Sample], moved: list[tuple[float, float]]) -> None:
    with figure(file, f"A local server's load rises to {PEAK} of its capacity", 3, END) as axes:
        axes[0].plot(*by_span(steered, 2.0, lambda some: len(some) / 2.0), color=COLOURS["grey"], lw=1)
        axes[0].axhline(CAPACITY, color=COLOURS["red"], ls=":", lw=1, label="capacity")
        answers = by_span(steered, 5.0, lambda some: share(some, lambda sample: sample.model == "cloud"))
        axes[1].plot(*answers, color=COLOURS["blue"], lw=1, label="share the cloud answered")
        axes[1].plot(
            [at for at, _ in moved[::4]], [value for _, value in moved[::4]], color=COLOURS["amber"], label="shift"
        )
        axes[2].plot(*ttft_by(steered, 5.0, 0.95), color=COLOURS["amber"], label="with slo")
        axes[2].plot(*ttft_by(unsteered, 5.0, 0.95), color=COLOURS["grey"], label="without")
        axes[2].axhline(LIMIT_SECONDS, color=COLOURS["red"], ls=":", lw=1, label="limit")
        axes[0].set(ylabel="requests a second", ylim=(0, None))
        axes[1].set(ylabel="share", ylim=(-0.02, 0.8))
        axes[2].set(ylabel="TTFT, p95, seconds", yscale="log")
        span(axes, RISES, FALLS, "rising, then too much")
        axes[0].legend(loc="upper right")
        axes[1].legend(loc="upper right")
        axes[2].legend(loc="center right")
