"""A provider is killed: its circuit opens, clients notice nothing, and it gets its requests back when it is back.

Clients lose nothing because a request that has no answer yet goes to the next provider. A stream that has begun ends
with the provider that began it, here as everywhere; the streams of this scenario come in one piece.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from string import Template

from scenarios.load import Clients, Clock, Sample
from scenarios.place import Place, Setting, running
from scenarios.plots import COLOURS, figure, span
from scenarios.series import share, share_by, ttft_by, within
from scenarios.story import Story
from scenarios.watch import Watch

OPEN_SECONDS = 2.0
POLICY = Template(f"""
version: 1
gateway: {{stream_usage: true}}
circuit: {{open_seconds: {OPEN_SECONDS}, min_requests: 5, window_seconds: 10, probe_share: 0.2}}
providers:
  amber: {{endpoint: "$amber"}}
  blue: {{endpoint: "$blue"}}
models:
  amber: {{provider: amber}}
  blue: {{provider: blue}}
routers:
  steady: {{models: [amber, blue]}}
""")
RATE = 30.0  # a second
DIES, RETURNS, END = 6.0, 12.0, 27.0
# The failed share is that of the last hundred attempts or so: half of it takes seventy failures where all was well.
MOST_TO_OPEN = 4.0  # seconds
# It rests 2 seconds, fails a probe at once, rests 4, passes three probes.
MOST_TO_CLOSE = 3 * OPEN_SECONDS + 3.0
LAG = 0.5  # a snapshot is up to a quarter of a second old when it is looked at, and so is what is looked at


def play() -> Story:
    with running(POLICY, {"amber": Setting(0.15), "blue": Setting(0.2)}) as place:
        return asyncio.run(_play(place))


async def _play(place: Place) -> Story:
    clock, amber = Clock(), place.providers["amber"]
    watch = Watch(place.gateways[0], clock)

    async def fate() -> None:
        await clock.until(DIES)
        await asyncio.to_thread(amber.kill)
        await clock.until(RETURNS)
        await asyncio.to_thread(amber.start)

    async with watch.watching(), Clients([place.gateways[0].base_url], clock) as clients:
        changing = asyncio.create_task(fate())
        late = await clients.open_loop(lambda _: RATE, END, lambda _: clients.ask("router:steady"))
        await changing
    return _story(clients.samples, watch.circuit("amber"), late)


def _story(samples: list[Sample], circuit: list[tuple[float, int]], late: float) -> Story:
    story = Story(lambda file: _draw(file, samples, circuit))
    errors = [sample for sample in samples if not sample.is_answered]
    story.check("errors a client saw", not errors, f"{len(errors)} of {len(samples)}", 0)
    opened = next((at for at, level in circuit if at >= DIES and level == 2), None)
    took = None if opened is None else opened - DIES
    found = "never" if took is None else f"{took:.1f}"
    story.check(
        "seconds until its circuit was open", took is not None and took <= MOST_TO_OPEN, found, f"≤ {MOST_TO_OPEN:.0f}"
    )
    story.tell(
        "requests that had to be tried twice before", sum(s.attempts > 1 for s in within(samples, 0, opened or 0))
    )
    resting = [sample for sample in samples if _is_resting(circuit, sample.at)]
    tried = sum(sample.model == "amber" or sample.attempts > 1 for sample in resting)
    story.check("tries of it while its circuit was open", bool(resting) and not tried, f"{tried} of {len(resting)}", 0)
    closed = next((at for at, level in circuit if opened is not None and at > opened and level == 0), None)
    back = None if closed is None else closed - RETURNS
    found = "never" if back is None else f"{back:.1f}"
    story.check(
        "seconds until it was closed again",
        back is not None and 0 < back <= MOST_TO_CLOSE,
        found,
        f"≤ {MOST_TO_CLOSE:.0f}",
    )
    last = within(samples, END - 5, END)
    found_share = share(last, lambda sample: sample.model == "amber")
    story.check("its share of the last five seconds", found_share == 1, f"{found_share:.2f}", "1.00")
    story.tell("a request was sent too late by, at most, ms", f"{late * 1000:.0f}")
    return story


def _is_resting(circuit: list[tuple[float, int]], at: float) -> bool:
    """Whether the circuit was open around a moment, as every worker knew by then."""
    near = [level for when, level in circuit if at - LAG <= when <= at + LAG]
    return bool(near) and set(near) == {2}


def _draw(file: Path, samples: list[Sample], circuit: list[tuple[float, int]]) -> None:
    with figure(file, "A provider is killed, and comes back", 3, END) as axes:
        for model in ("amber", "blue"):
            axes[0].plot(*share_by(samples, 0.5, model), color=COLOURS[model], label=model)
        axes[1].step([at for at, _ in circuit], [level for _, level in circuit], color=COLOURS["amber"], where="post")
        axes[2].plot(*ttft_by(samples, 0.5, 0.5), color=COLOURS["green"], label="median")
        axes[2].plot(*ttft_by(samples, 0.5, 1.0), color=COLOURS["grey"], lw=1, label="longest")
        axes[0].set(ylabel="share of answers", ylim=(-0.03, 1.03))
        axes[1].set(ylabel="circuit of amber", ylim=(-0.2, 2.2), yticks=(0, 1, 2))
        axes[1].set_yticklabels(("closed", "half open", "open"))
        axes[2].set(ylabel="TTFT, seconds", ylim=(0, None))
        span(axes, DIES, RETURNS, "amber is dead")
        axes[0].legend(loc="center right")
        axes[2].legend(loc="upper right")
