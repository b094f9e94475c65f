"""Sources against a real Prometheus server."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from signalbox.collector.metrics import Metrics
from signalbox.collector.sources.fetch import open_session
from signalbox.collector.sources.running import Sources
from signalbox.collector.sources.telling import Teller
from signalbox.policy.load import load_text
from signalbox.policy.schema import Policy

from .prometheus import find_prometheus, running_prometheus

DEADLINE_SECONDS = 20
GUIDE = (Path(__file__).parents[2] / "docs" / "prometheus.md").read_text()


class ModelServer:
    """The /metrics of a vLLM with one model, and of a llama.cpp server without a name."""

    def __init__(self) -> None:
        self.waiting: float | str = 3
        self.kv_usage = 0.25
        self.deferred = 2
        self.first_tokens = 0  # each took between 0.5 and 1 s
        self.port = 0

    async def metrics(self, _: web.Request) -> web.Response:
        self.first_tokens += 10
        label = 'model_name="open/weights"'
        lines = [
            "# TYPE vllm:num_requests_waiting gauge",
            f"vllm:num_requests_waiting{{{label}}} {self.waiting}",
            "# TYPE vllm:kv_cache_usage_perc gauge",
            f"vllm:kv_cache_usage_perc{{{label}}} {self.kv_usage}",
            "# TYPE llamacpp:requests_deferred gauge",
            f"llamacpp:requests_deferred {self.deferred}",
            "# TYPE vllm:time_to_first_token_seconds histogram",
            f'vllm:time_to_first_token_seconds_bucket{{{label},le="0.5"}} 0',
            f'vllm:time_to_first_token_seconds_bucket{{{label},le="1.0"}} {self.first_tokens}',
            f'vllm:time_to_first_token_seconds_bucket{{{label},le="+Inf"}} {self.first_tokens}',
            f"vllm:time_to_first_token_seconds_sum{{{label}}} {self.first_tokens * 0.75}",
            f"vllm:time_to_first_token_seconds_count{{{label}}} {self.first_tokens}",
        ]
        return web.Response(text="\n".join(lines) + "\n")


@asynccontextmanager
async def model_server() -> AsyncIterator[ModelServer]:
    served = ModelServer()
    app = web.Application()
    app.router.add_get("/metrics", served.metrics)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.port = runner.addresses[0][1]
    yield served
    await runner.cleanup()


def policy(url: str, queries: list[dict[str, Any]], max_age_seconds: float = 60) -> Policy:
    document = {
        "version": 1,
        "providers": {"home": {"endpoint": "http://127.0.0.1:8000/v1", "location": "local"}},
        "models": {"small": {"provider": "home", "name": "open/weights"}, "tiny": {"provider": "home"}},
        "prometheus": {
            "endpoint": url,
            "interval_seconds": 0.2,
            "timeout_seconds": 5,
            "max_age_seconds": max_age_seconds,
            "queries": queries,
        },
    }
    return load_text(yaml.safe_dump(document).encode(), "policy.yaml").policy


class Running:
    """Sources as the collector runs them, and what they counted and logged."""

    def __init__(self, policy: Policy, session: aiohttp.ClientSession, directory: Path) -> None:
        self.metrics = Metrics()
        self.lines: list[bytes] = []
        self.sources = Sources(policy, session, directory, Teller(self.metrics, self.lines.append))
        self.metrics.prometheus_age(self.sources.fleet_age_seconds)
        self._task = asyncio.create_task(self.sources.run())

    async def until(self, claim: Callable[[Running], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not claim(self):
            assert not self._task.done(), self._task.exception()
            assert time.monotonic() < deadline, (self.sources.fleet(), self.outcomes())
            await asyncio.sleep(0.05)

    def value(self, model: str, measure: str) -> float | None:
        state = self.sources.fleet().get(model)
        reading = None if state is None else getattr(state, measure)
        return None if reading is None else float(reading.value)

    def outcomes(self) -> dict[str, float]:
        families = text_string_to_metric_families(generate_latest(self.metrics.registry).decode())
        return {
            sample.labels["outcome"]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == "signalbox_prometheus_queries_total"
        }

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


def scenario(
    directory: Path,
    queries: list[dict[str, Any]],
    test: Callable[[Running, ModelServer], Awaitable[None]],
) -> None:
    """Run a model server, Prometheus and the sources, and the test with them."""
    find_prometheus()

    async def run() -> None:
        async with model_server() as served, open_session() as session:
            prometheus = running_prometheus([served.port], directory)
            url = await asyncio.to_thread(prometheus.__enter__)
            try:
                running = Running(policy(url, queries), session, directory)
                try:
                    await test(running, served)
                finally:
                    await running.stop()
            finally:
                await asyncio.to_thread(prometheus.__exit__, None, None, None)

    asyncio.run(run())


WAITING = {"measure": "queue_depth", "query": "sum by (model_name) (vllm:num_requests_waiting)"}


def test_queue_cache_and_first_tokens_of_a_model_server_arrive_and_follow_it(tmp_path: Path) -> None:
    queries = [
        WAITING,
        {"measure": "kv_usage", "query": "max by (model_name) (vllm:kv_cache_usage_perc)"},
        {
            "measure": "ttft_seconds",
            "query": "histogram_quantile(0.5, sum by (le, model_name) "
            "(rate(vllm:time_to_first_token_seconds_bucket[10s])))",
        },
        {"measure": "queue_depth", "query": "llamacpp:requests_deferred", "label": "job", "models": {"models": "tiny"}},
        {"measure": "kv_usage", "query": "scalar(vllm:kv_cache_usage_perc) * 2", "models": {"it": "tiny"}},
    ]

    async def test(running: Running, served: ModelServer) -> None:
        await running.until(lambda it: it.value("small", "ttft_seconds") is not None)
        assert running.value("small", "ttft_seconds") == pytest.approx(0.75)
        await running.until(lambda it: it.value("small", "queue_depth") == 3)
        await running.until(lambda it: it.value("small", "kv_usage") == 0.25)
        await running.until(lambda it: it.value("tiny", "queue_depth") == 2)
        await running.until(lambda it: it.value("tiny", "kv_usage") == 0.5)
        assert running.sources.fleet_age_seconds() < DEADLINE_SECONDS
        served.waiting = 40
        await running.until(lambda it: it.value("small", "queue_depth") == 40)
        served.waiting = "NaN"  # as good as nothing: the last figure stays, for a while
        await asyncio.sleep(1)
        assert running.value("small", "queue_depth") == 40

    scenario(tmp_path, queries, test)


def test_queries_prometheus_refuses_or_answers_with_a_range_harm_no_other(tmp_path: Path) -> None:
    queries = [
        {"measure": "queue_depth", "query": "sum by ("},
        {"measure": "queue_depth", "query": "vllm:num_requests_waiting[1m]"},
        {"measure": "queue_depth", "query": "no_such_metric"},
        {"measure": "kv_usage", "query": "vllm:kv_cache_usage_perc * 100"},
        WAITING,
    ]

    async def test(running: Running, _: ModelServer) -> None:
        await running.until(lambda it: it.value("small", "queue_depth") == 3)
        wanted = {"status", "unreadable", "empty", "absurd", "updated"}
        await running.until(lambda it: wanted <= set(it.outcomes()))
        assert set(running.outcomes()) == wanted
        logged = {(line["place"], line["outcome"]) for line in map(json.loads, running.lines)}
        assert logged == {(0, "status"), (1, "unreadable"), (3, "absurd")}

    scenario(tmp_path, queries, test)


def test_a_prometheus_that_dies_leaves_the_last_figures(tmp_path: Path) -> None:
    find_prometheus()

    async def run() -> None:
        async with model_server() as served, open_session() as session:
            prometheus = running_prometheus([served.port], tmp_path)
            url = await asyncio.to_thread(prometheus.__enter__)
            running = Running(policy(url, [WAITING], max_age_seconds=3), session, tmp_path)
            try:
                try:
                    await running.until(lambda it: it.value("small", "queue_depth") == 3)
                finally:
                    await asyncio.to_thread(prometheus.__exit__, None, None, None)
                await running.until(lambda it: it.outcomes().get("unreachable", 0) >= 2)
                await running.until(lambda it: it.value("small", "queue_depth") is None)
                assert running.sources.fleet_age_seconds() > 3
            finally:
                await running.stop()

    asyncio.run(run())


@pytest.fixture(scope="module")
def idle_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_prometheus([], tmp_path_factory.mktemp("prometheus")) as url:
        yield url


def documented_queries() -> list[str]:
    """Every PromQL of the guide: cells of its tables, blocks, and the policy at its top."""
    cells = re.findall(r"^\| `(?:ttft_seconds|seconds_per_token|queue_depth|kv_usage)` \| `([^`]+)`", GUIDE, re.M)
    whole = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)[0])
    blocks = re.findall(r"```promql\n(.*?)```", GUIDE, re.DOTALL)
    return [*cells, *blocks, *(query["query"] for query in whole["prometheus"]["queries"])]


@pytest.mark.parametrize("query", documented_queries())
def test_every_query_of_the_guide_is_one_prometheus_understands(query: str, idle_prometheus: str) -> None:
    async def ask() -> dict[str, Any]:
        async with open_session() as session:
            response = await session.get(f"{idle_prometheus}/api/v1/query", params={"query": query})
            return dict(await response.json())

    answer = asyncio.run(ask())
    assert (answer["status"], answer.get("data", {}).get("resultType")) == ("success", "vector")


def test_the_policy_of_the_guide_loads() -> None:
    section = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)[0])
    document = {
        "version": 1,
        "providers": {"home": {"endpoint": "http://127.0.0.1:8000/v1", "location": "local"}},
        "models": {"qwen3-8b": {"provider": "home"}},
        **section,
    }
    assert load_text(yaml.safe_dump(document).encode(), "policy.yaml").policy.prometheus is not None
    assert len(documented_queries()) > 10
