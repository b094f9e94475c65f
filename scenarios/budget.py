"""A budget of one dollar under streams: it stops at one dollar, however many ask at once, on two sidecars.

One client in twenty hangs up in the middle of its answer. What that cost nobody reports, so its hold stands.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from scenarios.load import LEFT, Clients, Clock, Sample
from scenarios.place import Place, Setting, running
from scenarios.plots import COLOURS, figure
from scenarios.series import by_span
from scenarios.story import Story
from scenarios.watch import Watch
from signalbox.decide.budgets import NANO_USD

LIMIT_USD = 1.0
INPUT_PRICE, OUTPUT_PRICE = 5.0, 50.0  # USD per million tokens
POLICY = Template(f"""
version: 1
gateway: {{stream_usage: true}}
state: {{redis: {{url: "$redis", timeout_ms: 100}}}}
providers:
  dear: {{endpoint: "$dear"}}
models:
  dear: {{provider: dear, price: {{input: {INPUT_PRICE}, output: {OUTPUT_PRICE}}}}}
routers:
  spender: {{models: [dear], budget: {{usd_per_month: {LIMIT_USD}, when_spent: reject}}}}
""")
RATE, END = 40.0, 14.0
# Of ten times the mock's sentence of ten words, and of the space it ends with.
ANSWER = {"x-mock-bytes": "470", "x-mock-chunks": "10", "x-mock-gap": "0.05"}
ANSWER_TOKENS = 101
ONE_IN = 20  # clients hangs up


class Account(NamedTuple):
    """What the store says of the budget, in dollars. hold: the largest single one."""

    at: float
    spent: float
    held: float
    hold: float


def play() -> Story:
    with running(POLICY, {"dear": Setting(0.1)}, gateways=2, redis=True) as place:
        return asyncio.run(_play(place))


async def _play(place: Place) -> Story:
    clock, accounts = Clock(), [Account(0.0, 0.0, 0.0, 0.0)]
    watch = Watch(place.gateways[0], clock, beside=lambda at: accounts.append(_account(place, at)))

    async def ask(serial: int) -> None:
        await clients.ask(
            "router:spender",
            gateway=serial % 2,
            headers=ANSWER,
            more={"max_tokens": ANSWER_TOKENS},
            leave_after_pieces=3 if serial % ONE_IN == ONE_IN - 1 else None,
        )

    async with Clients([gateway.base_url for gateway in place.gateways], clock) as clients:
        async with watch.watching():
            late = await clients.open_loop(lambda _: RATE, END, ask)
            await clock.until(END + 2)  # the last entries of the access log
        accounts.append(_account(place, clock.now()))
    story = _story(clients.samples, accounts, late)
    faults = sum(int(gateway.metric("signalbox_store_faults_total")) for gateway in place.gateways)
    story.tell("decisions that Redis had no answer for in time", faults)
    return story


def _account(place: Place, at: float) -> Account:
    assert place.redis is not None
    with place.redis.client() as client, client.pipeline() as both:  # one look: money moves from held to spent
        for key in client.scan_iter("signalbox:{budgets}:total:*"):
            both.hgetall(key)
            both.zrange(key.replace(b":total:", b":held:"), 0, -1)
        found: list[Any] = both.execute() or [{}, []]
    totals, holds, *_ = found
    amounts = [int(hold.partition(b":")[0]) for hold in holds]
    usd = [int(totals.get(name, 0)) / NANO_USD for name in (b"spent", b"held")]
    return Account(at, usd[0], usd[1], max(amounts, default=0) / NANO_USD)


def _story(samples: list[Sample], accounts: list[Account], late: float) -> Story:
    story = Story(lambda file: _draw(file, samples, accounts))
    hold, last = max(account.hold for account in accounts), accounts[-1]
    most = LIMIT_USD + hold
    story.check("one request's hold, dollars", 0 < hold < 0.01, f"{hold:.5f}", "some, under 0.01")
    found = f"{last.spent:.4f}"
    story.check(
        "spent in the end", LIMIT_USD - hold <= last.spent <= most, found, f"1, give or take one hold: ≤ {most:.4f}"
    )
    peak = max(account.spent + account.held for account in accounts)
    story.check("spent and held together, at most", peak <= most + 1e-9, f"{peak:.4f}", f"≤ {most:.4f}")
    story.check("held in the end", last.held == 0, f"{last.held:.4f}", 0)
    answered = [sample for sample in samples if sample.is_answered]
    left = [sample for sample in samples if sample.error == LEFT]
    reported = sum(_usd(*sample.usage) for sample in answered if sample.usage is not None)
    owed = last.spent - reported
    story.check(
        f"spent, less what {len(answered)} answers reported", 0 <= owed <= len(left) * hold + 1e-6, f"{owed:.4f}",
        f"the holds of {len(left)} clients that left: ≤ {len(left) * hold:.4f}",
    )  # fmt: skip
    refused = [sample for sample in samples if sample.status == 429]
    story.check("refusals", len(refused) > 100, len(refused), "> 100")
    shortest = min((int(sample.retry_after or 0) for sample in refused), default=0)
    story.check("retry-after of every refusal, seconds", shortest > 0, shortest, "> 0")
    others = [sample for sample in samples if not sample.is_answered and sample.error not in (LEFT, "status 429")]
    story.check("other errors a client saw", not others, f"{len(others)} of {len(samples)}", 0)
    story.tell("a request was sent too late by, at most, ms", f"{late * 1000:.0f}")
    return story


def _usd(prompt_tokens: int, completion_tokens: int) -> float:
    return (prompt_tokens * INPUT_PRICE + completion_tokens * OUTPUT_PRICE) / 1e6


def _draw(file: Path, samples: list[Sample], accounts: list[Account]) -> None:
    with figure(file, "A budget of one dollar, streamed, on two sidecars", 2, END) as axes:
        times, spent = [each.at for each in accounts], [each.spent for each in accounts]
        both = [each.spent + each.held for each in accounts]
        axes[0].fill_between(times, spent, both, color=COLOURS["amber"], alpha=0.35, lw=0, label="held")
        axes[0].plot(times, spent, color=COLOURS["blue"], label="spent")
        axes[0].axhline(LIMIT_USD, color=COLOURS["red"], ls=":", lw=1, label="limit")
        for status, colour, text in ((200, "green", "answered"), (429, "red", "refused with 429")):
            chosen = [sample for sample in samples if sample.status == status]
            axes[1].plot(*by_span(chosen, 0.5, lambda some: len(some) / 0.5), color=COLOURS[colour], label=text)
        axes[0].set(ylabel="dollars", ylim=(0, 1.2))
        axes[1].set(ylabel="requests a second", ylim=(0, 2.2 * RATE))
        axes[0].legend(loc="lower right")
        axes[1].legend(loc="upper right")
