"""Agents on two sidecars: a session of 15 turns keeps its model, and gets another one once when that model dies.

Turns alternate between two gateways, each a sidecar and an Envoy of its own; all they share is a Redis. Half of the
agents begin while amber is the fastest, half while blue is. Others ask a router without affinity, for comparison. A few
requests name each model, so that every sidecar knows how fast it is.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any

from scenarios.load import Clients, Clock, Sample
from scenarios.place import Place, Setting, running
from scenarios.plots import COLOURS, figure, span
from scenarios.story import Story

POLICY = Template("""
version: 1
gateway: {stream_usage: true}
ranking: {half_life_seconds: 2, explore: 0}
circuit: {open_seconds: 2, window_seconds: 10}
state: {redis: {url: "$redis", timeout_ms: 100}}
providers:
  amber: {endpoint: "$amber"}
  blue: {endpoint: "$blue"}
  green: {endpoint: "$green"}
models:
  amber: {provider: amber, fallback: [blue]}
  blue: {provider: blue}
  green: {provider: green}
routers:
  agents: {models: [amber, blue, green], prefer: fastest, affinity: {mode: strict}}
  loose: {models: [amber, blue, green], prefer: fastest}
""")
MODELS = ("amber", "blue", "green")
FAST, SLOW = 0.06, 0.3  # seconds to the first token
TURNS, TURN_SECONDS = 15, 1.2
AGENTS = 6  # that begin together
FIRST, SLOWS, SECOND, DIES, RETURNS = 4.0, 7.0, 11.0, 16.0, 21.0
END = SECOND + TURNS * TURN_SECONDS + 1.5
LAST_ANSWER = 1.0  # seconds before it died: who was asked later may not have been answered any more
BACKGROUND_RATE = 12.0  # requests a second that name their model: what the order of models is learned from

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
OPENING = [
    {"role": "system", "content": "You are an agent."},
    {"role": "user", "content": "Find out, then call look_up"},
]


def play() -> Story:
    settings = {"amber": Setting(FAST), "blue": Setting(2 * FAST), "green": Setting(3 * FAST)}
    with running(POLICY, settings, gateways=2, redis=True) as place:
        return asyncio.run(_play(place))


async def _play(place: Place) -> Story:
    clock, amber = Clock(), place.providers["amber"]
    sessions: dict[tuple[str, int, int], list[Sample]] = {}  # router, wave and number to turns

    async def fate() -> None:
        await clock.until(SLOWS)
        await asyncio.to_thread(amber.set_latency, SLOW)
        await clock.until(DIES)
        await asyncio.to_thread(amber.kill)
        await clock.until(RETURNS)
        await asyncio.to_thread(amber.start)  # as fast as in the beginning

    async def agent(router: str, wave: int, number: int) -> None:
        begins = (FIRST, SECOND)[wave] + TURN_SECONDS * number / AGENTS
        turns = sessions.setdefault((router, wave, number), [])
        for turn in range(TURNS):
            await clock.until(begins + turn * TURN_SECONDS)
            turns.append(
                await clients.ask(
                    f"router:{router}",
                    _history(turn),
                    gateway=(number + turn) % 2,
                    headers={"x-model-affinity": f"{router}-{wave}-{number}"},
                    more={"tools": [TOOL]},
                )
            )

    async def measure(serial: int) -> None:
        await clients.ask(MODELS[serial % len(MODELS)], gateway=serial // len(MODELS) % 2)

    async with (
        Clients([gateway.base_url for gateway in place.gateways], clock) as clients,
        asyncio.TaskGroup() as acting,
    ):
        acting.create_task(fate())
        for router in ("agents", "loose"):
            for wave in (0, 1):
                for number in range(AGENTS):
                    acting.create_task(agent(router, wave, number))
        acting.create_task(clients.open_loop(lambda _: BACKGROUND_RATE, END, measure))
    faults = sum(int(gateway.metric("signalbox_store_faults_total")) for gateway in place.gateways)
    return _story(sessions, clients.samples, faults)


def _history(turn: int) -> list[dict[str, Any]]:
    """An agent's conversation: each turn brings what the tool said, and the model asked for it in the turn before."""
    messages: list[dict[str, Any]] = [*OPENING]
    for number in range(turn):
        call = {"id": f"call-{number}", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append(
            {"role": "tool", "tool_call_id": f"call-{number}", "content": f"What was found: {number}. " * 20}
        )
    return messages


def changes(turns: list[Sample]) -> list[float]:
    """When a session got another model than the turn before had."""
    return [after.at for before, after in pairwise(turns) if before.model != after.model]


def _story(sessions: dict[tuple[str, int, int], list[Sample]], samples: list[Sample], faults: int) -> Story:
    story = Story(lambda file: _draw(file, sessions))
    first = [turns for (router, wave, _), turns in sessions.items() if router == "agents" and wave == 0]
    second = [turns for (router, wave, _), turns in sessions.items() if router == "agents" and wave == 1]
    loose = [turns for (router, _, _), turns in sessions.items() if router == "loose"]
    errors = [sample for sample in samples if not sample.is_answered]
    story.check("errors a client saw", not errors, f"{len(errors)} of {len(samples)}", 0)
    begun = [", ".join(sorted({turns[0].model for turns in half})) for half in (first, second)]
    story.check("models the two halves began with", begun == ["amber", "blue"], "; ".join(begun), "amber; blue")
    early = [at for turns in (*first, *second) for at in changes(turns) if at < DIES - LAST_ANSWER]
    story.check("changes of model before it died", not early, len(early), 0)
    once = [len(changes(turns)) for turns in first]
    story.check("changes of those whose model died", set(once) == {1}, _listed(once), "1 each")
    never = [len(changes(turns)) for turns in second]
    story.check("changes of the others", set(never) == {0}, _listed(never), "0 each")
    others = [sum(at < DIES - LAST_ANSWER for at in changes(turns)) for turns in loose]
    story.check("changes without affinity, before it died", sum(others) > 0, sum(others), "some: there was a reason")
    for turns in second:
        if changes(turns):
            story.tell(
                "a session that changed", " ".join(f"{turn.model}/{turn.reason}/{turn.attempts}" for turn in turns)
            )
    new = sum(turns[0].reason == "affinity" for turns in (*first, *second))
    kept = sum(sample.reason == "affinity" for turns in (*first, *second) for sample in turns)
    story.check("first turns that found a pin", new == 0, new, 0)
    story.tell("decisions that Redis had no answer for in time", faults)
    story.tell("turns decided by affinity", f"{kept} of {2 * AGENTS * TURNS}")
    return story


def _listed(counts: list[int]) -> str:
    return " ".join(map(str, sorted(counts)))


def _draw(file: Path, sessions: dict[tuple[str, int, int], list[Sample]]) -> None:
    with figure(file, "Agents on two sidecars, one Redis", 2, END) as axes:
        for axis, router, text in ((axes[0], "agents", "strict affinity"), (axes[1], "loose", "without")):
            for model in MODELS:
                points = [
                    (sample.at, wave * AGENTS + number)
                    for (name, wave, number), turns in sessions.items()
                    for sample in turns
                    if name == router and sample.model == model
                ]
                axis.plot(
                    *zip(*points, strict=True) if points else ([], []), ".", ms=5, color=COLOURS[model], label=model
                )
            axis.set(ylabel=f"session, {text}", ylim=(-1, 2 * AGENTS), yticks=())
        axes[0].legend(loc="upper left")
        for axis in axes:
            axis.axvline(SLOWS, color=COLOURS["grey"], ls=":", lw=1)
        place = {"xytext": (-3, 0), "textcoords": "offset points", "ha": "right"}
        axes[1].annotate("amber slows", (SLOWS, 2 * AGENTS - 1), color=COLOURS["grey"], **place)
        span(axes, DIES, RETURNS, "amber is dead")
