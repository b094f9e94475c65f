"""What does the live picture cost: one exchange, and one snapshot?

    python -m benchmarks.live [--models N] [--run-dir DIR]

Fills the picture of N models (default 200) with seeded streams and whole answers, then prints the median time of
learning from one exchange, of following one attempt from start to end, of publishing a snapshot to a file (put
together, encoded, written, renamed), and of a worker's look at a file that changed and at one that did not.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.environment import describe
from signalbox.collector.join import Attempt, Exchange
from signalbox.collector.live.picture import Picture, policy_prices
from signalbox.collector.live.publish import Elsewhere, Publisher
from signalbox.collector.records import AttemptId, AttemptRecord, RequestRecord, Usage
from signalbox.collector.verdict import Target, Verdict
from signalbox.policy.schema import Policy
from signalbox.record import Record
from signalbox.telemetry import AttemptOutcome
from signalbox.world_file import WORLD_FILE, WorldReader

SEED = 20261121
MODELS_IN_A_POOL = 10


def policy_of(models: int) -> Policy:
    """A policy with that many models at a tenth as many providers, in pools of ten ranked by speed or balance."""
    names = [f"model-{number:03}" for number in range(models)]
    pools = [names[at : at + MODELS_IN_A_POOL] for at in range(0, models, MODELS_IN_A_POOL)]
    return Policy.model_validate(
        {
            "version": 1,
            "providers": {f"p{pool}": {"endpoint": f"https://p{pool}.test/v1"} for pool in range(len(pools))},
            "models": {
                name: {"provider": f"p{number // MODELS_IN_A_POOL}", "price": {"input": 1, "output": 4}}
                for number, name in enumerate(names)
            },
            "routers": {
                f"r{number}": {"models": pool, "prefer": ("fastest", "balanced")[number % 2]}
                for number, pool in enumerate(pools)
            },
        }
    )


def exchanges(policy: Policy, count: int) -> list[Exchange]:
    """Requests that one attempt served, half of them streams, over all models."""
    dice = random.Random(SEED)
    names = list(policy.models)
    made = []
    for number in range(count):
        model = dice.choice(names)
        provider = policy.models[model].provider
        target = Target(provider, model)
        route = "r" + provider[1:]
        record = Record(id="x", tokens=(-120,), estimate=120)
        verdict = Verdict(router=route, route=route, stream=number % 2 == 0, chain=(target,), record=record)
        output_tokens = dice.randrange(2, 900)
        request = RequestRecord(
            key=(f"{number:08x}", "127.0.0.1", 4000),
            ended_seconds=1e9,
            request_id=None,
            endpoint="chat_completions",
            verdict=verdict,
            served=target,
            attempts=1,
            status=200,
            details="via_upstream",
            client_gone=False,
            ext_proc_us=900,
            ttft_us=int(dice.lognormvariate(12.5, 0.6)),
            body_seconds=output_tokens * dice.lognormvariate(-4.5, 0.4),
            duration_seconds=2.0,
            usage=Usage(140, output_tokens),
            started_ns=number + 1,
        )
        made.append(Exchange(request, (Attempt(target, AttemptOutcome.OK),)))
    return made


def attempts(policy: Policy, count: int) -> list[AttemptRecord]:
    providers = list(policy.providers)
    return [
        AttemptRecord((f"{n:08x}", "127.0.0.1", 4000), providers[n % len(providers)], None, None, started_ns=n + 1)
        for n in range(count)
    ]


def median_us(do: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        do()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=200, metavar="N")
    parser.add_argument("--run-dir", metavar="DIR", help="where the file goes; default: the temporary directory")
    options = parser.parse_args()
    policy = policy_of(options.models)
    picture = Picture()
    picture.apply_policy(policy, 0.0)
    prices = policy_prices(policy)

    told = exchanges(policy, 20_000)
    started = time.process_time()
    for number, exchange in enumerate(told):
        picture.exchange(exchange, number / 1000)
    exchange_us = (time.process_time() - started) / len(told) * 1e6

    tried = attempts(policy, 20_000)
    started = time.process_time()
    for number, record in enumerate(tried):
        now_seconds = 20 + number / 1000
        picture.attempt_started(AttemptId(record.key, record.provider, record.started_ns), 1, now_seconds)
        picture.attempt_ended(record, now_seconds)
        picture.models.in_flight.request_ended(record.key, now_seconds)
        picture.models.expire(now_seconds)
    attempt_us = (time.process_time() - started) / len(tried) * 1e6

    with tempfile.TemporaryDirectory(dir=options.run_dir) as directory:
        publisher = Publisher(Path(directory), time.time, time.monotonic)
        elsewhere = Elsewhere(queue_depth=dict.fromkeys(policy.models, 3.0), prices=prices)

        def publish() -> None:
            assert picture.publish(publisher, 45.0, elsewhere=elsewhere, prices=prices)

        quiet_us = median_us(publish, 300)
        busy = []
        for _ in range(60):
            for exchange in told[: 5 * len(policy.models)]:
                picture.exchange(exchange, 45.0)
            busy.append(median_us(publish, 1))
        size = (Path(directory) / WORLD_FILE).stat().st_size
        reader = WorldReader(Path(directory) / WORLD_FILE)
        reader.look()
        idle_us = median_us(reader.look, 1000)

        looks = []
        for _ in range(100):
            publish()
            looks.append(median_us(reader.look, 1))
    print(f"{exchange_us:.1f} us to learn from an exchange, {attempt_us:.1f} us to follow an attempt")
    print(f"publishing {len(policy.models)} models in {len(policy.routers)} pools, {size:,} bytes to {directory}:")
    print(f"  {quiet_us:.0f} us when nothing happened, {statistics.median(busy):.0f} us when all of them were busy")
    print(f"{statistics.median(looks):.0f} us for a worker's thread to read it, {idle_us:.1f} us when nothing changed")
    print(f"{describe()}, seed {SEED}")


if __name__ == "__main__":
    main()
