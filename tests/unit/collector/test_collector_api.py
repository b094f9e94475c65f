"""The HTTP API over a real socket."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from access_log_entries import decision, request_entry
from collector_bench import Bench, status_message
from prometheus_client.parser import text_string_to_metric_families

from signalbox.collector import api
from signalbox.collector.api import start_api
from signalbox.control import DRAINED, DRAINING
from signalbox.errors import SetupError


def asked(
    bench: Bench, question: Callable[[aiohttp.ClientSession], Awaitable[Any]], run_dir: Path = Path("/nowhere")
) -> Any:
    """Serve the API on a free port and return what `question` found there."""

    async def run() -> Any:
        runner, port = await start_api(bench.collector, "127.0.0.1", 0, run_dir)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                return await asyncio.wait_for(question(session), timeout=10)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def get(bench: Bench, path: str, **more: Any) -> tuple[int, Any]:
    async def question(session: aiohttp.ClientSession) -> tuple[int, Any]:
        async with session.get(path, **more) as answer:
            return answer.status, await answer.json()

    status, members = asked(bench, question)
    return status, members


def scrape(bench: Bench, accept: str) -> tuple[str, str]:
    async def question(session: aiohttp.ClientSession) -> tuple[str, str]:
        async with session.get("/metrics", headers={"accept": accept}) as answer:
            assert answer.status == 200
            return answer.headers["content-type"], await answer.text()

    content_type, text = asked(bench, question)
    return content_type, text


def test_metrics_are_prometheus_text(bench):
    bench.requests(request_entry(metadata=decision(), attempts=0))

    content_type, text = scrape(bench, "")

    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["signalbox_decisions"].samples[0].value == 1


def test_metrics_are_openmetrics_for_those_who_ask(bench):
    content_type, text = scrape(bench, "application/openmetrics-text; version=1.0.0; q=0.9, text/plain; q=0.1")

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


def test_the_process_is_healthy_before_anything_else_is(bench):
    assert get(bench, "/healthz") == (200, {"status": "ok"})


def test_it_is_not_ready_before_the_supervisor_has_spoken(bench):
    status, members = get(bench, "/readyz")

    assert status == 503
    assert members == {"ready": False, "problems": ["the supervisor has not said yet how things are"]}


def test_it_is_ready_with_a_policy_and_a_worker(bench):
    bench.collector.apply_status(status_message(workers={"ready": 1, "restarts": 4}))
    bench.now_seconds += 0.5

    assert get(bench, "/readyz") == (
        200,
        {
            "ready": True,
            "problems": [],
            "draining": False,
            "workers": {"wanted": 2, "ready": 1, "restarts": 4},
            "policy": {"sha256": "ab" * 32, "loaded_at": "2026-11-21T09:08:39.250Z", "error": None},
            "status_age_seconds": 0.5,
        },
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"workers": {"ready": 0}}, "no worker is ready, 2 wanted"),
        ({"draining": True}, "draining"),
    ],
)
def test_it_is_not_ready_when_nobody_would_decide(bench, change, problem):
    bench.collector.apply_status(status_message())
    assert get(bench, "/readyz")[0] == 200
    bench.collector.apply_status(status_message(**change))

    status, members = get(bench, "/readyz")
    assert (status, members["problems"]) == (503, [problem])

    bench.collector.apply_status(status_message())
    assert get(bench, "/readyz")[0] == 200


def test_it_waits_for_a_drain_to_be_over(bench, tmp_path):
    async def question(session: aiohttp.ClientSession) -> tuple[bool, Any]:
        (tmp_path / DRAINING).touch()
        waiting = asyncio.create_task(session.get("/drained"))
        await asyncio.sleep(0.3)
        was_over = waiting.done()
        (tmp_path / DRAINED).touch()
        async with await waiting as answer:
            return was_over, await answer.json()

    assert asked(bench, question, tmp_path) == (False, {"drained": True})


def test_it_does_not_wait_for_a_drain_that_never_begins(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(api, "BEGIN_SECONDS", 0.2)
    assert get(bench, "/drained") == (200, {"drained": False})


def test_somebody_who_waits_for_a_drain_does_not_keep_the_process_from_ending(bench, tmp_path):
    async def run() -> tuple[float, Any]:
        (tmp_path / DRAINING).touch()
        runner, port = await start_api(bench.collector, "127.0.0.1", 0, tmp_path)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            waiting = asyncio.create_task(session.get("/drained"))
            await asyncio.sleep(0.2)
            started = time.monotonic()
            await runner.cleanup()
            seconds = time.monotonic() - started
            async with await waiting as answer:
                return seconds, await answer.json()

    seconds, members = asyncio.run(run())
    assert seconds < 5
    assert members == {"drained": False}


def test_a_refused_policy_shows_and_the_old_one_stays_ready(bench):
    bench.collector.apply_status(status_message(policy={"error": "policy.yaml:3: models: unknown provider"}))

    status, members = get(bench, "/readyz")
    assert status == 200
    assert members["policy"]["error"] == "policy.yaml:3: models: unknown provider"


def test_the_policy_is_named_and_not_shown(bench):
    bench.collector.apply_status(status_message())

    assert get(bench, "/v1/policy") == (
        200,
        {"sha256": "ab" * 32, "loaded_at": "2026-11-21T09:08:39.250Z", "error": None},
    )


def test_before_there_is_a_policy_it_says_so(bench):
    status, members = get(bench, "/v1/policy")

    assert (status, members["error"]["code"], members["error"]["type"]) == (503, "not_ready", "server_error")


def test_thresholds_are_listed_by_router(bench):
    assert get(bench, "/v1/thresholds") == (200, {"thresholds": []})
    said = decision(router="coding", cut="following", score=0.7, threshold=0.5)
    bench.requests(request_entry(metadata=said))
    bench.later(2.0)
    assert get(bench, "/v1/thresholds") == (
        200,
        {"thresholds": [{"router": "coding", "state": "following", "threshold": 0.5, "strong_share": 1.0}]},
    )


def test_an_unknown_path_is_a_json_404_that_names_the_known_ones(bench):
    status, members = get(bench, "/v1/secrets")

    assert (status, members["error"]["code"]) == (404, "not_found")
    assert "/healthz, /metrics, /readyz, /v1/feedback, /v1/policy, /v1/thresholds" in members["error"]["message"]
    assert "secrets" not in members["error"]["message"]


def test_another_method_is_a_json_405(bench):
    async def question(session: aiohttp.ClientSession) -> tuple[int, str, Any]:
        async with session.post("/metrics") as answer:
            return answer.status, answer.headers["allow"], await answer.json()

    status, allow, members = asked(bench, question)
    assert (status, allow, members["error"]["code"]) == (405, "GET, HEAD", "method_not_allowed")


def test_a_taken_port_is_explained(bench, tmp_path):
    async def run() -> str:
        runner, port = await start_api(bench.collector, "127.0.0.1", 0, tmp_path)
        with pytest.raises(SetupError) as raised:
            await start_api(bench.collector, "127.0.0.1", port, tmp_path)
        await runner.cleanup()
        assert f"127.0.0.1:{port} is taken" in str(raised.value)
        return str(raised.value)

    assert "fix: stop what listens there" in asyncio.run(run())
